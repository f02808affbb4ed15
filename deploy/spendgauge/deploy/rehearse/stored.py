"""What traffic does ClickHouse hold? The rates of a period, as the lines that a watcher has read of it."""

from collections.abc import Collection, Iterator
from typing import Any, Final

import polars as pl
from clickhouse_connect.driver.client import Client

from spendgauge.deploy.rehearse.minutes import MINUTE_SECONDS
from spendgauge.insights.asking import ask_values
from spendgauge.insights.periods import DAY_MS, Period
from spendgauge.insights.queries import Query
from spendgauge.schemas.money import PICODOLLARS_PER_USD
from spendgauge.schemas.rates import MEASURES
from spendgauge.streams.judging.lines import LINES_SCHEMA, key_text

__all__ = ["stored_lines", "stored_span"]

_SUMS: Final = {name: name for name in LINES_SCHEMA if name in MEASURES and name != MEASURES[-1]} | {
    "tokens": "total_tokens"
}
"""A line's counts, and the columns of the view."""
_PLACE: Final = {"stream": "clickhouse", "partition": 0, "block": 0, "rank": 0}
_WATCHED: Final = "pane_seconds <= 60 AND 60 % pane_seconds = 0"
"""As what is watched live: a minute is a multiple of the pane."""


def stored_span(client: Client, period: Period) -> tuple[int, int] | None:
    """Say when the first and the last pane of a period begin, in seconds since 1970 UTC; None: it has none."""
    condition, parameters = period.condition("pane_start")
    sql = f"""SELECT count(), toUnixTimestamp(min(pane_start)), toUnixTimestamp(max(pane_start))
FROM rates
WHERE series = 'total' AND {_WATCHED} AND {condition}"""
    ((count, first, last),) = ask_values(client, Query(sql, dict(parameters)))
    return (int(first), int(last)) if count else None


def stored_lines(client: Client, span: tuple[int, int], *, series: Collection[str]) -> Iterator[pl.DataFrame]:
    """Yield the lines of a span, a day at a time, each day's in the order of minutes."""
    first, last = span
    for start_ms in range(first * 1000 // DAY_MS * DAY_MS, last * 1000 + 1, DAY_MS):
        period = Period(max(start_ms, first * 1000), min(start_ms + DAY_MS, (last + 1) * 1000))
        yield _lines(ask_values(client, _question(period, series)))


def _question(period: Period, series: Collection[str]) -> Query:
    condition, parameters = period.condition("pane_start")
    sums = ", ".join(f"sum(r.{column})" for column in _SUMS.values())
    sql = f"""SELECT series, key, intDiv(toUnixTimestamp(pane_start), {MINUTE_SECONDS}) AS minute, {sums},
    toInt64(sum(r.cost_usd) * toInt64({PICODOLLARS_PER_USD}))
FROM rates AS r
WHERE series IN {{series:Array(String)}} AND {_WATCHED} AND {condition}
GROUP BY series, key, minute
ORDER BY minute"""
    return Query(sql, dict(parameters) | {"series": sorted(series)})


def _lines(rows: list[tuple[Any, ...]]) -> pl.DataFrame:
    names = ("series", "key", "minute", *_SUMS, MEASURES[-1])
    schema = dict.fromkeys(names, pl.Int64()) | {"series": pl.String(), "key": pl.List(pl.String)}
    read = pl.DataFrame(rows, schema=schema, orient="row")
    known = {
        "key": key_text(),
        "pane_start": pl.col("minute") * MINUTE_SECONDS,
        **{name: pl.lit(value) for name, value in _PLACE.items()},
    }
    return read.select(known.get(name, pl.col(name)).cast(dtype).alias(name) for name, dtype in LINES_SCHEMA.items())
