"""Do rows arrive whatever happens: outages, too much at once, rows that nobody can store?"""

from dataclasses import dataclass, field
from random import Random

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.producers import FakeClock
from tests.sinks import refusal

from spendgauge.sinks.delivery import AbandonedError, Backoff, Delivery, month_slices
from spendgauge.sinks.failures import Fault, fault_of

JANUARY, FEBRUARY = 1_767_225_600_000, 1_769_904_000_000
CONSTRAINT, MEMORY, REFUSED = 469, 241, None


@dataclass
class Database:
    """Takes frames of one column ``n``, unless it is told not to."""

    bad: frozenset[int] = frozenset()
    down_for: int = 0
    down_code: int | None = REFUSED
    most_rows: int = 10**9
    stored: list[int] = field(default_factory=list)
    sends: int = 0

    def send(self, frame: pl.DataFrame) -> None:
        """Store a frame or raise what ClickHouse would."""
        self.sends += 1
        if self.down_for:
            self.down_for -= 1
            raise refusal(self.down_code, "Connection refused")
        if frame.height > self.most_rows:
            raise refusal(MEMORY, "DB::Exception: memory limit exceeded")
        rows = frame["n"].to_list()
        if self.bad.intersection(rows):
            raise refusal(CONSTRAINT)
        self.stored += rows


def delivery(
    database: Database, clock: FakeClock, *, heard: list[str] | None = None, patience: float = 1e9
) -> Delivery:
    """Deliver to ``database``, on a clock that needs no waiting."""

    def wait(seconds: float) -> bool:
        clock.sleep(seconds)
        return clock.monotonic() < patience

    def on_retry(_attempt: int, reason: str) -> None:
        if heard is not None:
            heard.append(reason)

    return Delivery(database.send, wait, on_retry, Backoff(random=Random(1)))


def rows(count: int) -> pl.DataFrame:
    """Make a frame of the numbers below ``count``."""
    return pl.DataFrame({"n": range(count)})


@given(st.integers(1, 300), st.sets(st.integers(0, 299), max_size=8))
def test_bad_rows_are_found_one_by_one(count: int, bad: set[int]) -> None:
    """Every row is either stored once or returned with the reason; no neighbour of a bad row is lost."""
    database = Database(bad=frozenset(bad))
    refused = delivery(database, FakeClock()).store(rows(count))
    assert sorted(database.stored) == [n for n in range(count) if n not in bad]
    assert [r.frame["n"].to_list() for r in refused] == [[n] for n in sorted(bad) if n < count]
    assert {r.detail for r in refused} <= {"a constraint is violated"}


def test_a_bad_row_costs_few_attempts() -> None:
    """Halving finds one bad row among 100,000 in about two attempts a halving."""
    database = Database(bad=frozenset([77_777]))
    delivery(database, FakeClock()).store(rows(100_000))
    assert database.sends <= 2 * 18


@pytest.mark.parametrize("code", [None, 60, 81, 202, 210, 242, 243, 252, 319, 516, 999])
def test_an_outage_is_waited_out(code: int | None) -> None:
    """A failure that is not the rows' fault is tried again until it is over, and costs no row."""
    database, heard = Database(down_for=50, down_code=code), list[str]()
    assert delivery(database, FakeClock(), heard=heard).store(rows(10)) == []
    assert database.stored == list(range(10))
    assert heard == ["Connection refused"] * 50


def test_waiting_grows_to_a_cap() -> None:
    """Waits double from 0.1 to 10 seconds; each is between half and all of its step."""
    delays = Backoff(random=Random(7)).delays()
    steps = [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10, 10, 10]
    for step, delay in zip(steps, delays, strict=False):
        assert step / 2 <= delay <= step


def test_waiting_ends_where_it_makes_no_sense() -> None:
    """A sink that stops while ClickHouse is away gives up instead of waiting for ever."""
    clock = FakeClock()
    with pytest.raises(AbandonedError, match="Connection refused"):
        delivery(Database(down_for=10**9), clock, patience=60).store(rows(3))
    assert 60 <= clock.monotonic() <= 70


def test_too_much_at_once_is_halved() -> None:
    """Where memory does not suffice, smaller INSERTs are tried, and no row is given up."""
    database = Database(most_rows=2_000)
    assert delivery(database, FakeClock()).store(rows(10_000)) == []
    assert sorted(database.stored) == list(range(10_000))


def test_short_memory_for_few_rows_is_waited_out() -> None:
    """A thousand rows are not too much: then others have taken the memory, and it comes back."""
    database = Database(down_for=5, down_code=MEMORY)
    assert delivery(database, FakeClock()).store(rows(1000)) == []
    assert database.sends == 6


def test_a_refusal_of_everything_is_no_rows_fault() -> None:
    """Where not one of a hundred rows can be stored, nothing is dead-lettered: the sink waits and says why."""
    database, heard = Database(bad=frozenset(range(500))), list[str]()
    with pytest.raises(AbandonedError, match="refuses each of 100 rows"):
        delivery(database, FakeClock(), heard=heard, patience=1).store(rows(500))
    assert heard[0] == "it refuses each of 100 rows; look at the table's constraints"


def test_many_bad_rows_among_good_ones_are_isolated() -> None:
    """More than a hundred bad rows are still found, as long as others can be stored."""
    database = Database(bad=frozenset(range(50, 250)))
    refused = delivery(database, FakeClock()).store(rows(400))
    assert len(refused) == 200
    assert sorted(database.stored) == [*range(50), *range(250, 400)]


def test_what_must_not_be_given_up_is_not() -> None:
    """Without isolation a refusal is waited out like an outage: dead letters have no further dead letters."""
    with pytest.raises(AbandonedError, match="a constraint is violated"):
        delivery(Database(bad=frozenset([1])), FakeClock(), patience=1).store(rows(3), isolate=False)


@pytest.mark.parametrize(
    ("code", "fault"), [(469, Fault.ROW), (407, Fault.ROW), (241, Fault.SIZE), (None, Fault.OTHER)]
)
def test_faults_are_judged_by_code(code: int | None, fault: Fault) -> None:
    """The server's code says whose fault it is; a transport's failure has none and is nobody's."""
    assert fault_of(refusal(code)) is fault


@given(st.lists(st.integers(0, 3), min_size=1, max_size=40), st.integers(1, 7))
def test_slices_hold_one_month_and_all_rows(months: list[int], most: int) -> None:
    """Slices are short, each within one month, and together they are the frame."""
    start = [JANUARY, FEBRUARY - 1, FEBRUARY, FEBRUARY + 40 * 86_400_000]
    frame = pl.DataFrame({"at_ms": [start[month] for month in months], "n": range(len(months))})
    slices = list(month_slices(frame, month_of="at_ms", max_rows=most))
    assert all(0 < part.height <= most for part in slices)
    named = pl.from_epoch(pl.col("at_ms"), time_unit="ms").dt.strftime("%Y%m").n_unique()
    assert [part.select(named).item() for part in slices] == [1] * len(slices)
    assert sorted(n for part in slices for n in part["n"]) == list(range(len(months)))


def test_an_unpartitioned_table_is_cut_by_size_only() -> None:
    """Without a month every row may share a part; no rows make no slice."""
    frame = pl.DataFrame({"at_ms": [JANUARY, FEBRUARY], "n": [0, 1]})
    assert [part.height for part in month_slices(frame, month_of="", max_rows=10)] == [2]
    assert [part.height for part in month_slices(frame[:0], month_of="at_ms", max_rows=10)] == []
