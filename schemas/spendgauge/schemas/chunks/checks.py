"""Which of the lines that were read at once are valid, and what are their columns? The model's rules, as columns."""

from collections.abc import Iterator
from typing import Final

import orjson
import polars as pl

from spendgauge.schemas.chunks.frame import COLUMNS, FRAME_SCHEMA, LINEAGE
from spendgauge.schemas.chunks.rules import RULES, SIGNED, TAG_LIMITS, FieldRule
from spendgauge.schemas.chunks.slow import MAX_FUTURE_MS, MAX_PAST_MS, tags_text
from spendgauge.schemas.fields import EARLIEST, LATEST
from spendgauge.schemas.money import PICODOLLARS_PER_USD

__all__ = ["checked_frame"]

_UUID: Final = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
_NIL: Final = "00000000-0000-0000-0000-000000000000"
_OUR_TIME: Final = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-5][0-9]\.[0-9]{3}Z$"
_ANY_UTC_TIME: Final = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-5][0-9](?:\.([0-9]{1,9}))?(?:Z|[+-]00:00)$"
_EARLIEST_MS: Final = int(EARLIEST.timestamp()) * 1000
_LATEST_MS: Final = int(LATEST.timestamp()) * 1000
_USD: Final = r"^(-?)([0-9]{1,6})(?:\.([0-9]{1,12}))?$"
_IDS: Final = ("event_id", "adjusts")
_TIMES: Final = ("occurred_at", "started_at")
_COST: Final = "reported_cost_usd"
_REQUIRED: Final = frozenset(name for name, rule in RULES.items() if rule.required)
_DEFAULTS: Final = {name: rule.default for name, rule in RULES.items()} | {"tags": "{}"}


def checked_frame(read: pl.DataFrame) -> pl.DataFrame:
    """Keep the valid rows, as ``FRAME_SCHEMA`` has them, and ``record``, their place in the chunk.

    ``read`` has ``record``, the lineage, the text of ``tags``, and a column for each field that any line names.
    A row that is left out may yet be valid, in a form that only pydantic knows.
    """
    missing = [name for name in RULES if name not in read.columns]
    if not _REQUIRED.isdisjoint(missing):
        return pl.DataFrame(schema={"record": pl.Int64(), **FRAME_SCHEMA})
    absent = {COLUMNS[name]: pl.lit(_DEFAULTS[name], FRAME_SCHEMA[COLUMNS[name]]) for name in missing}
    given = [name for name in RULES if name not in missing]
    typed = read.with_columns(_canonical_tags(read["tags"]), **dict(_converted(read, given)), **absent)
    valid = typed.filter(*_field_checks(given), *_event_checks(given))
    return valid.select("record", *map(_column, RULES), *LINEAGE)


def _converted(read: pl.DataFrame, given: list[str]) -> Iterator[tuple[str, pl.Expr]]:
    """Give the columns in their final form; null too where the text is not in a form that is read here."""
    for name in _IDS:
        if name in given:
            yield name, pl.col(name).str.to_lowercase()
    for name in _TIMES:
        if name in given:
            yield COLUMNS[name], _milliseconds(read[name])
    if _COST in given:
        sign, whole, fraction = (pl.col(_COST).str.extract(_USD, group) for group in (1, 2, 3))
        amount = whole.cast(pl.Int64) * PICODOLLARS_PER_USD + fraction.str.pad_end(12, "0").cast(pl.Int64).fill_null(0)
        yield COLUMNS[_COST], pl.when(sign == "-").then(-amount).otherwise(amount)


def _milliseconds(texts: pl.Series) -> pl.Expr:
    """Read times as our producer writes them, or, where any stands otherwise, in any spelling of UTC."""
    text = pl.col(texts.name)
    if texts.str.contains(_OUR_TIME).all():
        return text.str.to_datetime("%Y-%m-%dT%H:%M:%S.%3fZ", time_unit="ms", strict=False).cast(pl.Int64)
    seconds = text.str.slice(0, 19).str.to_datetime("%Y-%m-%dT%H:%M:%S", time_unit="ms", strict=False).cast(pl.Int64)
    fraction = text.str.extract(_ANY_UTC_TIME, 1).str.pad_end(3, "0").str.slice(0, 3).cast(pl.Int64).fill_null(0)
    return pl.when(text.str.contains(_ANY_UTC_TIME)).then(seconds + fraction)


def _column(name: str) -> pl.Expr:
    column = pl.col(COLUMNS[name])
    return column if _DEFAULTS[name] is None else column.fill_null(_DEFAULTS[name])


def _field_checks(given: list[str]) -> Iterator[pl.Expr]:
    for name in given:
        if name != "tags":
            check = _check(RULES[name])
            yield check if name in _REQUIRED else check.fill_null(value=True)
    yield pl.col("tags").is_not_null()


def _check(rule: FieldRule) -> pl.Expr:
    """Check one field; null where it is not given."""
    value = pl.col(rule.name)
    if rule.name in _IDS:
        return value.str.contains(_UUID) & (value != _NIL)
    if rule.name in _TIMES:
        time = pl.col(COLUMNS[rule.name])
        return value.is_null() | time.is_between(_EARLIEST_MS, _LATEST_MS, closed="left").fill_null(value=False)
    if rule.name == _COST:
        return value.str.contains(_USD)
    if rule.choices:
        return value.is_in(rule.choices)
    if rule.kind == "string":
        return value.str.len_chars().is_between(rule.min_length, rule.max_length)
    return value.is_between(rule.minimum, rule.maximum)


def _event_checks(given: list[str]) -> Iterator[pl.Expr]:
    late_ms = pl.col("received_at_ms") - pl.col("occurred_at_ms")
    yield late_ms.is_between(-MAX_FUTURE_MS, MAX_PAST_MS)
    if "seq" in given:
        yield pl.col("seq").is_null() | (_column("source") != "")
    amounts = [COLUMNS[name] for name in (*SIGNED, _COST) if name in given]
    usage = pl.all_horizontal(
        pl.col("adjusts").is_null(),
        *(pl.col(name).fill_null(0) >= 0 for name in amounts),
        _column("reasoning_tokens") <= _column("output_tokens"),
    )
    adjustment = pl.col("adjusts") != pl.col("event_id")  # null, so no, where it adjusts nothing
    yield pl.when(_column("kind") == "adjustment").then(adjustment).otherwise(usage)


def _canonical_tags(texts: pl.Series) -> pl.Series:
    """Write each tags text in canonical form: ``{}`` where there is none, null where it is invalid."""
    if texts.null_count() == len(texts):
        return pl.Series("tags", ["{}"], pl.String).new_from_index(0, len(texts))
    given = texts.to_list()
    canonical = {text: "{}" if text is None else _canonical(text) for text in set(given)}
    return pl.Series("tags", [canonical[text] for text in given], pl.String)


def _canonical(text: str) -> str | None:
    """Write one map of strings without escapes in canonical form; None where it breaks a rule."""
    tags: dict[str, str] = orjson.loads(text)
    twice = text.count('"') != 4 * len(tags)
    if twice or len(tags) > TAG_LIMITS.count or not all(map(_fits, tags, tags.values())):
        return None
    return tags_text(tags)


def _fits(name: str, value: str) -> bool:
    return 1 <= len(name) <= TAG_LIMITS.name_length and len(value) <= TAG_LIMITS.value_length
