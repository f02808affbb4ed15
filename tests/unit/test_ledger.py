"""Is each key's balance exact to the picodollar, whatever happens to those who write the lines and who read them?"""

from collections import Counter
from collections.abc import Sequence
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.ledger_worlds import FIRST_SECOND, KEYS, Event, Rates, draw_events

from spendgauge.schemas.rates import RateContribution
from spendgauge.streams.alerting.lines import read_lines
from spendgauge.streams.ledger import Account, Amounts, Books, read_ledger

_DAY = 86_400
_PATTERNS = [("user_id", ("*",)), ("total", ())]
_law = settings(deadline=None, max_examples=12)
_seeds = st.integers(0, 10**9)


class World:
    """A partition of ``cost.rates``, what is kept of it, and a reader who is killed and comes again."""

    def __init__(self, random: Random, *, kills: float) -> None:
        self.log: list[bytes] = []
        self.committed = 0
        self.kept: dict[bytes, bytes] = {}
        self.heard: Counter[tuple[object, ...]] = Counter()
        self._random = random
        self._kills = kills
        self.books = self._begin()

    def write(self, lines: Sequence[RateContribution]) -> None:
        """Let lines come."""
        self.log += [line.model_dump_json().encode() for line in lines]

    def work(self, second: int) -> None:
        """Read what is there and save it; or die before any write, and let the next one do it."""
        while not self._work(second):
            self.books = self._begin()

    def _begin(self) -> Books:
        self._next = self.committed
        return Books(_PATTERNS, read_ledger(self.kept))

    def _work(self, second: int) -> bool:
        while self._next < len(self.log):
            end = self._next + self._random.randrange(20, 200)
            self.books.absorb(read_lines(self.log[self._next : end], series={"user_id", "total"}), self._hear)
            self._next = min(end, len(self.log))
        self.books.complete()
        entries = self.books.save(second // 60 - 1, earliest_day=second // _DAY - 35)
        lives = len(entries) if self._random.random() > self._kills else self._random.randrange(len(entries) + 1)
        for key, value in entries[:lives]:
            if value is None:
                self.kept.pop(key, None)
            else:
                self.kept[key] = value
        if lives == len(entries) and self._random.random() >= self._kills:
            self.committed = self._next
            return True
        return False

    def _hear(self, account: Account, minute: int, cost: int, _tokens: int) -> None:
        self.heard[account.key, minute] += cost


def _spent(books: Books, key: tuple[str, tuple[str, ...]], start: int, end: int) -> Amounts:
    found = [account for account in books.accounts() if account.key == key]
    return found[0].spent(start, end) if found else Amounts(0, 0)


def _expected(amounts: Sequence[tuple[Event, int]], key: object, start: int, end: int) -> Amounts:
    found = [(cost, event.tokens) for event, cost in amounts if event.key == key and start <= event.second < end]
    return Amounts(sum(cost for cost, _ in found), sum(tokens for _, tokens in found))


def _run(seed: int, *, kills: float, days: int = 3, steps: int = 20, sources: int = 2) -> None:
    random = Random(seed)
    world, count = World(random, kills=kills), 240
    rates = [
        Rates(draw_events(random, count, seconds=days * _DAY), random, partition=number) for number in range(sources)
    ]
    for upto in sorted({count, *(random.randrange(1, count) for _ in range(steps))}):
        now = FIRST_SECOND + days * _DAY * upto // count
        world.write([line for one in rates for line in one.advance(upto)])
        world.work(now)
        amounts = [told for one in rates for told in one.amounts(upto)]
        for key in KEYS:
            start = now - random.choice([_DAY, 3 * _DAY, 31 * _DAY]) // 900 * 900
            start = start // 900 * 900
            assert _spent(world.books, key, start, 2**40) == _expected(amounts, key, start, 2**40)
    for key in KEYS:
        for start in range(FIRST_SECOND // _DAY * _DAY - 2 * _DAY, FIRST_SECOND + 2 * _DAY, 6 * 3600 + 900):
            assert _spent(world.books, key, start, start + _DAY) == _expected(amounts, key, start, start + _DAY)


@_law
@given(seed=_seeds)
def test_a_balance_is_the_sum_of_the_events(seed: int) -> None:
    """Cumulative lines in blocks, versions, editions, zombies and replays come to what a plain sum of events gives."""
    _run(seed, kills=0)


@_law
@given(seed=_seeds)
def test_a_balance_survives_kills_between_any_two_writes(seed: int) -> None:
    """Whoever goes on from what was kept, wherever the last one died, has the balance of one that lived."""
    _run(seed, kills=0.4)
