"""How do lines of ``cost.alerts`` become rows? One a line: a step in the life of an alert, and where it was said."""

from decimal import Decimal
from typing import Any, Final

import polars as pl

from spendgauge.schemas import Alert, RecordChunk
from spendgauge.sinks.lines import Position, Row, milliseconds, read_models

__all__ = ["ALERTS_FRAME", "ALERT_AMOUNTS", "read_alerts"]

ALERT_AMOUNTS: Final = ("usual_usd", "seen_usd", "excess_usd", "excess_usd_per_hour", "since_onset_usd")
"""The columns that are amounts of money."""

_TEXTS: Final = ("alert_id", "incident_id", "rule", "state", "severity", "series", "driver", "message", "stream")
_TIMES: Final = ("onset", "evaluated_at")
_AMOUNT: Final = pl.Decimal(38, 12)
_PLACE: Final = ("partition", "offset", "line", "received_at_ms", "record_offset", "record_line")

ALERTS_FRAME: Final = pl.Schema(
    {
        **dict.fromkeys(_TEXTS, pl.String()),
        "key": pl.List(pl.String()),
        **dict.fromkeys((*(f"{name}_ms" for name in _TIMES), "window_seconds"), pl.Int64()),
        **dict.fromkeys(ALERT_AMOUNTS, _AMOUNT),
        "contributor_series": pl.List(pl.String()),
        "contributor_key": pl.List(pl.List(pl.String())),
        "contributor_excess_usd": pl.List(_AMOUNT),
        **dict.fromkeys(_PLACE, pl.Int64()),
    }
)
"""A row's columns: the step, and where its line stands."""


def read_alerts(chunk: RecordChunk) -> tuple[pl.DataFrame, list[Row]]:
    """Read the lines of a chunk; give a frame of the good ones, in order, and rows for those that are not."""
    read, refused = read_models(chunk, Alert, reason="invalid_alert")
    return pl.DataFrame([_row(chunk, at, alert) for at, alert in read], schema=ALERTS_FRAME), refused


def _row(chunk: RecordChunk, at: Position, alert: Alert) -> dict[str, Any]:
    return {
        **alert.model_dump(exclude={"contributors", *ALERT_AMOUNTS, *_TIMES}),
        **{f"{name}_ms": milliseconds(getattr(alert, name)) for name in _TIMES},
        **{name: Decimal(getattr(alert, name)) for name in ALERT_AMOUNTS},
        "contributor_series": [one.series for one in alert.contributors],
        "contributor_key": [one.key for one in alert.contributors],
        "contributor_excess_usd": [Decimal(one.excess_usd) for one in alert.contributors],
        **at.columns(chunk),
    }
