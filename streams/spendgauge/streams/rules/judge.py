"""Who judges a worker's partitions by the rules of ``rules.toml``?"""

from collections.abc import Collection, Mapping, Sequence

import polars as pl
import structlog

from spendgauge.schemas.alerts import Alert
from spendgauge.schemas.prices.freshness import PriceData
from spendgauge.streams.judging.judge import Configuration, Entry, KeptEntries, Moment, Verdict
from spendgauge.streams.rules.desk import Desk
from spendgauge.streams.rules.file import parse_rules
from spendgauge.streams.rules.kinds import KINDS
from spendgauge.streams.rules.rule import Rule

__all__ = ["RuleJudge"]

_log = structlog.get_logger(__name__)


class RuleJudge:
    """A ``Judge`` of absolute amounts, errors, silence, and of what has no price or an old one."""

    def __init__(self, *, prices: PriceData | None, kinds: Mapping[str, type[Rule]] = KINDS) -> None:
        """Begin with the rules that are built in; ``prices``: what ``price_data()`` says of the price data."""
        self._prices = prices
        self._kinds = kinds
        self._desks: dict[int, Desk] = {}
        self._file = parse_rules("", kinds=kinds)

    @property
    def series(self) -> Collection[str]:
        """Those of the rules that look at lines."""
        return {rule.series for rule in self._file.rules if rule.looks}

    def reload(self, configuration: Configuration) -> None:
        """Go by this file; raises ``ConfigurationError``, and goes by the old one then."""
        before = self._file.rules
        self._file = parse_rules(configuration.rules, name=configuration.rules_name, kinds=self._kinds)
        if self._file.rules != before:
            for note in self._file.notes:
                _log.warning("a rule may see nothing", note=note)
            for desk in self._desks.values():
                desk.reload(self._file.rules)

    def assign(self, partition: int, kept: KeptEntries) -> Sequence[Alert]:
        """Take a partition over."""
        desk = self._desks[partition] = Desk(partition, kept, rules=self._file.rules, prices=self._prices)
        return desk.unsent

    def revoke(self, partition: int) -> None:
        """Forget a partition."""
        self._desks.pop(partition, None)

    def absorb(self, partition: int, lines: pl.DataFrame) -> None:
        """Take in lines of a partition that is assigned."""
        self._desks[partition].absorb(lines)

    def close(self, until: Mapping[int, int], moment: Moment) -> Sequence[Verdict]:
        """Judge the minutes that are over."""
        verdicts = (self._desks[partition].close(minute, moment.now) for partition, minute in until.items())
        return [verdict for verdict in verdicts if verdict is not None]

    def save(self) -> Mapping[int, Sequence[Entry]]:
        """Say what must be kept, every five minutes."""
        saved = {partition: desk.save() for partition, desk in self._desks.items()}
        return {partition: entries for partition, entries in saved.items() if entries}

    def read_from(self, partition: int) -> int | None:
        """Name the first minute whose lines must be read again."""
        return self._desks[partition].read_from

    def heard(self, alert: Alert) -> None:
        """Do nothing: an alert of a rule is its own incident."""
