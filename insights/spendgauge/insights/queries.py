"""What does it cost, by what? The questions that everybody asks, as SQL for ``clickhouse-connect``.

Each function builds one query and touches no connection. They read the view ``usage``, in which every event stands
once. Amounts stay decimals: an average is ``sum / count``, because ClickHouse's ``avg`` is a float. Events of models
without a price are counted in ``unpriced`` and take no part in sums and averages of cost: where nothing has a price
the cost is NULL, not 0.
"""

from dataclasses import dataclass, field
from typing import Any, Final

from spendgauge.insights.periods import ALWAYS, Period

__all__ = [
    "Query",
    "cost_by_agent",
    "cost_by_date",
    "cost_by_feature",
    "cost_by_hour_of_day",
    "cost_by_model",
    "cost_by_session",
    "cost_by_user",
    "cost_per_minute",
    "daily_trend",
    "top_entities",
]

_SUMS: Final = """countIf(kind = 'usage') AS calls,
    sum(total_tokens) AS total_tokens,
    sum(cost_usd) AS total_cost_usd,
    countIf(cost_usd IS NULL) AS unpriced"""

_PER_CALL: Final = (
    """total_cost_usd / nullIf(countIf(kind = 'usage' AND cost_usd IS NOT NULL), 0) AS cost_per_call_usd"""
)
_ENTITIES: Final = "uniqExactIf(entity_id, entity_id != '') AS entities"
_PER_ENTITY: Final = "total_cost_usd / nullIf(entities, 0) AS cost_per_entity_usd"


@dataclass(frozen=True)
class Query:
    """A text and the values of its ``{name:Type}`` parameters."""

    sql: str
    parameters: dict[str, Any] = field(default_factory=dict)


def cost_by_date(period: Period = ALWAYS) -> Query:
    """Ask for each day's cost, tokens and entities, the latest first. *Units*: days in UTC."""
    return _grouped("toDate(occurred_at) AS date", period, columns=[_SUMS, _ENTITIES], order="date DESC")


def cost_by_agent(period: Period = ALWAYS) -> Query:
    """Ask for each agent's cost and its share of the whole, the dearest first."""
    return _ranked("agent", period)


def cost_by_feature(period: Period = ALWAYS) -> Query:
    """Ask for each feature's cost and its share of the whole, the dearest first."""
    return _ranked("feature", period)


def cost_by_model(period: Period = ALWAYS) -> Query:
    """Ask for each model's cost, tokens and averages, the dearest first."""
    average = "total_tokens / greatest(calls, 1) AS tokens_per_call"
    return _ranked("provider, model", period, average)


def cost_by_user(period: Period = ALWAYS, *, limit: int = 10) -> Query:
    """Ask for the dearest users."""
    return _ranked("user_id", period, _ENTITIES, limit=limit)


def cost_by_session(period: Period = ALWAYS, *, limit: int = 10) -> Query:
    """Ask for the dearest sessions."""
    spans = "min(occurred_at) AS first_at, max(occurred_at) AS last_at"
    return _ranked("session_id", period, _ENTITIES, _PER_ENTITY, spans, limit=limit)


def top_entities(period: Period = ALWAYS, *, limit: int = 10) -> Query:
    """Ask for the dearest things worked on (submissions, tickets), with a user and a session of theirs."""
    who = "anyHeavy(user_id) AS user_id, uniqExact(session_id) AS sessions, min(occurred_at) AS first_at"
    return _ranked("entity_id", period, who, limit=limit, given="entity_id != ''")


def daily_trend(period: Period = ALWAYS) -> Query:
    """Ask for each day's cost, a call and an entity, the latest first. *Units*: days in UTC."""
    columns = [_SUMS, _ENTITIES, _PER_CALL, _PER_ENTITY]
    return _grouped("toDate(occurred_at) AS date", period, columns=columns, order="date DESC")


def cost_by_hour_of_day(period: Period = ALWAYS, *, time_zone: str = "UTC") -> Query:
    """Ask for calls and cost by the hour of the day, 0 to 23, on the clock of a time zone."""
    query = _grouped(
        "toHour(occurred_at, {time_zone:String}) AS hour_of_day",
        period,
        columns=[_SUMS, _PER_CALL],
        order="hour_of_day",
    )
    return Query(query.sql, query.parameters | {"time_zone": time_zone})


def cost_per_minute(period: Period = ALWAYS) -> Query:
    """Ask for the cost of each minute that has any, in order, from the rates: what a stream processor saw."""
    condition, parameters = period.condition("pane_start")
    return Query(
        f"""SELECT toStartOfMinute(pane_start) AS minute, sum(cost_usd) AS total_cost_usd, sum(requests) AS calls
FROM rates
WHERE series = 'total' AND {condition}
GROUP BY minute
ORDER BY minute""",
        dict(parameters),
    )


def _ranked(key: str, period: Period, *columns: str, limit: int | None = None, given: str = "1") -> Query:
    share = "round(toFloat64(total_cost_usd) / nullIf(sum(toFloat64(total_cost_usd)) OVER (), 0) * 100, 2) AS percent"
    order = f"total_cost_usd DESC NULLS LAST, calls DESC, {key}"
    query = _grouped(key, period, columns=[_SUMS, _PER_CALL, *columns, share], order=order, given=given)
    return query if limit is None else Query(query.sql + "\nLIMIT {limit:UInt32}", query.parameters | {"limit": limit})


def _grouped(key: str, period: Period, *, columns: list[str], order: str, given: str = "1") -> Query:
    condition, parameters = period.condition("occurred_at")
    selected = ",\n    ".join([key, *columns])
    group = key.rpartition(" AS ")[2]
    return Query(
        f"SELECT\n    {selected}\nFROM usage\nWHERE {condition} AND {given}\nGROUP BY {group}\nORDER BY {order}",
        dict(parameters),
    )
