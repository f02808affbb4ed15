"""How do several judges sit as one? Each hears what it asked for; what they say is put together by partition."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import polars as pl

from spendgauge.schemas.alerts import Alert
from spendgauge.streams.judging.judge import Configuration, Entry, History, Judge, KeptEntries, Moment, Verdict

__all__ = ["Bench", "Saved"]

Saved = Mapping[int, tuple[Sequence[Entry], int | None]]
"""By partition: what is to be kept, and the first minute whose lines are needed again once it is; None: all."""


class Bench:
    """All judges of a worker; for one thread at a time."""

    def __init__(self, judges: Sequence[Judge], configuration: Configuration) -> None:
        """Raises ``ConfigurationError`` where any of them cannot use the configuration."""
        self._judges = judges
        self._partitions: set[int] = set()
        self.reload(configuration)

    @property
    def series(self) -> set[str]:
        """The series that any of them wants."""
        return {series for judge in self._judges for series in judge.series}

    def reload(self, configuration: Configuration) -> None:
        """Go by other files from now on: all judges, or where one of them cannot, none.

        Raises that one's ``ConfigurationError``.
        """
        for judge in self._judges:
            judge.check(configuration)  # gone by for a moment, a file would end what it does not have
        for judge in self._judges:
            judge.reload(configuration)

    def assign(self, partition: int, kept: KeptEntries) -> list[Alert]:
        """Take a partition over; say which alerts may not have been sent, the first one first."""
        self._partitions.add(partition)
        return _in_order(alert for judge in self._judges for alert in judge.assign(partition, kept))

    def histories(self, partition: int) -> list[History]:
        """Give all that must hear the partition's log from its beginning."""
        asked = [judge.history(partition) for judge in self._judges]
        return [one for one in asked if one is not None]

    def revoke(self, partition: int) -> None:
        """Forget a partition."""
        self._partitions.discard(partition)
        for judge in self._judges:
            judge.revoke(partition)

    def absorb(self, partition: int, lines: pl.DataFrame) -> None:
        """Take in lines."""
        for judge in self._judges:
            judge.absorb(partition, lines.filter(pl.col("series").cast(pl.String).is_in(list(judge.series))))

    def close(self, until: Mapping[int, int], moment: Moment) -> list[Verdict]:
        """Judge what is over, and say what follows, one verdict a partition."""
        said: dict[int, list[Verdict]] = defaultdict(list)
        for judge in self._judges:
            for verdict in judge.close(until, moment):
                said[verdict.partition].append(verdict)
        return [_joined(partition, verdicts) for partition, verdicts in sorted(said.items())]

    def save(self) -> Saved:
        """Say what must be kept before lines are committed, and which lines those are not."""
        entries: dict[int, list[Entry]] = defaultdict(list)
        for judge in self._judges:
            for partition, own in judge.save().items():
                entries[partition] += own
        return {partition: (entries[partition], self._read_from(partition)) for partition in self._partitions}

    def heard(self, alerts: Iterable[Alert]) -> None:
        """Hear of alerts on ``cost.alerts``."""
        for alert in alerts:
            for judge in self._judges:
                judge.heard(alert)

    def _read_from(self, partition: int) -> int | None:
        asked = [judge.read_from(partition) for judge in self._judges]
        known = [minute for minute in asked if minute is not None]
        return min(known) if known and len(known) == len(asked) else None


def _joined(partition: int, verdicts: Sequence[Verdict]) -> Verdict:
    return Verdict(
        partition,
        entries=[entry for verdict in verdicts for entry in verdict.entries],
        alerts=_in_order(alert for verdict in verdicts for alert in verdict.alerts),
        quotas=[entry for verdict in verdicts for entry in verdict.quotas],
    )


def _in_order(alerts: Iterable[Alert]) -> list[Alert]:
    return sorted(alerts, key=lambda alert: alert.evaluated_at)
