"""What event is each row? Text columns in, columns of an event's fields out; a value that cannot be one is reported.

What a valid event is remains for the codec to say: here texts become numbers and times, and models get their providers.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import polars as pl

from spendgauge.deploy.replay.batches import LINE, Batch, Problem
from spendgauge.deploy.replay.mapping import FIELDS, FieldMapping
from spendgauge.deploy.replay.times import duration_ms_per_unit, ms_from_iso
from spendgauge.schemas import UsageEvent

__all__ = ["TIMES", "RowReader"]

TIMES: Final = ("occurred_at", "started_at")

_DURATIONS: Final = ("latency_ms", "ttft_ms")
_INTEGERS: Final = tuple(n for n in FIELDS if UsageEvent.model_fields[n].annotation in (int, int | None))
_FLOATS: Final = tuple(n for n in FIELDS if UsageEvent.model_fields[n].annotation in (float, float | None))
_KINDS: Final = {
    **dict.fromkeys(TIMES, "a time"),
    **dict.fromkeys(_INTEGERS, "a whole number"),
    **dict.fromkeys((*_FLOATS, *_DURATIONS), "a number"),
}
_REQUIRED: Final = ("occurred_at", "provider", "model")
_CACHED: Final = ("cache_read_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens")
_WHOLE_LIMIT: Final = 2.0**53
_WHY: Final = "\0why"


@dataclass(frozen=True)
class RowReader:
    """Reads rows by one mapping.

    ``columns`` is each field's column; ``time_units`` how many milliseconds a unit of a time's column has, None for ISO
    8601.
    """

    mapping: FieldMapping
    columns: Mapping[str, str]
    time_units: Mapping[str, float | None]

    def read(self, batch: Batch) -> tuple[pl.DataFrame, tuple[Problem, ...]]:
        """Give the rows that may be events, with ``LINE`` and columns as ``event_lines`` wants them; and the others."""
        texts = batch.rows.select(LINE, *(self._text(name, batch.columns).alias(name) for name in self._names))
        values = {name: self._value(name) for name in self._names} | self._named_models()
        wrong = [_wrong(name, values[name]) for name in self._names if name in _KINDS]
        frame = texts.select(
            LINE, *(value.alias(name) for name, value in values.items()), pl.coalesce(wrong).alias(_WHY)
        )
        if self._input_holds_cache:
            frame = _without_cached(frame)
        frame = frame.with_columns(pl.coalesce(_WHY, *map(_missing, _REQUIRED)).alias(_WHY))
        problems = frame.filter(pl.col(_WHY).is_not_null()).select(LINE, _WHY)
        good = frame.filter(pl.col(_WHY).is_null()).drop(_WHY)
        good = good.rename({name: f"{name}_ms" for name in TIMES if name in good.columns})
        return good, (*batch.problems, *(Problem(line, why) for line, why in problems.iter_rows()))

    @property
    def _input_holds_cache(self) -> bool:
        return "usage_convention" not in self.columns and self.mapping.constants.get("usage_convention") == "inclusive"

    @property
    def _names(self) -> list[str]:
        return [name for name in FIELDS if name in self.columns or name in self.mapping.constants]

    def _text(self, name: str, available: list[str]) -> pl.Expr:
        """Take the column's text, else the constant, else null."""
        column = self.columns.get(name)
        text = pl.col(column) if column in available else pl.lit(None, dtype=pl.String)
        return pl.coalesce(pl.when(text != "").then(text), pl.lit(self.mapping.constants.get(name), dtype=pl.String))

    def _value(self, name: str) -> pl.Expr:
        """Read the text as what the field holds; null where it cannot be read."""
        text = pl.col(name)
        if name in TIMES:
            unit = self.time_units.get(name)
            return _scaled(text, unit) if unit else text.map_batches(ms_from_iso, return_dtype=pl.Int64)
        if name in _DURATIONS:
            return _scaled(text, duration_ms_per_unit(self.columns.get(name, name)))
        if name in _INTEGERS:
            number = text.cast(pl.Float64, strict=False)
            whole = (number == number.floor()) & (number.abs() < _WHOLE_LIMIT)
            return pl.coalesce(
                text.cast(pl.Int64, strict=False), pl.when(whole).then(number).cast(pl.Int64, strict=False)
            )
        return text.cast(pl.Float64, strict=False) if name in _FLOATS else text

    def _named_models(self) -> dict[str, pl.Expr]:
        """Name provider and model: as ``--models`` says, else as the row says, be it as PROVIDER/MODEL."""
        model = pl.col("model")
        names = self.mapping.models
        provider = pl.col("provider") if "provider" in self._names else pl.lit(None, dtype=pl.String)
        joined = pl.when(provider.is_null() & model.str.contains("/", literal=True)).then(model.str.splitn("/", 2))
        of_map = [
            model.replace_strict({n: pair[i] for n, pair in names.items()}, default=None, return_dtype=pl.String)
            for i in (0, 1)
        ]
        return {
            "provider": pl.coalesce(of_map[0], provider, joined.struct.field("field_0")),
            "model": pl.coalesce(of_map[1], joined.struct.field("field_1"), model),
        }


def _scaled(text: pl.Expr, ms_per_unit: float) -> pl.Expr:
    return (text.cast(pl.Float64, strict=False) * ms_per_unit).round().cast(pl.Int64, strict=False)


def _wrong(name: str, value: pl.Expr) -> pl.Expr:
    sentence = pl.format(f"{name} '{{}}' is not {_KINDS[name]}", pl.col(name).str.head(48))
    return pl.when(pl.col(name).is_not_null() & value.is_null()).then(sentence)


def _missing(name: str) -> pl.Expr:
    advice = "; give it with --set provider=..., or with --models MODEL=PROVIDER/MODEL" if name == "provider" else ""
    return pl.when(pl.col(name).is_null()).then(pl.lit(f"it has no {name}{advice}"))


def _without_cached(frame: pl.DataFrame) -> pl.DataFrame:
    """Take the cached tokens out of the input, which the log says includes them."""
    cached = [pl.col(name).fill_null(0) for name in _CACHED if name in frame.columns]
    inside = pl.sum_horizontal(pl.lit(0, dtype=pl.Int64), *cached)
    rest = pl.col("input_tokens").fill_null(0) - inside
    short = pl.format("input_tokens {} is less than its cached part {}", "input_tokens", inside)
    return frame.with_columns(
        pl.coalesce(_WHY, pl.when(rest < 0).then(short)).alias(_WHY),
        input_tokens=rest,
    )
