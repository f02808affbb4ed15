"""Can a gateway be started in a way that lets anybody in? And does docs/gateway.md say what it is told and tells?"""

import re
from pathlib import Path

import pytest
from tests.pages import Page
from tests.rooms import ROOT

from spendgauge.producers.emitter import ProducerStats
from spendgauge.producers.gateway.document import event_schema
from spendgauge.producers.gateway.figures import Figures
from spendgauge.producers.gateway.settings import GatewaySettings
from spendgauge.producers.gateway.taking import Outcome
from spendgauge.producers.quotas import QuotaVerdict
from spendgauge.schemas import ConfigurationError, UsageEvent

TEXT = Page(ROOT / "docs" / "gateway.md").text
SPOOL = {"spool_dir": "spool"}


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({}, "a gateway needs keys: make one with"),
        ({"gateway_open": True, "gateway_host": "0.0.0.0"}, "without keys a gateway at 0.0.0.0 would take events from"),
        ({"gateway_open": True, "gateway_keys": Path("k.toml")}, "a gateway is open or has keys"),
        ({"gateway_open": True, "durability": "memory"}, "SPENDGAUGE_DURABILITY='memory' cannot be used"),
        ({"gateway_open": True, "spool_dir": ""}, "SPENDGAUGE_DURABILITY=process needs SPENDGAUGE_SPOOL_DIR"),
    ],
)
def test_what_would_be_unsafe_is_refused(given: dict[str, object], reason: str) -> None:
    """Nobody gets in without a key from elsewhere, and an answer is never given for an event in memory."""
    with pytest.raises(ConfigurationError, match=reason):
        GatewaySettings.from_environment({}, **SPOOL | given)


def test_two_ways_to_start() -> None:
    """Open on this machine, or with keys anywhere; the producer's settings are the gateway's."""
    here = GatewaySettings.from_environment({"SPENDGAUGE_GATEWAY_OPEN": "1", "SPENDGAUGE_LANES": "4"}, **SPOOL)
    assert (here.gateway_host, here.gateway_port, here.durability, here.lanes) == ("127.0.0.1", 8318, "process", 4)
    there = GatewaySettings.from_environment({}, **SPOOL, gateway_host="0.0.0.0", gateway_keys="k.toml")
    assert there.gateway_keys == Path("k.toml")


def test_the_page_lists_every_setting() -> None:
    """The table of limits has the gateway's own settings in order, with default and description."""
    own = {name: field for name, field in GatewaySettings.model_fields.items() if name.startswith("gateway_")}
    rows = re.findall(r"^\| `(gateway_\w+)` \| (.*?) \| (.+) \|$", TEXT, re.MULTILINE)
    shown = {name: f"`{field.default}`" if field.default is not None else "" for name, field in own.items()}
    assert rows == [(name, shown[name], field.description) for name, field in own.items()]


def test_the_page_lists_every_figure() -> None:
    """The table of figures is what ``/metrics`` gives, labels and words too."""
    figures = Figures(ProducerStats, list)
    figures.on_reply("/v1/usage", 202)
    figures.on_outcomes("key", [Outcome("taken")])
    figures.on_check("key", QuotaVerdict())
    rows = re.findall(r"^\| `(spendgauge_gateway_\w+)` \|(.*)\| (.+) \|$", TEXT, re.MULTILINE)
    told = [
        (
            f"{family.name}_total" if family.type == "counter" else family.name,
            ", ".join(f"`{label}`" for label in sorted({label for s in family.samples for label in s.labels})),
            family.documentation,
        )
        for family in figures.collect()
    ]
    assert [(name, labels.strip(), text) for name, labels, text in rows] == told


def test_senders_see_the_event_without_what_is_the_gateways() -> None:
    """The OpenAPI schema of an event has every field but source and seq, and asks for provider and model only."""
    schema = event_schema()
    assert set(UsageEvent.model_fields) - set(schema["properties"]) == {"source", "seq"}
    assert schema["required"] == ["provider", "model"]
    assert schema["additionalProperties"] is False
