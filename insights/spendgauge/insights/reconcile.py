"""How do I know that nothing was lost? Ask the database and the broker, compare, and say what does not balance."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from clickhouse_connect.driver.client import Client

from spendgauge.insights.asking import ask_rows, ask_values
from spendgauge.insights.books import Books, Gap, SourceBook, Totals
from spendgauge.insights.periods import ALWAYS, Period
from spendgauge.insights.positions import Position, group_positions
from spendgauge.insights.queries import Query
from spendgauge.insights.reconcile_queries import (
    foreign_events,
    gaps_of,
    open_gaps,
    rated_hours,
    rejected_by_reason,
    rows_waiting_for_merge,
    source_books,
    stored_hours,
)
from spendgauge.schemas import Clock, KafkaSettings
from spendgauge.schemas.money import picodollars

__all__ = ["Reconciliation", "fetch_books", "reconcile"]

_MOST_GAPS: Final = 1_000
_POLL_SECONDS: Final = 1.0


@dataclass(frozen=True)
class Reconciliation:
    """The books, and how far each group of consumers was just before they were read."""

    books: Books
    positions: list[Position]

    @property
    def behind(self) -> dict[str, int]:
        """How many records each group has still to read."""
        groups: dict[str, int] = defaultdict(int)
        for position in self.positions:
            groups[position.group] += position.behind
        return dict(groups)

    @property
    def balanced(self) -> bool:
        """Whether everything was read, and everything is accounted for."""
        return not any(self.behind.values()) and self.books.balanced


def reconcile(
    client: Client,
    kafka: KafkaSettings,
    groups: Mapping[str, Iterable[str]],
    *,
    clock: Clock,
    wait_seconds: float = 0,
    period: Period = ALWAYS,
) -> Reconciliation:
    """Balance the books; where they do not balance, look again until they do or ``wait_seconds`` have passed.

    ``groups`` are the consumer groups and the topics each must have read, as far as they reached at the beginning: what
    comes in meanwhile is nobody's debt. The books are read when the groups have caught up, or at the end.
    """
    deadline = clock.monotonic() + wait_seconds
    goal = positions = group_positions(kafka, groups)
    while True:
        last = clock.monotonic() >= deadline
        if last or not any(position.behind for position in positions):
            found = Reconciliation(fetch_books(client, period=period), positions)
            if last or found.balanced:
                return found
        clock.sleep(min(_POLL_SECONDS, max(deadline - clock.monotonic(), 0.05)))
        positions = [now.until(then.end) for now, then in zip(group_positions(kafka, groups), goal, strict=True)]


def fetch_books(client: Client, *, period: Period = ALWAYS) -> Books:
    """Read the books from the database."""
    sources = [_source_book(row) for row in ask_rows(client, source_books(period))]
    lacking = [book for book in sources if book.missing]
    rated: dict[str, dict[int, Totals]] = defaultdict(dict)
    for series, hour, *totals in ask_values(client, rated_hours(period)):
        rated[series][hour] = _totals(totals)
    return Books(
        sources=sources,
        gaps=_gaps(client, lacking) if lacking else [],
        stored={hour: _totals(totals) for hour, *totals in ask_values(client, stored_hours(period))},
        rated=rated,
        foreign=_number(client, foreign_events(period)),
        rejected=dict(ask_values(client, rejected_by_reason(period))),
        waiting_merge=_number(client, rows_waiting_for_merge()),
    )


def _source_book(row: Mapping[str, Any]) -> SourceBook:
    produced = row["last_seq"] - row["first_seq"] + 1
    unnumbered = min(row["unnumbered"], produced - row["accounted"])
    return SourceBook(
        source=row["source"],
        first_seq=row["first_seq"],
        last_seq=row["last_seq"],
        stored=row["stored"],
        repeated=row["stored"] - row["distinct_stored"],
        rejected=row["accounted"] - row["distinct_stored"] + unnumbered,
    )


def _gaps(client: Client, books: Iterable[SourceBook]) -> list[Gap]:
    judged = {book.source: (book.first_seq, book.last_seq) for book in books}
    missed: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for source, first, last in ask_values(client, open_gaps(judged)):
        missed[source].append((first, last))
    found = ask_values(client, gaps_of(judged, limit=_MOST_GAPS))
    return [Gap(source, first, last, _holds(missed[source], first, last)) for source, first, last in found]


def _holds(ranges: Iterable[tuple[int, int]], first: int, last: int) -> bool:
    """Say whether ranges, in order, hold all numbers from first to last together."""
    for low, high in ranges:
        if low <= first <= high:
            first = high + 1
    return first > last


def _totals(values: Iterable[Any]) -> Totals:
    *counts, cost = values
    return (*(int(count) for count in counts), picodollars(cost))


def _number(client: Client, query: Query) -> int:
    return int(ask_values(client, query)[0][0])
