"""Which spikes are there in all partitions of a worker, and which of them are one incident?

Each partition has a desk. A minute is closed in all of them before anything is said of it, so that what contains
another key comes first, whichever partition it is in, and so that whoever rose is looked for in all of them. What other
workers have is known by their alerts alone.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import Final

import polars as pl

from spendgauge.schemas.alerts import Alert
from spendgauge.schemas.money import picodollars
from spendgauge.streams.alerting.amounts import NAMED, RULES, WATCHED
from spendgauge.streams.alerting.desk import Alarm, Desk, Judged
from spendgauge.streams.alerting.entries import RuleKey, read_kept
from spendgauge.streams.alerting.limits import limits_by_budget
from spendgauge.streams.alerting.rises import Rises
from spendgauge.streams.budgets import Budget, parse_budgets
from spendgauge.streams.judging.judge import Configuration, Entry, KeptEntries, Moment, Verdict
from spendgauge.streams.rules.file import parse_rules
from spendgauge.streams.spikes import OUTPUT_TOKENS, Limits, SpikeAlerts, SpikeKey, SpikeParameters, SpikeStep
from spendgauge.streams.spikes.alerts import Excess

__all__ = ["SpikeJudge"]

_MEASURES: Final = ("cost_picodollars", "output_tokens")

_NOBODY: Final = r'[\[,]""[,\]]'
"""In a key's JSON: a value that was not given. Such a key is everybody else, so nobody can be told of it."""


class SpikeJudge:
    """Judges spending, and the output tokens of models without a price."""

    def __init__(self, usd: SpikeParameters | None = None) -> None:
        """Begin without partitions; ``usd``: how money is judged, where that is not as usual."""
        self._usd = usd or SpikeParameters()
        self._limits_of: Callable[[SpikeKey], Limits] = limits_by_budget((), self._usd)
        self._configuration = Configuration()
        self._enabled = True
        self._desks: dict[int, Desk] = {}
        self._rises: dict[str, Rises] = {}
        money, tokens = (partial(self._causes, rule) for rule in RULES)
        self._writers = {
            RULES[0]: SpikeAlerts(self._usd, contributors=money, moved=self._moved),
            RULES[1]: SpikeAlerts(OUTPUT_TOKENS, contributors=tokens, unit="output tokens"),
        }

    @property
    def series(self) -> Collection[str]:
        """The series that are judged, and those whose keys are named where they rose with one."""
        return (*WATCHED, *NAMED)

    @property
    def up(self) -> int:
        """How many alarms are up."""
        return sum(not alarm.resolved for desk in self._desks.values() for alarm in desk.alarms.values())

    def assign(self, partition: int, kept: KeptEntries) -> Sequence[Alert]:
        """Take a partition over from what is kept; say which alerts may not have been sent, the first one first."""
        own = read_kept(kept)
        desk = self._desks[partition] = Desk(own, usd=self._usd, limits_of=self._limits_of)
        for (rule, key), alarm in desk.alarms.items():
            incidents = self._writers[rule].incidents
            incidents.restore(key, incident_id=alarm.incident_id, steps=alarm.steps, resolved=alarm.resolved or None)
        return own.unsent

    def revoke(self, partition: int) -> None:
        """Forget a partition at once: it is another worker's, and so are its alarms."""
        desk = self._desks.pop(partition, None)
        for rule, key in desk.alarms if desk else ():
            self._writers[rule].incidents.hand_over(key)

    def absorb(self, partition: int, lines: pl.DataFrame) -> None:
        """Take in lines (``LINES_SCHEMA``) of any minutes, in the order of the partition's log."""
        self._desks[partition].absorb(lines.filter(~pl.col("key").str.contains(_NOBODY)))

    def close(self, until: Mapping[int, int], moment: Moment) -> Sequence[Verdict]:  # noqa: ARG002 - by events
        """Judge; of each partition all minutes up to ``until[partition]`` are over."""
        ready = {
            partition: desk
            for partition, desk in self._desks.items()
            if partition in until and (desk.closed is None or until[partition] > desk.closed)
        }
        if not ready:
            return []
        told: dict[int, dict[RuleKey, list[Alert]]] = {partition: {} for partition in ready}
        for minute in sorted({minute for partition, desk in ready.items() for minute in desk.due(until[partition])}):
            judged = {
                partition: desk.close(minute)
                for partition, desk in ready.items()
                if minute <= until[partition] and (desk.closed is None or minute > desk.closed)
            }
            self._tell(judged, told)
        return [_verdict(partition, ready[partition], alerts) for partition, alerts in told.items()]

    def save(self) -> Mapping[int, Sequence[Entry]]:
        """Say for each partition what must be kept before lines are committed; nothing if it closed no minute since."""
        return {partition: entries for partition, desk in self._desks.items() if (entries := desk.save())}

    def read_from(self, partition: int) -> int | None:
        """Name the first minute whose lines must be read again after a restart; None: all that were read."""
        return self._desks[partition].read_from

    def history(self, partition: int) -> None:
        """Ask for nothing: what was long ago changes no judgement here."""

    def check(self, configuration: Configuration) -> None:
        """See whether these budgets and ``[spikes]`` can be used; raises ``ConfigurationError``."""
        _parse(configuration)

    def reload(self, configuration: Configuration) -> None:
        """Go by these budgets and ``[spikes]`` from now on: what is worth a message, what a page, and whether at all.

        Raises ``ConfigurationError``, and goes by the old ones then.
        """
        if configuration == self._configuration:
            return
        budgets, spikes = _parse(configuration)
        self._configuration, self._enabled = configuration, spikes is not None
        self._limits_of = limits_by_budget(budgets, spikes or self._usd)
        for desk in self._desks.values():
            desk.reload(self._limits_of)

    def heard(self, alert: Alert) -> None:
        """Hear of an alert on ``cost.alerts``, of any worker: what is up elsewhere may be part of the same incident."""
        key = alert.series, alert.key
        if alert.rule not in self._writers or any((alert.rule, key) in desk.alarms for desk in self._desks.values()):
            return
        incidents = self._writers[alert.rule].incidents
        if alert.state == "resolved":
            incidents.hear_end(key)
        else:
            excess = picodollars(Decimal(alert.excess_usd))
            incidents.hear(key, alert.evaluated_at // 60 - 1, incident_id=alert.incident_id, excess=excess)

    def _tell(self, judged: Mapping[int, Sequence[Judged]], told: dict[int, dict[RuleKey, list[Alert]]]) -> None:
        """Write the alerts of a closing, those of all partitions together, to the partition that each is of."""
        places = {one.name: partition for partition, steps in judged.items() for one in steps}
        if not places:
            return
        for rule, measure in zip(RULES, _MEASURES, strict=True):
            minutes = [desk.minutes for desk in self._desks.values()]
            self._rises[rule] = Rises(minutes, measure=measure, window_minutes=self._usd.window_minutes)
            steps = [one.step for found in judged.values() for one in found if one.rule == rule]
            for alert in self._writers[rule].alerts(steps):
                name = rule, (alert.series, alert.key)
                if self._is_said(alert, self._desks[places[name]].alarms.get(name), told[places[name]].get(name)):
                    told[places[name]].setdefault(name, []).append(alert)
        self._rises.clear()

    def _is_said(self, alert: Alert, known: Alarm | None, told: Sequence[Alert] | None) -> bool:
        """Raise nothing while spikes are disabled; what was raised before is resolved, and nothing else is."""
        if alert.state == "raised":
            return self._enabled or alert.rule != RULES[0]
        if told and told[-1].state != "resolved":
            return True
        return known is not None and not known.resolved

    def _causes(self, rule: str, step: SpikeStep) -> Sequence[Excess]:
        return self._rises[rule].causes(step)

    def _moved(self, step: SpikeStep, other: SpikeKey) -> bool:
        return self._rises[RULES[0]].moved_with(step, other)


def _parse(configuration: Configuration) -> tuple[Sequence[Budget], SpikeParameters | None]:
    budgets = parse_budgets(configuration.budgets, name=configuration.budgets_name)
    return budgets, parse_rules(configuration.rules, name=configuration.rules_name).spikes


def _verdict(partition: int, desk: Desk, alerts: Mapping[RuleKey, Sequence[Alert]]) -> Verdict:
    """Say what is kept and sent: of one key in its order, and of all in the order of time, containing keys first."""
    everything = sorted((one for told in alerts.values() for one in told), key=lambda one: one.evaluated_at)
    return Verdict(partition, entries=desk.entries(alerts), alerts=everything)
