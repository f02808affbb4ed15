"""Which events were counted before, and which are missing? As sets of numbers, one for each source."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

__all__ = ["NaiveSource", "SourceReport", "runs_of"]


class SourceReport(NamedTuple):
    """What is to be said of a source of one stream."""

    missing: tuple[tuple[int, int], ...]
    """First and last ``seq`` of each gap."""
    repeats: int
    shared: bool

    @property
    def numbers(self) -> set[int]:
        """All that is missing."""
        return {number for first, last in self.missing for number in range(first, last + 1)}


@dataclass
class NaiveSource:
    """What is known of one source in one stream."""

    counted: set[int] = field(default_factory=set)
    base: int | None = 0
    """Below this nothing is called missing: another stream saw what came before. None: nobody knows, the first event
    or end that goes on will tell."""
    repeats: int = 0
    shared: bool = False
    known: SourceReport | None = None
    """What was said of it in the stream before."""
    rejected: set[int] = field(default_factory=set)
    """The numbers of lines that were rejected: not counted, and not missing."""
    reached: int = 0
    """One more than the highest number of an event, or what an end has said."""
    _block: int = -1
    _ids: dict[int, str] = field(default_factory=dict)
    """The event ids seen in this block, by ``seq``."""
    _seen: set[str] = field(default_factory=set)

    def is_new(self, block: int, seq: int, event_id: str) -> bool:
        """Remember an event; say whether it was not counted before."""
        self._begin(seq, goes_on=seq >= self.next_seq)
        self.reached = max(self.reached, seq + 1)
        if block != self._block:
            self._block, self._ids, self._seen = block, {}, set()
        self.shared = self.shared or self._ids.setdefault(seq, event_id) != event_id
        new = event_id not in self._seen if self.shared else seq not in self.counted
        self._seen.add(event_id)
        self.counted.add(seq)
        self.repeats += not new
        return new

    def reject(self, seq: int) -> None:
        """Remember the number of a rejected line."""
        if not self.shared:
            self.rejected.add(seq)

    def end(self, next_seq: int) -> None:
        """Remember that all below this number was used."""
        if not self.shared:
            self._begin(next_seq, goes_on=next_seq > self.next_seq)
            self.reached = max(self.reached, next_seq)

    def _begin(self, seq: int, *, goes_on: bool) -> None:
        if self.base is None and goes_on:
            self.base = seq

    @property
    def next_seq(self) -> int:
        """The number that is expected next: those of rejected lines are not waited for."""
        number = self.reached
        while number in self.rejected:
            number += 1
        return number

    def carried_over(self) -> "NaiveSource":
        """Go on in the stream that follows."""
        known = SourceReport((), self.repeats, self.shared)
        following = NaiveSource(set(self.counted), self.next_seq, self.repeats, self.shared, known, set(self.rejected))
        following.reached = self.reached
        return following

    @property
    def is_worth_a_word(self) -> bool:
        """Say whether there is something to say that was not said in the stream before."""
        return self.report() != (self.known or SourceReport((), 0, shared=False))

    def report(self) -> SourceReport:
        """Say what is missing now."""
        seen = self.counted | self.rejected
        expected = range(self.reached if self.base is None else self.base, self.reached)
        missing = () if self.shared else runs_of(seq for seq in expected if seq not in seen)
        return SourceReport(missing, self.repeats, self.shared)


def runs_of(numbers: Iterable[int]) -> tuple[tuple[int, int], ...]:
    """Put neighbours together: first and last of each run; ``numbers`` rise."""
    runs: list[tuple[int, int]] = []
    for number in numbers:
        if runs and runs[-1][1] == number - 1:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    return tuple(runs)
