"""How do the books balance again when a broker is gone for good?

The embedded broker keeps all in memory. When it ends in the middle, some of its events may be stored and not yet
rated, or rated and not stored; no worker can ever read them again. What is stored is then the truth, and the
contributions of that stream are brought in line with it: where they differ, a row computed from the stored events takes
their place. It has the highest edition there can be, so it wins over what a worker wrote.

A data directory's own streams only: ``streams.json`` lists them, and each is settled once.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import Error

from spendgauge.schemas import DEFAULT_SERIES, DIMENSIONS, LEAVES, ClickHouseSettings, UnavailableError
from spendgauge.schemas.positions import MAX_EDITION
from spendgauge.sinks.clickhouse import connect, parse_address, reason_of

__all__ = ["StreamLedger", "settle_streams", "settlement_sql"]

_SUMMED: Final = ("requests", "errors", "unpriced", *LEAVES, "reasoning_tokens", "cost_usd")
_FROM_EVENT: Final = {
    "requests": "toInt64(kind = 'usage')",
    "errors": "toInt64(kind = 'usage' AND status = 'error')",
    "unpriced": "toInt64(isNull(e.cost_usd))",
    "cost_usd": "toDecimal128(ifNull(e.cost_usd, 0), 12)",
}
_GROUPABLE: Final = frozenset(
    ("provider", "model", "request_model", "operation", "service_tier", "status", *DIMENSIONS)
)


class StreamLedger:
    """Remembers which streams a data directory's brokers began, until they are settled."""

    def __init__(self, path: Path) -> None:
        """Keep the list in a file."""
        self._path = path

    def begin(self, running: str) -> tuple[str, ...]:
        """Remember a stream before anything of it is stored; list those that ended and are not settled."""
        known = self._read()
        self._write(dict.fromkeys([*known, running]))
        return tuple(stream for stream in known if stream != running)

    def forget(self, streams: Iterable[str]) -> None:
        """Take settled streams off the list."""
        settled = set(streams)
        self._write(stream for stream in self._read() if stream not in settled)

    def _read(self) -> list[str]:
        try:
            return [str(stream) for stream in json.loads(self._path.read_text(encoding="utf-8"))]
        except (OSError, ValueError):
            return []

    def _write(self, streams: Iterable[str]) -> None:
        new = self._path.with_suffix(".new")
        new.write_text(json.dumps(list(streams)), encoding="utf-8")
        new.replace(self._path)


def settle_streams(settings: ClickHouseSettings, streams: Iterable[str]) -> int:
    """Bring the contributions of ended streams in line with the stored events; return how many were replaced.

    Nothing may write to these streams meanwhile. Raises ``UnavailableError`` where ClickHouse does not answer.
    """
    client = connect(settings)
    try:
        return sum(_settle(client, stream) for stream in streams)
    except Error as error:
        address = parse_address(settings.clickhouse)
        raise UnavailableError(f"ClickHouse at {address} does not settle an ended stream: {reason_of(error)}") from None
    finally:
        client.close()


def _settle(client: Client, stream: str) -> int:
    found = client.query(
        "SELECT DISTINCT series, pane_seconds FROM cost_rates WHERE stream = {stream:String}", {"stream": stream}
    )
    replaced = 0
    for series, pane_seconds in found.result_rows or [(spec.name, spec.pane_seconds) for spec in DEFAULT_SERIES]:
        sql = settlement_sql(str(series), block_offsets=int(stream.rpartition(":")[2]))
        done = client.query(sql, {"stream": stream, "series": series, "pane_seconds": pane_seconds})
        replaced += int(done.summary.get("written_rows", 0))
    return replaced


def settlement_sql(series: str, *, block_offsets: int) -> str:
    """Write the INSERT that replaces what differs in one series of one stream.

    Parameters: ``stream``, ``series``, ``pane_seconds``. Raises ``ValueError`` for a dimension that events do not have.
    """
    dimensions = [] if series == "total" else series.split("+")
    unknown = set(dimensions) - _GROUPABLE
    if unknown:
        raise ValueError(f"the series {series!r} has the dimension {unknown.pop()!r}, which events do not have")
    key = f"[{', '.join(f'toString({name})' for name in dimensions)}]" if dimensions else "CAST([], 'Array(String)')"
    from_event = ", ".join(f"{_FROM_EVENT.get(name, f'e.{name}')} AS {name}" for name in _SUMMED)
    stored = ", ".join(f"sumIf({name}, is_stored)" for name in _SUMMED)
    rated = ", ".join(f"sumIf({name}, NOT is_stored)" for name in _SUMMED)
    return f"""
INSERT INTO cost_rates (series, key, pane_start, pane_seconds, stream, partition, block, edition, version,
    {", ".join(_SUMMED)})
SELECT {{series:String}}, key, pane_start, {{pane_seconds:UInt32}}, {{stream:String}}, partition, block,
    {MAX_EDITION}, (block + 1) * {block_offsets}, {stored}
FROM
(
    SELECT true AS is_stored, {key} AS key,
        toDateTime64(intDiv(toUnixTimestamp(occurred_at), {{pane_seconds:UInt32}}) * {{pane_seconds:UInt32}}, 3, 'UTC')
            AS pane_start,
        partition, intDiv(offset, {block_offsets}) AS block, {from_event}
    FROM usage_events AS e FINAL
    WHERE stream = {{stream:String}}
    UNION ALL
    SELECT false, key, pane_start, partition, block, {", ".join(_SUMMED)}
    FROM cost_rates FINAL
    WHERE stream = {{stream:String}} AND series = {{series:String}} AND pane_seconds = {{pane_seconds:UInt32}}
)
GROUP BY key, pane_start, partition, block
HAVING ({stored}) != ({rated})"""
