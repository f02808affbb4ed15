"""Do the books balance? Pure comparison of what was produced, stored, rejected and rated.

    produced    by each source, as its ``seq`` tells: the highest + 1
    stored      distinct events in the ledger
    rejected    lines that are no valid events, kept whole
    missing     produced, and neither stored nor rejected: a gap
    rated       what the contributions sum up to, in every series and hour

Balanced: nothing is missing, no source used a ``seq`` twice, and in each hour each series sums up to the stored events:
counts, tokens of every class and cost, to the last digit. Rejected and unpriced events are accounted for, so they do
not unbalance the books.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from spendgauge.schemas.rates import DEFAULT_SERIES, MEASURES

__all__ = ["Books", "Difference", "Gap", "Hours", "SourceBook", "Totals"]

Totals = tuple[int, ...]
"""One number for each of ``MEASURES``, cost in picodollars."""

Hours = Mapping[int, Totals]
"""Totals by hour, seconds since 1970 UTC."""

_NOTHING: Final = (0,) * len(MEASURES)
_ALWAYS_KEPT: Final = frozenset(spec.name for spec in DEFAULT_SERIES)


@dataclass(frozen=True)
class Gap:
    """Sequence numbers of one source, first to last, that the ledger lacks."""

    source: str
    first: int
    last: int
    unseen: bool = False
    """The workers have not seen them either: they are not in the log."""

    @property
    def events(self) -> int:
        """How many."""
        return self.last - self.first + 1


@dataclass(frozen=True)
class SourceBook:
    """What is known of one source: how many distinct ``seq`` it has used up to the highest, and where they went.

    ``first_seq`` is 0 where all of the source's life is judged. ``stored`` are events, ``rejected`` lines; ``repeated``
    are events whose ``seq`` another stored event has too.
    """

    source: str
    last_seq: int
    stored: int
    rejected: int = 0
    repeated: int = 0
    first_seq: int = 0

    @property
    def produced(self) -> int:
        """How many events the source numbered."""
        return self.last_seq - self.first_seq + 1

    @property
    def missing(self) -> int:
        """How many of them are neither stored nor rejected."""
        return max(self.produced - (self.stored - self.repeated) - self.rejected, 0)


@dataclass(frozen=True)
class Difference:
    """One measure of one series in one hour that is not the sum of the stored events."""

    series: str
    hour: int
    measure: str
    stored: int
    rated: int


@dataclass(frozen=True)
class Books:
    """All that is compared."""

    sources: Sequence[SourceBook]
    gaps: Sequence[Gap]
    stored: Hours
    rated: Mapping[str, Hours]
    foreign: int = 0
    rejected: Mapping[str, int] = field(default_factory=dict)
    waiting_merge: int = 0

    @property
    def produced(self) -> int:
        """All numbered events, and those of foreign writers, who number nothing."""
        return sum(book.produced for book in self.sources) + self.foreign

    @property
    def events(self) -> int:
        """All stored events."""
        return sum(book.stored for book in self.sources) + self.foreign

    @property
    def missing(self) -> int:
        """All events that were produced and are nowhere."""
        return sum(book.missing for book in self.sources)

    @property
    def repeated(self) -> int:
        """All stored events whose source used their ``seq`` before."""
        return sum(book.repeated for book in self.sources)

    def total(self, measure: str) -> int:
        """Sum one measure of the stored events over all hours."""
        index = MEASURES.index(measure)
        return sum(totals[index] for totals in self.stored.values())

    def differences(self) -> list[Difference]:
        """List all differences, by hour, then series. A series that was added later is judged from its first hour."""
        return sorted(self._differences(), key=lambda d: (d.hour, d.series, MEASURES.index(d.measure)))

    @property
    def balanced(self) -> bool:
        """Whether everything is accounted for."""
        return not (self.missing or self.repeated or next(self._differences(), None))

    def _differences(self) -> Iterator[Difference]:
        for series in sorted(_ALWAYS_KEPT | set(self.rated)):
            rated = self.rated.get(series, {})
            begins = 0 if series in _ALWAYS_KEPT else min(rated, default=0)
            for hour in sorted({*self.stored, *rated}):
                if hour >= begins:
                    yield from _compare(series, hour, self.stored.get(hour, _NOTHING), rated.get(hour, _NOTHING))


def _compare(series: str, hour: int, stored: Totals, rated: Totals) -> Iterable[Difference]:
    return (
        Difference(series, hour, measure, ours, theirs)
        for measure, ours, theirs in zip(MEASURES, stored, rated, strict=True)
        if ours != theirs
    )
