"""Is each key's balance exact to the picodollar, whatever happens to those who write the lines and who read them?"""

import json
from collections import Counter
from collections.abc import Sequence
from random import Random
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.alerting_worlds import contribution
from tests.ledger_worlds import FIRST_SECOND, KEYS, Event, Rates, draw_events

from spendgauge.schemas.rates import RateContribution
from spendgauge.streams.judging.lines import read_lines
from spendgauge.streams.ledger import Account, AccountKey, Amounts, Books, Patterns, ledger, read_ledger
from spendgauge.streams.ledger.covers import Covers
from spendgauge.streams.ledger.entries import hour_key
from spendgauge.streams.ledger.recall import Recall

_DAY = 86_400
_PATTERNS = [("user_id", ("*",)), ("total", ())]
_EDITS: tuple[list[AccountKey], ...] = ([], [("total", ())], [("user_id", ("u1",))], [("user_id", ("*",))], _PATTERNS)
_law = settings(deadline=None, max_examples=12)
_seeds = st.integers(0, 10**9)


class World:
    """A partition of ``cost.rates``, what is kept of it, and a reader who is killed and comes again."""

    def __init__(self, random: Random, *, kills: float, patterns: Sequence[AccountKey] = _PATTERNS) -> None:
        self.log: list[bytes] = []
        self.patterns = self._before = patterns
        self.joined = 0
        """How many accounts have come with their past."""
        self._times: list[int] = []
        self._recall: Recall | None = None
        self._recalled = 0
        self.committed = 0
        self.kept: dict[bytes, bytes] = {}
        self.heard: Counter[tuple[object, ...]] = Counter()
        self._random = random
        self._kills = kills
        self.begin()

    @property
    def recalls(self) -> bool:
        """Whether the past is still read for keys that are new."""
        return self._recall is not None

    def write(self, lines: Sequence[RateContribution], second: int) -> None:
        """Let lines come."""
        self.log += [line.model_dump_json().encode() for line in lines]
        self._times += [second] * len(lines)

    def work(self, second: int) -> None:
        """Read what is there and save it; or die before any write, and let the next one do it."""
        while not self._work(second):
            self.begin()

    def cover(self, patterns: Sequence[AccountKey]) -> None:
        """Ask for other keys."""
        self._before, self.patterns = self.patterns, patterns
        self.books.cover(patterns)
        self._ask()

    def begin(self) -> None:
        """Be killed, and come again, maybe with the file as it was before."""
        self.patterns = self._random.choice([self.patterns, self._before])
        self._next, self._recall = self.committed, None
        self._known = len(self.log)  # so far whoever was killed may have read
        self.books = Books(self.patterns, read_ledger(self.kept))
        if self.committed:
            self._ask()

    def _ask(self) -> None:
        recall = self.books.recall(self._on_joined)
        if recall is not None:
            self._recall, self._recalled = recall, 0

    def _read_past(self) -> None:
        """Read on in the past for a while; where that is as far as the others are, join them, or do so later."""
        if self._recall is None:
            return
        if not self._recall.wanted:
            self._recall = None
            return
        end = min(self._next, self._recalled + self._random.choice([30, 100, 1000]))
        if end > self._recalled:
            lines = read_lines(self.log[self._recalled : end], series=self._recall.series)
            self._recall.absorb(lines, self._times[end - 1])
            self._recalled = end
        if self._recalled == self._next >= self._known and self._random.random() < 0.5:
            self._recall.join()

    def _on_joined(self, accounts: Sequence[Account]) -> None:
        self._recall = None
        self.joined += len(accounts)

    def _work(self, second: int) -> bool:
        while self._next < len(self.log):
            end = self._next + self._random.randrange(20, 200)
            self.books.absorb(read_lines(self.log[self._next : end], series={"user_id", "total"}), self._hear)
            self._next = min(end, len(self.log))
            self._read_past()
        self._read_past()
        self.books.complete()
        self.books.forget(second // _DAY - 35)
        entries = self.books.save(second // 60 - 1)
        lives = len(entries) if self._random.random() > self._kills else self._random.randrange(len(entries) + 1)
        for key, value in entries[:lives]:
            if value is None:
                self.kept.pop(key, None)
            else:
                self.kept[key] = value
        if lives == len(entries) and self._random.random() >= self._kills:
            self.committed = self._next if self.books.read_from is None else self.committed
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
        world.write([line for one in rates for line in one.advance(upto)], now)
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


@settings(deadline=None, max_examples=8)
@given(seed=_seeds, kills=st.sampled_from([0, 0.3]))
def test_a_key_that_is_added_later_has_the_balance_of_one_that_was_there(seed: int, kills: float) -> None:
    """Wherever its past joins the present: in the middle of blocks, versions, editions, zombies, after kills, after the
    file has changed again, with days that were packed meanwhile; and while it is kept, a little with each saving."""
    with patch.object(ledger, "_MOST_LATER", seed % 7 + 1):
        _add_later(Random(seed), kills=kills)


def _add_later(random: Random, *, kills: float) -> None:
    count, days = 240, 3
    world = World(random, kills=kills, patterns=random.choice(_EDITS))
    rates = [Rates(draw_events(random, count, seconds=days * _DAY), random, partition=number) for number in range(2)]
    for upto in sorted({count, *(random.randrange(1, count) for _ in range(30))}):
        now = FIRST_SECOND + days * _DAY * upto // count
        world.write([line for one in rates for line in one.advance(upto)], now)
        if random.random() < 0.3:
            world.cover(random.choice(_EDITS))
        world.work(now)
    for _ in range(2):
        world.cover(_PATTERNS)
    while world.recalls:
        world.work(now)
    amounts = [told for one in rates for told in one.amounts(count)]
    for _ in range(3):
        for key in KEYS:
            for start in range(FIRST_SECOND // _DAY * _DAY - 2 * _DAY, FIRST_SECOND + 3 * _DAY, 6 * 3600 + 900):
                assert _spent(world.books, key, start, start + _DAY) == _expected(amounts, key, start, start + _DAY)
            assert _spent(world.books, key, 0, 2**40) == _expected(amounts, key, 0, 2**40)
        world.committed = max(world.committed - 400, 0)  # it dies, and reads again what it did
        world.begin()
        world.work(now)
        while world.recalls:
            world.work(now)


def _books(lines: Sequence[RateContribution], books: Books | None = None) -> Books:
    books = books or Books(_PATTERNS)
    text = [line.model_dump_json().encode() for line in lines]
    books.absorb(read_lines(text, series={"user_id", "total"}), lambda *_: None)
    books.complete()
    return books


def _kept(entries: Sequence[tuple[bytes, bytes | None]], kept: dict[bytes, bytes]) -> list[bytes]:
    for key, value in entries:
        if value is None:
            kept.pop(key, None)
        else:
            kept[key] = value
    return [key for key, value in entries if value is not None]


def test_of_a_block_that_stays_open_for_days_only_what_changed_is_written_again() -> None:
    """A quiet source's places wait in the records of their hours; a saving writes the hour that is spent in."""
    total, kept, books = ("total", ()), dict[bytes, bytes](), Books(_PATTERNS)
    for hour in range(50):
        second = FIRST_SECOND + hour * 3600
        books = _books([contribution(total, second, 10**9, version=hour)], books)
        written = _kept(books.save(second // 60), kept)
        assert written == [hour_key(total, second // 3600), b'["ledger"]']
    assert books.places == 50
    assert all(len(value) < 300 for value in kept.values())
    books = _books([contribution(total, FIRST_SECOND + 60 * 3600, 1, block=block) for block in (1, 2)], books)
    for number in range(3):
        _kept(books.save(FIRST_SECOND // 60 + 61 * 60 + number), kept)
    assert books.places <= 1
    assert _spent(Books(_PATTERNS, read_ledger(kept)), total, 0, 2**40) == Amounts(50 * 10**9 + 2, 0)


def test_past_days_are_packed_and_those_beyond_any_period_removed() -> None:
    """A day becomes one record, its hours go with the next saving; a day out of reach leaves nothing behind."""
    total, kept, books = ("total", ()), dict[bytes, bytes](), Books(_PATTERNS)
    first_day = FIRST_SECOND // _DAY
    for hour in range(24 * 45):
        second = FIRST_SECOND + hour * 3600
        line = contribution(total, second, 10**9, block=hour)
        books = _books([line], books)
        books.forget(second // _DAY - 35)
        _kept(books.save(second // 60), kept)
    days = sorted(json.loads(key)[3] for key in kept if len(json.loads(key)) == 4)
    hours = [json.loads(key)[3] for key in kept if len(json.loads(key)) == 5]
    last_day = second // _DAY
    assert days == list(range(last_day - 35, days[-1] + 1))
    assert days[-1] >= last_day - 2
    assert len(hours) <= 2 * 24
    assert min(hours) > days[-1]
    assert _spent(books, total, 0, 2**40) == _spent(Books(_PATTERNS, read_ledger(kept)), total, 0, 2**40)
    late = contribution(total, (last_day - 20) * _DAY + 100, 5, block=10**6)
    books = _books([late, contribution(total, first_day * _DAY, 7, block=10**6)], books)
    books.forget(last_day - 35)
    _kept(books.save(second // 60), kept)
    whole = Books(_PATTERNS, read_ledger(kept))
    assert _spent(whole, total, (last_day - 20) * _DAY, (last_day - 19) * _DAY) == Amounts(24 * 10**9 + 5, 0)
    assert _spent(whole, total, 0, (last_day - 36) * _DAY) == Amounts(0, 0)


def test_an_account_that_nothing_is_left_of_is_dropped() -> None:
    """With its last day: who comes and goes costs no more than those who are there. Who comes back begins anew."""
    kept, books = dict[bytes, bytes](), Books(_PATTERNS)
    held = []
    for day in range(60):
        second = FIRST_SECOND + day * _DAY
        books = _books([contribution(("user_id", (f"u{day}",)), second, 10**9, block=day)], books)
        gone = books.forget(second // _DAY - 35)
        assert [account.key[1] for account in gone] == ([(f"u{day - 36}",)] if day >= 36 else [])
        _kept(books.save(second // 60), kept)
        held.append((len(list(books.accounts())), len(kept)))
    assert held[-1] == held[45]
    assert held[-1][0] == 36
    back = ("user_id", ("u0",))
    books = _books([contribution(back, second, 10**9, block=99)], books)
    assert _spent(books, back, 0, 2**40) == Amounts(10**9, 0)
    _kept(books.save(second // 60), kept)
    assert _spent(Books(_PATTERNS, read_ledger(kept)), back, 0, 2**40) == Amounts(10**9, 0)


def test_a_budget_that_is_put_back_while_its_keys_are_removed_is_whole_or_read_again() -> None:
    """Whoever is killed while it removes what it no longer covers, and goes on with the file as it was: no balance is
    what was not removed yet."""
    kept, user = dict[bytes, bytes](), ("user_id", ("u1",))
    books = _books([contribution(user, FIRST_SECOND + hour * 3600, 10**9, block=hour) for hour in range(5)])
    _kept(books.save(FIRST_SECOND // 60), kept)
    for goes_on in (books, Books([("total", ())], read_ledger(kept))):
        goes_on.cover([("total", ())])
        state = dict(kept)
        for number in range(3):
            for entry in goes_on.save(FIRST_SECOND // 60 + number):
                _kept([entry], state)
                back = Books(_PATTERNS, read_ledger(state))
                assert back.recall(lambda _: None) or _spent(back, user, 0, 2**40) == Amounts(5 * 10**9, 0)
        assert list(state) == [b'["ledger"]']


def test_a_budget_that_comes_back_before_its_keys_were_removed_is_whole_or_read_again() -> None:
    """What the log still holds of it does not mix with what is kept of it, whoever is killed while it is written."""
    kept, user = dict[bytes, bytes](), ("user_id", ("u1",))
    lines = [contribution(user, FIRST_SECOND + hour * 3600, 10**9, block=hour) for hour in range(5)]
    books = _books(lines)
    _kept(books.save(FIRST_SECOND // 60), kept)
    books.cover([("total", ())])
    books.cover(_PATTERNS)
    recall = books.recall(lambda _: None)
    assert recall
    recall.absorb(read_lines([line.model_dump_json().encode() for line in lines[3:]], series=recall.series), 0.0)
    recall.join()
    for number in range(3):
        for entry in books.save(FIRST_SECOND // 60 + number):
            _kept([entry], kept)
            back = Books(_PATTERNS, read_ledger(kept))
            whole = 5 if number == 0 else 2
            assert back.recall(lambda _: None) or _spent(back, user, 0, 2**40) == Amounts(whole * 10**9, 0)
        books.complete()
    assert back.recall(lambda _: None) is None
    assert _spent(books, user, 0, 2**40) == Amounts(2 * 10**9, 0)


def test_only_keys_that_are_asked_for_have_accounts() -> None:
    """A star is each value that is given; others, and what is not given, are not kept."""
    named = [("user_id", (name,)) for name in ("u1", "", "u2")]
    books = Books([("user_id", ("u1",)), ("total", ())])
    _books([contribution(key, FIRST_SECOND, 1) for key in [*named, ("total", ())]], books)
    assert {account.key for account in books.accounts()} == {("user_id", ("u1",)), ("total", ())}
    assert {account.key for account in _books([contribution(key, FIRST_SECOND, 1) for key in named]).accounts()} == {
        ("user_id", ("u1",)),
        ("user_id", ("u2",)),
    }


def test_what_another_version_kept_is_left_out() -> None:
    """An entry that cannot be read takes nothing of its neighbours with it."""
    good = hour_key(("total", ()), 5)
    kept = {
        b'["ledger","total",[],0]': b'{"round":0}',
        b'["ledger",7]': b"{}",
        b'["ledger"]': b"[]",
        b'["spike","total",[]]': b"{}",
        good: b'{"minutes":[[60,7,1]]}',
    }
    entries = read_ledger(kept)
    assert entries.ledger is None
    assert set(entries.hours) == {(("total", ()), 5)}
    assert entries.days == {}


_VALUES = st.sampled_from(["", "a", "b", "*"])
_PATTERN = st.tuples(st.sampled_from(["s", "t"]), st.tuples(_VALUES, _VALUES, _VALUES) | st.tuples(_VALUES))


def _names(pattern: AccountKey, key: AccountKey) -> bool:
    """Say by hand whether a pattern names a key."""
    same = pattern[0] == key[0] and len(pattern[1]) == len(key[1])
    return same and all(x == y or (x == "*" and y != "") for x, y in zip(pattern[1], key[1], strict=True))


@given(patterns=st.lists(_PATTERN, max_size=12), others=st.lists(_PATTERN, max_size=12), key=_PATTERN)
def test_patterns_name_the_keys_that_a_scan_would_find(
    patterns: list[AccountKey], others: list[AccountKey], key: AccountKey
) -> None:
    """In the order they were given; and what two sets name together, or only one, is what each names by itself."""
    assert Patterns((one, number) for number, one in enumerate(patterns)).of(key) == [
        number for number, one in enumerate(patterns) if _names(one, key)
    ]
    ours, theirs = Covers(patterns), Covers(others)
    mine, yours = any(_names(one, key) for one in patterns), any(_names(one, key) for one in others)
    assert (key in ours, key in theirs) == (mine, yours)
    if "*" not in key[1]:
        assert (key in ours.meet(theirs), key in ours.beyond(theirs)) == (mine and yours, mine and not yours)


def test_a_thousand_names_cost_each_key_no_more_than_one() -> None:
    """A key is looked up and not compared with each; what is named before and after an edit, by its own names."""
    few, many = (Covers(("user_id", (f"u{one}",)) for one in range(number)) for number in (10, 10_000))
    looked = [sum(1 for one in each.patterns for _ in each._named.near(one)) for each in (few, many)]
    assert looked == [10, 10_000]
    assert many.meet(few).patterns == few.patterns
