"""Who judges a worker's partitions by the rules of ``rules.toml``?"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final

import polars as pl
import structlog

from spendgauge.schemas.alerts import Alert
from spendgauge.schemas.prices.freshness import PriceData
from spendgauge.streams.judging.judge import Configuration, Entry, KeptEntries, Moment, Verdict
from spendgauge.streams.rules.clock_desk import ClockDesk
from spendgauge.streams.rules.desk import Desk
from spendgauge.streams.rules.file import RulesFile, parse_rules
from spendgauge.streams.rules.kinds import KINDS
from spendgauge.streams.rules.rule import Rule

__all__ = ["RuleJudge"]

_CLOCK_PARTITION: Final = 0
"""Of ``cost.rates``: who has it judges by the clock, for the whole deployment."""

_log = structlog.get_logger(__name__)


class RuleJudge:
    """A ``Judge`` of absolute amounts, errors, silence, and of what has no price or an old one."""

    def __init__(self, *, prices: PriceData | None, kinds: Mapping[str, type[Rule]] = KINDS) -> None:
        """Begin with the rules that are built in; ``prices``: what ``price_data()`` says of the price data."""
        self._prices = prices
        self._kinds = kinds
        self._desks: dict[int, Desk] = {}
        self._clock_desk: ClockDesk | None = None
        """There is one for all partitions of the topic: whoever has this one judges by the clock."""
        self._file = parse_rules("", kinds=kinds)

    @property
    def series(self) -> Collection[str]:
        """Those of the rules that look at lines."""
        return {rule.series for rule in self._file.rules if rule.looks}

    def check(self, configuration: Configuration) -> None:
        """See whether this file can be used; raises ``ConfigurationError``."""
        self._parse(configuration)

    def reload(self, configuration: Configuration) -> None:
        """Go by this file; raises ``ConfigurationError``, and goes by the old one then."""
        before = self._file.rules
        self._file = self._parse(configuration)
        if self._file.rules != before:
            for note in self._file.notes:
                _log.warning("a rule may see nothing", note=note)
            for desk in self._all:
                desk.reload(self._file.rules)

    def assign(self, partition: int, kept: KeptEntries) -> Sequence[Alert]:
        """Take a partition over."""
        desk = self._desks[partition] = Desk(partition, kept, rules=self._file.rules, prices=self._prices)
        if partition != _CLOCK_PARTITION:
            return desk.unsent
        self._clock_desk = ClockDesk(partition, kept, rules=self._file.rules)
        return [*desk.unsent, *self._clock_desk.unsent]

    def revoke(self, partition: int) -> None:
        """Forget a partition."""
        self._desks.pop(partition, None)
        if partition == _CLOCK_PARTITION:
            self._clock_desk = None

    def absorb(self, partition: int, lines: pl.DataFrame) -> None:
        """Take in lines of a partition that is assigned."""
        self._desks[partition].absorb(lines)

    def close(self, until: Mapping[int, int], moment: Moment) -> Sequence[Verdict]:
        """Judge the minutes that are over, and what goes by the clock."""
        verdicts = [self._desks[partition].close(minute, moment.now) for partition, minute in until.items()]
        verdicts += [self._clock_desk.close(moment)] if self._clock_desk else []
        return [verdict for verdict in verdicts if verdict is not None]

    def save(self) -> Mapping[int, Sequence[Entry]]:
        """Say what must be kept, every five minutes."""
        saved = {partition: desk.save() for partition, desk in self._desks.items()}
        if self._clock_desk:
            saved[_CLOCK_PARTITION] += self._clock_desk.save()
        return {partition: entries for partition, entries in saved.items() if entries}

    def read_from(self, partition: int) -> int | None:
        """Name the first minute whose lines must be read again."""
        return self._desks[partition].read_from

    def history(self, partition: int) -> None:
        """Ask for nothing: what was long ago changes no judgement here."""

    def heard(self, alert: Alert) -> None:
        """Do nothing: an alert of a rule is its own incident."""

    def _parse(self, configuration: Configuration) -> RulesFile:
        return parse_rules(configuration.rules, name=configuration.rules_name, kinds=self._kinds)

    @property
    def _all(self) -> Iterator[Desk | ClockDesk]:
        yield from self._desks.values()
        if self._clock_desk:
            yield self._clock_desk
