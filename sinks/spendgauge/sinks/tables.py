"""Which columns does the sink write, and how does each travel?

What is not listed here (``stored_at``, ``precedence``) ClickHouse fills itself. The wire's type may be simpler than
the table's: ClickHouse converts.
"""

from dataclasses import dataclass
from typing import Final

import polars as pl

from spendgauge.schemas.events import DIMENSIONS, LEAVES
from spendgauge.sinks.native import encode_block, encoder

__all__ = [
    "COST_ALERTS",
    "COST_RATES",
    "COST_REFUSALS",
    "SOURCE_GAPS",
    "TABLES",
    "USAGE_EVENTS",
    "USAGE_REJECTED",
    "Table",
    "WireColumn",
]


@dataclass(frozen=True)
class WireColumn:
    """One column of an INSERT."""

    name: str
    """In the table."""
    kind: str
    """The ClickHouse type that is sent."""
    source: str = ""
    """In the frame, where it is called otherwise."""

    @property
    def frame_name(self) -> str:
        """Its name in the frame."""
        return self.source or self.name


@dataclass(frozen=True)
class Table:
    """A table as the sink writes it."""

    name: str
    columns: tuple[WireColumn, ...]
    month_of: str
    """The frame's time column (ms since 1970 UTC) whose month is the partition; empty: not partitioned."""

    def encode(self, frame: pl.DataFrame) -> bytes:
        """Write the rows as one Native block. *shape*: at least one row; columns as the table's, in any order."""
        return encode_block(
            [(c.name, c.kind, encoder(c.kind)(frame[c.frame_name])) for c in self.columns], rows=frame.height
        )


_NAME: Final = "LowCardinality(String)"
_TIME: Final = "DateTime64(3)"
_AMOUNT: Final = "Decimal(38, 12)"
_MANY: Final = frozenset(("user_id", "session_id", "entity_id"))
"""Dimensions with too many values for a dictionary to pay."""

_POSITION: Final = (
    WireColumn("stream", _NAME),
    WireColumn("partition", "UInt32"),
    WireColumn("offset", "UInt64"),
    WireColumn("line", "UInt32"),
    WireColumn("received_at", _TIME, "received_at_ms"),
)

USAGE_EVENTS: Final = Table(
    "usage_events",
    (
        WireColumn("event_id", "UUID"),
        WireColumn("source", _NAME),
        WireColumn("seq", "Nullable(Int64)"),
        WireColumn("kind", _NAME),
        WireColumn("adjusts", "Nullable(UUID)"),
        WireColumn("occurred_at", _TIME, "occurred_at_ms"),
        WireColumn("started_at", f"Nullable({_TIME})", "started_at_ms"),
        *(WireColumn(name, _NAME) for name in ("provider", "model", "request_model", "operation", "service_tier")),
        WireColumn("response_id", "String"),
        *(WireColumn(name, _NAME) for name in ("usage_source", "usage_convention")),
        *(WireColumn(name, "Int64") for name in (*LEAVES, "reasoning_tokens")),
        WireColumn("reported_total_tokens", "Nullable(Int64)"),
        *(WireColumn(name, _NAME) for name in ("status", "error_type")),
        WireColumn("attempt", "UInt32"),
        *(WireColumn(name, "Nullable(Int32)") for name in ("latency_ms", "ttft_ms")),
        WireColumn("quality_score", "Nullable(Float64)"),
        *(WireColumn(name, "String" if name in _MANY else _NAME) for name in DIMENSIONS),
        WireColumn("tags", "Map(String, String)"),
        WireColumn("reported_cost_usd", "Nullable(Decimal(18, 12))", "reported_cost_picodollars"),
        WireColumn("cost_usd", "Nullable(Decimal(18, 12))", "cost_picodollars"),
        WireColumn("price_version", _NAME),
        *_POSITION,
    ),
    month_of="occurred_at_ms",
)

COST_RATES: Final = Table(
    "cost_rates",
    (
        WireColumn("series", _NAME),
        WireColumn("key", "Array(String)"),
        WireColumn("pane_start", _TIME, "pane_start_ms"),
        WireColumn("pane_seconds", "UInt32"),
        WireColumn("stream", _NAME),
        WireColumn("partition", "UInt32"),
        WireColumn("block", "UInt64"),
        WireColumn("edition", "UInt16"),
        WireColumn("version", "UInt64"),
        *(WireColumn(name, "Int64") for name in ("requests", "errors", "unpriced", *LEAVES, "reasoning_tokens")),
        WireColumn("cost_usd", _AMOUNT),
    ),
    month_of="pane_start_ms",
)

USAGE_REJECTED: Final = Table(
    "usage_rejected",
    (
        WireColumn("topic", _NAME),
        *_POSITION,
        *(WireColumn(name, _NAME) for name in ("reason", "rejected_by")),
        WireColumn("detail", "String"),
        WireColumn("key", "Nullable(String)"),
        WireColumn("value", "String"),
        WireColumn("headers", "Array(Tuple(name String, value Nullable(String)))"),
    ),
    month_of="",
)

SOURCE_GAPS: Final = Table(
    "source_gaps",
    (
        WireColumn("source", "String"),
        WireColumn("stream", _NAME),
        WireColumn("partition", "UInt32"),
        *(WireColumn(name, "UInt64") for name in ("version", "next_seq")),
        *(WireColumn(f"gap_{name}", "Array(Int64)") for name in ("first_seq", "last_seq", "opened_offset")),
        WireColumn("gap_opened_at", f"Array({_TIME})", "gap_opened_at_ms"),
        WireColumn("repeats", "UInt64"),
        WireColumn("shared", "UInt8"),
    ),
    month_of="",
)

COST_ALERTS: Final = Table(
    "cost_alerts",
    (
        *(WireColumn(name, "String") for name in ("alert_id", "incident_id")),
        *(WireColumn(name, _NAME) for name in ("rule", "state", "severity", "series")),
        WireColumn("key", "Array(String)"),
        *(WireColumn(name, _TIME, f"{name}_ms") for name in ("onset", "evaluated_at")),
        WireColumn("window_seconds", "UInt32"),
        *(WireColumn(name, _AMOUNT) for name in ("usual_usd", "seen_usd", "excess_usd")),
        *(WireColumn(name, _AMOUNT) for name in ("excess_usd_per_hour", "since_onset_usd")),
        WireColumn("driver", _NAME),
        WireColumn("contributor_series", "Array(String)"),
        WireColumn("contributor_key", "Array(Array(String))"),
        WireColumn("contributor_excess_usd", f"Array({_AMOUNT})"),
        WireColumn("message", "String"),
        *_POSITION,
    ),
    month_of="evaluated_at_ms",
)

COST_REFUSALS: Final = Table(
    "cost_refusals",
    (
        WireColumn("refusal_id", "UUID"),
        WireColumn("refused_at", _TIME, "refused_at_ms"),
        *(WireColumn(name, _NAME) for name in ("action", "reason", "quota", "series")),
        WireColumn("key", "Array(String)"),
        WireColumn("unit", _NAME),
        WireColumn("quota_limit", f"Nullable({_AMOUNT})"),
        *(WireColumn(name, _AMOUNT) for name in ("spent", "reserved", "estimate")),
        WireColumn("resets_at", f"Nullable({_TIME})", "resets_at_ms"),
        WireColumn("source", _NAME),
        *_POSITION,
    ),
    month_of="refused_at_ms",
)

TABLES: Final = (USAGE_EVENTS, COST_RATES, SOURCE_GAPS, COST_ALERTS, COST_REFUSALS, USAGE_REJECTED)
