"""What must ClickHouse be asked to balance the books? The texts only; nothing here touches a connection.

A source's numbers are counted as bitmaps: exact, and about a bit each, so that a source may have any number of events.
A period other than ``ALWAYS`` judges the hours in it, and of each source the numbers between its first and its last
event in it.

Columns are named with their table wherever an alias has the same name: ClickHouse takes the alias, in WHERE too.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from spendgauge.insights.periods import ALWAYS, Period
from spendgauge.insights.queries import Query
from spendgauge.schemas.rates import MEASURES

__all__ = [
    "foreign_events",
    "gaps_of",
    "open_gaps",
    "rated_hours",
    "rejected_by_reason",
    "rows_waiting_for_merge",
    "source_books",
    "stored_hours",
]

_OF_EVENTS: Final = {
    "requests": "countIf(kind = 'usage')",
    "errors": "countIf(kind = 'usage' AND status = 'error')",
    "unpriced": "countIf(cost_usd IS NULL)",
    "cost_picodollars": "ifNull(sum(cost_usd), 0)",
}
"""How the measures that are no columns are taken from events."""

_NUMBERED: Final = """(
    SELECT toString(e.source) AS source, assumeNotNull(e.seq) AS seq, 1 AS is_stored
    FROM usage AS e
    WHERE e.seq IS NOT NULL
    UNION ALL
    SELECT JSONExtractString(r.value, 'source') AS source, JSONExtractInt(r.value, 'seq') AS seq, 0 AS is_stored
    FROM rejected AS r
    WHERE JSONHas(r.value, 'seq') AND JSONExtractString(r.value, 'source') != ''
)"""
"""Every number that is accounted for: of a stored event, or of a rejected line."""

_UNNUMBERED: Final = """(
    SELECT assumeNotNull(r.key) AS source, count() AS lines
    FROM rejected AS r
    WHERE r.key IS NOT NULL AND NOT JSONHas(r.value, 'seq')
    GROUP BY source
)"""
"""Rejected lines in which no number can be read; the record's key says whose they are."""


_KNOWN: Final = f"""(
    SELECT source, seq, is_stored, 0 AS is_missed FROM {_NUMBERED}
    UNION ALL
    SELECT toString(g.source) AS source, g.last_seq AS seq, 0 AS is_stored, 1 AS is_missed FROM gaps AS g
)"""
"""The same, and the last number of each run that the workers miss: of what was lost at a source's end, or of all that
it sent, the ledger knows nothing."""


def source_books(period: Period = ALWAYS) -> Query:
    """Ask where each source's numbers are.

    Columns: ``first_seq`` and ``last_seq`` judged, ``stored`` events, how many numbers are ``distinct_stored`` and
    ``accounted`` for, and rejected lines that are ``unnumbered``. The last number is one that was stored, or that the
    workers miss, or that was rejected just behind those: a bad line proves nothing by itself.
    """
    judged = """
INNER JOIN (
    SELECT toString(e.source) AS source, min(assumeNotNull(e.seq)) AS first_seq, max(assumeNotNull(e.seq)) AS last_seq
    FROM usage AS e
    WHERE e.seq IS NOT NULL AND $within
    GROUP BY source
) AS j ON n.source = j.source
WHERE n.seq BETWEEN j.first_seq AND j.last_seq AND n.is_missed = 0"""
    always = period == ALWAYS
    return _about(
        period,
        "occurred_at",
        f"""SELECT
    source, first_seq, stored, distinct_stored, unnumbered,
    toUInt64(last_known + 1) AS after,
    bitmapCardinality(bitmapSubsetInRange(numbers, after, toUInt64(bitmapMax(numbers) + 1))) AS behind,
    bitmapToArray(bitmapSubsetInRange(numbers, after, after + behind)) AS plausible,
    if(empty(plausible), last_known, toInt64(arrayMax(plausible))) AS last_seq,
    bitmapCardinality(bitmapSubsetInRange(numbers, toUInt64(first_seq), toUInt64(last_seq + 1))) AS accounted
FROM (
    SELECT
        n.source AS source,
        {"toInt64(0)" if always else "any(j.first_seq)"} AS first_seq,
        max(if(n.is_stored + n.is_missed > 0, n.seq, -1)) AS last_known,
        groupBitmapStateIf(toUInt64(n.seq), n.is_missed = 0) AS numbers,
        sum(n.is_stored) AS stored,
        groupBitmapIf(toUInt64(n.seq), n.is_stored = 1) AS distinct_stored,
        ifNull(any(u.lines), 0) AS unnumbered
    FROM {_KNOWN} AS n
    LEFT JOIN {_UNNUMBERED} AS u ON n.source = u.source{"" if always else judged}
    GROUP BY source
)
WHERE last_seq >= first_seq
ORDER BY source""",
    )


def gaps_of(judged: Mapping[str, tuple[int, int]], *, limit: int) -> Query:
    """Ask for the runs of numbers, first to last, that are missing in these sources, between these numbers."""
    firsts, lasts = [pair[0] for pair in judged.values()], [pair[1] for pair in judged.values()]
    return Query(
        f"""SELECT source, previous + 1 AS first, seq - 1 AS last
FROM (
    SELECT source, seq, transform(source, {{sources:Array(String)}}, {{firsts:Array(Int64)}}, toInt64(0)) AS first_seq,
        lagInFrame(seq, 1, first_seq - 1)
            OVER (PARTITION BY source ORDER BY seq ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS previous
    FROM (
        SELECT source, seq FROM {_NUMBERED}
        UNION ALL
        SELECT one.1 AS source, one.2 + 1 AS seq
        FROM (SELECT arrayJoin(arrayZip({{sources:Array(String)}}, {{lasts:Array(Int64)}})) AS one)
    )
    WHERE has({{sources:Array(String)}}, source)
        AND seq >= transform(source, {{sources:Array(String)}}, {{firsts:Array(Int64)}}, toInt64(0))
        AND seq <= transform(source, {{sources:Array(String)}}, {{lasts:Array(Int64)}}, toInt64(0)) + 1
)
WHERE seq > previous + 1
ORDER BY source, first
LIMIT {{limit:UInt32}}""",
        {"sources": list(judged), "firsts": firsts, "lasts": lasts, "limit": limit},
    )


def open_gaps(sources: Iterable[str]) -> Query:
    """Ask which numbers of these sources the workers miss: ``source``, ``first``, ``last``, in order."""
    return Query(
        """SELECT g.source AS source, g.first_seq AS first, g.last_seq AS last
FROM gaps AS g
WHERE has({sources:Array(String)}, g.source)
ORDER BY source, first, last""",
        {"sources": list(sources)},
    )


def stored_hours(period: Period = ALWAYS) -> Query:
    """Ask for each hour's totals of the stored events: ``hour`` (seconds since 1970), then ``MEASURES``."""
    measures = ",\n    ".join(f"{_OF_EVENTS.get(name, f'sum({name})')} AS total_{name}" for name in MEASURES)
    return _about(
        period,
        "occurred_at",
        f"""SELECT
    toInt64(toUnixTimestamp(toStartOfHour(occurred_at))) AS hour,
    {measures}
FROM usage
WHERE $within
GROUP BY hour""",
    )


def rated_hours(period: Period = ALWAYS) -> Query:
    """Ask for each series' and hour's totals of the contributions: ``series``, ``hour``, then ``MEASURES``."""
    columns = ("cost_usd" if name == "cost_picodollars" else name for name in MEASURES)
    measures = ",\n    ".join(f"sum({name}) AS total_{name}" for name in columns)
    return _about(
        period,
        "pane_start",
        f"""SELECT
    toString(series) AS series,
    toInt64(toUnixTimestamp(toStartOfHour(pane_start))) AS hour,
    {measures}
FROM rates
WHERE $within
GROUP BY series, hour""",
    )


def foreign_events(period: Period = ALWAYS) -> Query:
    """Ask how many stored events have no number."""
    return _about(period, "occurred_at", "SELECT count() AS events FROM usage WHERE seq IS NULL AND $within")


def rejected_by_reason(period: Period = ALWAYS) -> Query:
    """Ask how many lines were rejected, by reason."""
    return _about(
        period,
        "received_at",
        """SELECT toString(reason) AS reason, count() AS lines
FROM rejected
WHERE $within
GROUP BY reason
ORDER BY lines DESC, reason""",
    )


def rows_waiting_for_merge() -> Query:
    """Ask how many rows of the ledger are repetitions that the view leaves out and the next merges remove."""
    return Query("SELECT (SELECT count() FROM usage_events) - (SELECT count() FROM usage) AS extra")


def _about(period: Period, column: str, sql: str) -> Query:
    """Put the period's condition on a column where the text says ``$within``."""
    condition, parameters = period.condition(column)
    return Query(sql.replace("$within", condition), dict(parameters))
