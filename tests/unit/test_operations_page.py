"""Does docs/operations.md list what each process really tells, and do the alert rules ask for it?"""

import re
from collections.abc import Iterator
from types import SimpleNamespace
from typing import cast

import pytest
import yaml
from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from tests.notifications import alert
from tests.pages import Page
from tests.producers import FakeClock
from tests.rooms import ROOT

from spendgauge.schemas.progress import End, Progress, Standing
from spendgauge.schemas.statistics import Statistics
from spendgauge.sinks.metrics import SinkMetrics
from spendgauge.streams.delivery.channels import Channel
from spendgauge.streams.delivery.desk import Desk
from spendgauge.streams.delivery.hearing import Alerts
from spendgauge.streams.delivery.memory import Memory
from spendgauge.streams.delivery.metrics import NotifierMetrics
from spendgauge.streams.rating.agent import RatesAgent
from spendgauge.streams.rating.metrics import RatesMetrics
from spendgauge.streams.rating.pipeline import Counts
from spendgauge.streams.reading.polling import Membership
from spendgauge.streams.reading.transport import Consumer
from spendgauge.streams.watching.agent import WatchAgent
from spendgauge.streams.watching.files import ConfigurationFiles
from spendgauge.streams.watching.metrics import WatcherMetrics

PAGE = Page(ROOT / "docs" / "operations.md")
RULES = ROOT / "deploy" / "prometheus" / "alerts.yaml"
_NAME = re.compile(r"\bspendgauge_\w+")


def _worker() -> CollectorRegistry:
    """Give the figures of a worker that reads one partition."""
    membership = Membership(answered=True, settled=True, assigned=set(), ends={})
    consumer = SimpleNamespace(membership=membership, readings={}, bytes_read=0)
    metrics = RatesMetrics(FakeClock())
    agent = SimpleNamespace(counts=Counts(), live_keys=0, missing=(0, 0))
    metrics.look(cast(RatesAgent, agent), cast(Consumer, consumer), rebalances=1)
    metrics.watch.look(_standing())
    return metrics.registry


def _sink() -> CollectorRegistry:
    """Give the figures of a sink that reads one partition."""
    metrics = SinkMetrics(FakeClock())
    metrics.watch.look(_standing())
    return metrics.registry


def _watcher() -> CollectorRegistry:
    """Give the figures of a watcher that reads one partition."""
    metrics = WatcherMetrics(FakeClock(), ConfigurationFiles(budgets=None, rules=None))
    membership = Membership(answered=True, settled=True, assigned=set(), ends={})
    consumer = SimpleNamespace(membership=membership, readings={})
    holding = SimpleNamespace(
        partition=0, closed=1, reading=0, horizon=SimpleNamespace(position=0, waits_for_rates=False)
    )
    agent = SimpleNamespace(lines=0, minutes=0, recalled=0, holdings=[holding])
    metrics.look(cast(WatchAgent, agent), cast(Consumer, consumer), rebalances=1)
    metrics.on_told([alert()], 0)
    metrics.watch.look(_standing())
    return metrics.registry


def _notifier() -> CollectorRegistry:
    """Give the figures of a notifier with one channel."""
    metrics = NotifierMetrics(FakeClock())
    channel = Channel(name="ops", kind="apprise", url_env="URL")
    alerts = SimpleNamespace(standing=_standing, invalid=0, statistics=Statistics())
    metrics.look(cast(Alerts, alerts), Desk(Memory(), [channel], stream="s", now_ms=0, late_ms=0), error=None)
    return metrics.registry


def _standing() -> Standing:
    return Standing(answered=True, settled=True, progress={0: Progress("t", 0, 1, 1, End(1, 0))})


def _row(family: Metric) -> str:
    """Write the page's line about a figure."""
    name = f"{family.name}_total" if family.type == "counter" else family.name
    labels = sorted({label for sample in family.samples for label in sample.labels} - {"le"})
    kind = "histogram" if family.type == "histogram" else ", ".join(f"`{label}`" for label in labels)
    if family.type == "histogram" and labels:
        kind += " by " + ", ".join(f"`{label}`" for label in labels)
    return f"| `{name}` |{kind and f' {kind}'} | {family.documentation} |"


def _rows(registry: CollectorRegistry, prefix: str) -> list[str]:
    return sorted(_row(family) for family in registry.collect() if family.name.startswith(prefix))


ALL = (_worker(), _watcher(), _notifier(), _sink())


@pytest.mark.parametrize(
    ("title", "registry", "prefix"),
    [
        ("Of a worker", _worker(), "spendgauge_rates_"),
        ("Of a sink", _sink(), "spendgauge_sink_"),
        ("Of a watcher", _watcher(), "spendgauge_watcher_"),
        ("Of a notifier", _notifier(), "spendgauge_notifier_"),
        ("Of all", _worker(), "process_"),
    ],
)
def test_the_page_lists_every_figure(title: str, registry: CollectorRegistry, prefix: str) -> None:
    """Each table has the registry's figures, all of them and no others, with their labels and their own words."""
    shown = re.findall(
        r"^\| `\w+` \|.*\|$", PAGE.text.partition(f"\n### {title}\n")[2].partition("\n#")[0], re.MULTILINE
    )
    assert "\n".join(sorted(shown)) == "\n".join(_rows(registry, prefix))


def test_every_figure_has_a_unit_and_a_prefix() -> None:
    """Nothing is told but our figures and the process's; all tell the same of their lag."""
    names = {family.name for registry in ALL for family in registry.collect()}
    assert {name.split("_")[0] for name in names} == {"spendgauge", "process"}
    common = {"ready", "assigned_partitions", "lag_seconds", "lag_records", "committed_lag_records", "rebalances"}
    assert {
        f"spendgauge_{room}_{name}" for room in ("rates", "watcher", "notifier", "sink") for name in common
    } <= names


def _expressions() -> Iterator[str]:
    for group in yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]:
        for rule in group["rules"]:
            assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}, rule
            yield str(rule["expr"])


def test_alerts_ask_for_figures_that_there_are() -> None:
    """Each name in a rule, and each in the page's prose, is one that one of them tells."""
    known: set[str] = set()
    for registry in ALL:
        for family in registry.collect():
            known |= {sample.name for sample in family.samples} | {family.name}
    asked = {name for text in (*_expressions(), PAGE.text) for name in _NAME.findall(text)}
    assert asked - known == set()
    assert len(list(_expressions())) > 5


def test_every_alert_is_explained() -> None:
    """The page's table of alerts names each figure that a rule watches."""
    explained = PAGE.text.partition("## What to alert on")[2].partition("\n## ")[0]
    watched = {name for expression in _expressions() for name in _NAME.findall(expression)}
    assert {name for name in watched if name not in explained} == set()
