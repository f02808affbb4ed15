"""What may ``cost.rates`` hold of some events, in which order, and what is each key's balance after all?

The rates workers here do what the real ones do: they read a log of events in blocks, write cumulative lines block after
block, commit, die, and begin again with the block that they had committed, perhaps with other prices and so in another
edition. Zombies write on for a while. What is drawn is what may happen; the balance is a plain sum.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from tests.alerting_worlds import contribution

from spendgauge.schemas.rates import RateContribution

__all__ = ["FIRST_SECOND", "Event", "Rates", "draw_events"]

FIRST_SECOND = 29_400_000 * 60
BLOCK = 24
KEYS = (("user_id", ("u1",)), ("user_id", ("u2",)), ("total", ()))
_LATE_SECONDS = (0, 0, 0, 0, 600, 7200, 86_400, 29 * 86_400)

Key = tuple[str, tuple[str, ...]]


@dataclass(frozen=True)
class Event:
    """One offset of a source partition."""

    key: Key
    second: int
    cost: int
    tokens: int


def draw_events(random: Random, count: int, *, seconds: int) -> list[Event]:
    """Draw events in the order of their log: mostly of now, some late by up to 29 days, some taken back."""
    events = []
    for number in range(count):
        now = FIRST_SECOND + number * seconds // count
        cost = random.choice([1, 10**9, 3 * 10**12 + 7, -(10**10), 0])
        events.append(Event(random.choice(KEYS), now - random.choice(_LATE_SECONDS), cost, random.randrange(5)))
    return events


class Rates:
    """The rates workers of one source partition, one after the other."""

    def __init__(self, events: list[Event], random: Random, *, partition: int = 0) -> None:
        self.events = events
        self._random = random
        self._partition = partition
        self._book = 1
        self._edition = 0
        self._books: dict[int, int] = {}
        self._committed = self._next = self._all_from = 0
        self._edition_begun_at = -1
        self._zombies: list[RateContribution] = []

    def advance(self, upto: int) -> Iterator[RateContribution]:
        """Read on, and write in some flushes, with accidents between them; all up to there is committed in the end."""
        while self._committed < upto:
            fate = self._random.random()
            if fate < 0.1:
                self._restart(new_book=fate < 0.05)
            end = min(self._next + self._random.randrange(1, 2 * BLOCK), upto)
            written = list(self._flush(end))
            self._zombies += self._random.sample(written, min(2, len(written)))
            if fate > 0.9:  # it dies amid writing
                yield from written[: self._random.randrange(len(written) + 1)]
                self._restart(new_book=False)
                continue
            yield from written
            self._next = end
            if fate < 0.7:
                self._committed = end
            if self._zombies and fate < 0.3:
                yield self._zombies.pop(self._random.randrange(len(self._zombies)))

    def amounts(self, upto: int) -> Iterator[tuple[Event, int]]:
        """Say what each event costs by the book that its block was priced with in the end."""
        for offset, event in enumerate(self.events[:upto]):
            yield event, event.cost * self._books[offset // BLOCK]

    def _restart(self, *, new_book: bool) -> None:
        """Begin with the block that is committed; all of it is written again where it is priced anew."""
        if new_book:
            self._book += 1
            self._edition += 1
            self._edition_begun_at = self._committed
        self._next = self._committed // BLOCK * BLOCK
        self._all_from = self._next if self._committed <= self._edition_begun_at else self._committed

    def _flush(self, end: int) -> Iterator[RateContribution]:
        """Write what the offsets up to ``end`` add, a block at a time, as cumulative totals."""
        for block in range(self._next // BLOCK, (end - 1) // BLOCK + 1):
            last = min((block + 1) * BLOCK, end)
            self._books[block] = self._book
            totals: dict[tuple[Key, int], list[int]] = {}
            dirty = set()
            for offset in range(block * BLOCK, last):
                event = self.events[offset]
                pane = event.key, event.second // 10 * 10
                total = totals.setdefault(pane, [0, 0])
                total[0] += event.cost * self._book
                total[1] += event.tokens
                if offset >= max(self._next, self._all_from):
                    dirty.add(pane)
            for pane in sorted(dirty):
                (key, second), (cost, tokens) = pane, totals[pane]
                line = contribution(
                    key, second, cost, block=block, version=last - 1, edition=self._edition, input_tokens=tokens
                )
                yield line.model_copy(update={"partition": self._partition})
