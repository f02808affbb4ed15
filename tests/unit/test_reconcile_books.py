"""Is every way in which books can fail to balance seen, and told in words?"""

from dataclasses import replace

import pytest

from spendgauge.insights.books import Books, Difference, Gap, SourceBook, Totals
from spendgauge.insights.positions import Position
from spendgauge.insights.reconcile import Reconciliation
from spendgauge.insights.reconcile_text import as_json, as_sentences
from spendgauge.schemas.rates import DEFAULT_SERIES, MEASURES

HOUR = 1_767_268_800
"""2026-01-01T12:00:00Z"""

SERIES = [spec.name for spec in DEFAULT_SERIES]


def totals(**measures: int) -> Totals:
    return tuple(measures.get(name, 0) for name in MEASURES)


USAGE = totals(requests=10, input_tokens=1_000, output_tokens=50, cost_picodollars=1_500_000_000)

BALANCED = Books(
    sources=[SourceBook("api@h#1", last_seq=8, stored=8, rejected=1)],
    gaps=[],
    stored={HOUR: USAGE},
    rated={series: {HOUR: USAGE} for series in SERIES},
    foreign=2,
    rejected={"invalid_event": 1},
)

CAUGHT_UP = [Position("spendgauge-sink", "usage.events", 0, begin=0, end=5, committed=5)]


def told(books: Books, positions: list[Position] | None = None) -> str:
    return "\n".join(as_sentences(Reconciliation(books, CAUGHT_UP if positions is None else positions)))


def with_rated(series: str, hour: int, rated: Totals) -> Books:
    return replace(BALANCED, rated={**BALANCED.rated, series: {**BALANCED.rated.get(series, {}), hour: rated}})


def test_balanced_books_balance() -> None:
    """Stored plus rejected is what was produced, and every series says what is stored."""
    assert BALANCED.balanced
    assert (BALANCED.produced, BALANCED.events, BALANCED.missing) == (11, 10, 0)
    assert (
        told(BALANCED).startswith("The books balance.\nproduced  9 events by 1 source and 2 without a number\n")
        is False
    )
    assert told(BALANCED).splitlines()[:2] == [
        "The books balance.",
        "produced  11 events by 1 source and 2 without a number",
    ]


def test_a_missing_event_is_seen() -> None:
    """A number that is neither stored nor rejected unbalances the books, and the gap is named."""
    books = replace(
        BALANCED, sources=[SourceBook("api@h#1", last_seq=9, stored=8, rejected=1)], gaps=[Gap("api@h#1", 4, 4)]
    )
    assert (books.missing, books.balanced) == (1, False)
    assert "source api@h#1 lacks 1 event: seq 4" in told(books)
    assert "lacks 6 events: seq 4 to 9" in told(replace(books, gaps=[Gap("api@h#1", 4, 9)]))


def test_what_never_reached_the_log_is_said() -> None:
    """A gap that the workers see too is the producer's or the broker's, and one that only the ledger has is not."""
    found = told(replace(BALANCED, gaps=[Gap("s", 1, 2, unseen=True), Gap("s", 4, 4)])).splitlines()
    assert found[-2:] == [
        "source s lacks 2 events: seq 1 to 2; the workers have not seen them either",
        "source s lacks 1 event: seq 4",
    ]


def test_a_number_used_twice_is_seen() -> None:
    """Two stored events with one seq of one source unbalance the books, and do not hide one that is missing."""
    books = replace(BALANCED, sources=[SourceBook("api@h#1", last_seq=8, stored=8, repeated=1, rejected=1)])
    assert (books.repeated, books.missing, books.balanced) == (1, 1, False)
    assert "source api@h#1 gave 1 event a seq that it had used before" in told(books)


@pytest.mark.parametrize("series", SERIES)
def test_a_series_that_lacks_an_hour_is_seen(series: str) -> None:
    """A series without an hour that has events differs in every measure of that hour."""
    books = replace(BALANCED, rated={**BALANCED.rated, series: {}})
    assert not books.balanced
    assert Difference(series, HOUR, "requests", stored=10, rated=0) in books.differences()


def test_a_series_that_is_missing_altogether_is_seen() -> None:
    """The usual series must all be there."""
    books = replace(BALANCED, rated={series: hours for series, hours in BALANCED.rated.items() if series != "agent"})
    assert {difference.series for difference in books.differences()} == {"agent"}


def test_too_much_is_seen_too() -> None:
    """Rates of an hour without any stored event unbalance the books."""
    books = with_rated("total", HOUR + 3600, USAGE)
    assert books.differences()[0] == Difference("total", HOUR + 3600, "requests", stored=0, rated=10)


@pytest.mark.parametrize("measure", MEASURES)
def test_one_of_anything_is_seen(measure: str) -> None:
    """A single token, request or picodollar, in any measure, is a difference."""
    index = MEASURES.index(measure)
    rated = tuple(value + (place == index) for place, value in enumerate(USAGE))
    books = with_rated("feature", HOUR, rated)
    assert books.differences() == [Difference("feature", HOUR, measure, stored=USAGE[index], rated=USAGE[index] + 1)]
    assert not books.balanced


def test_a_series_that_came_later_is_judged_from_then_on() -> None:
    """A series beyond the usual ones owes nothing for hours before its first, and everything after."""
    early = totals(requests=1)
    books = replace(BALANCED, stored={HOUR - 3600: early, HOUR: USAGE})
    books = replace(books, rated={series: dict(books.stored) for series in SERIES} | {"mine": {HOUR: USAGE}})
    assert books.balanced
    assert not replace(books, rated={**books.rated, "mine": {HOUR - 3600: early}}).balanced


def test_records_that_are_not_read_yet_are_told() -> None:
    """While a group of consumers has records to read nothing is balanced, and the group is named."""
    behind = [replace(CAUGHT_UP[0], committed=2), Position("spendgauge-rates", "usage.events", 0, 0, 5, None)]
    found = Reconciliation(BALANCED, behind)
    assert (found.balanced, found.behind) == (False, {"spendgauge-sink": 3, "spendgauge-rates": 5})
    assert "group spendgauge-sink has still to read 3 records" in told(BALANCED, behind)


def test_only_what_the_broker_keeps_can_be_read() -> None:
    """Records that retention has removed are nobody's debt, nor are those that came after the look."""
    assert Position("g", "t", 0, begin=90, end=100, committed=None).behind == 10
    assert Position("g", "t", 0, begin=0, end=0, committed=None).behind == 0
    assert Position("g", "t", 0, begin=0, end=100, committed=40).until(60).behind == 20
    assert Position("g", "t", 0, begin=0, end=100, committed=70).until(60).behind == 0


def test_a_difference_is_told_once_for_all_series_that_show_it() -> None:
    """Series that differ alike in an hour share a sentence, which says the hour and how much."""
    less = totals(requests=9, input_tokens=1_000, output_tokens=50, cost_picodollars=1_400_000_000)
    books = replace(BALANCED, rated={series: {HOUR: less} for series in SERIES})
    sentences = told(books).splitlines()
    assert sentences[0] == "The books do not balance."
    assert sentences[-1] == (
        "hour 2026-01-01T12:00:00Z: the rates of all 12 series have "
        "1 requests fewer than stored; 0.000100000000 USD less than stored"
    )
    assert "the rates of team have 10 requests fewer than stored;" in told(with_rated("team", HOUR, totals()))


def test_a_long_list_of_faults_is_cut() -> None:
    """After ten faults the rest is counted."""
    books = replace(BALANCED, gaps=[Gap("s", number, number) for number in range(0, 50, 2)])
    assert told(books).splitlines()[-1] == "and 15 more; --json tells all"


def test_json_has_every_number() -> None:
    """The JSON form has totals, sources, gaps and differences, with money as exact text."""
    books = replace(with_rated("total", HOUR, totals(requests=10)), gaps=[Gap("s", 1, 2)])
    told_all = as_json(Reconciliation(books, CAUGHT_UP))
    assert told_all["balanced"] is False
    assert told_all["totals"]["cost_usd"] == "0.001500000000"
    assert told_all["gaps"] == [{"source": "s", "first": 1, "last": 2, "unseen_by_workers": False}]
    assert told_all["differences"][-1] == {
        "series": "total",
        "hour": "2026-01-01T12:00:00Z",
        "measure": "cost_usd",
        "stored": "0.001500000000",
        "rated": "0.000000000000",
    }
