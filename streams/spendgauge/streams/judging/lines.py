"""What do the lines of ``cost.rates`` say of the wanted series? All lines of a chunk at once, as columns.

Lines are read by Polars; where it refuses any of a chunk, that chunk goes line by line to pydantic. A line that is no
contribution says nothing here: the sink keeps it with the reason.
"""

from collections.abc import Collection, Iterable
from itertools import chain
from typing import Final

import polars as pl
from pydantic import ValidationError

from spendgauge.schemas.events import LEAVES
from spendgauge.schemas.rates import RateContribution
from spendgauge.streams.spikes.state import MAX_MINUTE_AMOUNT

__all__ = ["LINES_SCHEMA", "key_text", "read_lines"]

_MINUTE: Final = 60

LINES_SCHEMA: Final = pl.Schema(
    {
        "series": pl.Categorical(),
        "key": pl.String(),  # a JSON list
        "minute": pl.Int64(),  # since 1970 UTC
        "pane_start": pl.Int64(),
        "stream": pl.Categorical(),
        "partition": pl.Int64(),
        "block": pl.Int64(),
        "rank": pl.UInt64(),  # edition and version as one number: of one pane and block the highest counts
        "requests": pl.Int64(),
        "errors": pl.Int64(),
        "unpriced": pl.Int64(),
        "tokens": pl.Int64(),  # all that are counted, each once
        "output_tokens": pl.Int64(),
        "cost_picodollars": pl.Int64(),
    }
)

_TOKENS: Final = tuple(leaf for leaf in LEAVES if leaf.endswith("_tokens"))
_PLACE: Final = ("pane_start", "pane_seconds", "stream", "partition", "block", "edition", "version")
_COUNTS: Final = ("requests", "errors", "unpriced")
_TEXTS: Final = ("series", "stream", "cost_usd")
_READ: Final = pl.Schema(
    {
        name: pl.List(pl.String()) if name == "key" else pl.String() if name in _TEXTS else pl.Int64()
        for name in ("series", "key", *_PLACE, *_COUNTS, *_TOKENS, "cost_usd")
    }
)


def read_lines(values: Iterable[bytes | None], *, series: Collection[str]) -> pl.DataFrame:
    """Read what the values of records, each of one or more lines, say of these series.

    *Shape*: ``LINES_SCHEMA``, in their order. Panes that a minute is no multiple of are left out.
    """
    records = [value.removesuffix(b"\n") for value in values if value]
    if not records:
        return LINES_SCHEMA.to_frame()
    try:
        read = pl.read_ndjson(b"\n".join(records), schema=_READ)
    except pl.exceptions.PolarsError:
        read = _read_slowly(records)
    return _told(read, series)


def key_text() -> pl.Expr:
    """Write the column ``key``, lists of texts, as JSON: a key's one spelling here."""
    return pl.struct("key").struct.json_encode().str.strip_prefix('{"key":').str.strip_suffix("}").alias("key")


def _read_slowly(records: Iterable[bytes]) -> pl.DataFrame:
    found = []
    for line in chain.from_iterable(record.split(b"\n") for record in records):
        try:
            found.append(RateContribution.model_validate_json(line).model_dump(include=set(_READ)))
        except ValidationError:
            continue
    return pl.DataFrame(found, schema=_READ)


def _told(read: pl.DataFrame, series: Collection[str]) -> pl.DataFrame:
    """Keep what is said of these series."""
    pane = pl.col("pane_seconds")
    wanted = read.filter(
        pl.col("series").is_in(list(series)),
        pl.all_horizontal(pl.all().is_not_null()),
        pane.is_between(1, _MINUTE),
        _MINUTE % pane == 0,
        pl.all_horizontal(pl.col("edition", "version") >= 0),
    )
    return wanted.select(
        pl.col("series").cast(pl.Categorical),
        key_text(),
        (pl.col("pane_start") // _MINUTE).alias("minute"),
        "pane_start",
        pl.col("stream").cast(pl.Categorical),
        "partition",
        "block",
        (pl.col("edition").cast(pl.UInt64) * 2**48 + pl.col("version").cast(pl.UInt64)).alias("rank"),
        *_COUNTS,
        pl.sum_horizontal(*_TOKENS).alias("tokens"),
        "output_tokens",
        _picodollars(pl.col("cost_usd")).alias("cost_picodollars"),
    ).drop_nulls()


def _picodollars(usd: pl.Expr) -> pl.Expr:
    """Read ``money.usd_text``, which always writes twelve places; what no minute costs is the most that one may."""
    whole = usd.str.replace(".", "", literal=True).cast(pl.Int128, strict=False)
    return whole.clip(-MAX_MINUTE_AMOUNT, MAX_MINUTE_AMOUNT).cast(pl.Int64)
