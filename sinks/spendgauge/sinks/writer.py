"""How does a batch reach its tables? Slice by slice, the dead letters last; one function sends."""

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from ipaddress import ip_address
from typing import Any, Final

import polars as pl
import pyarrow as pa
from clickhouse_connect.driver.client import Client

from spendgauge.schemas import RecordChunk
from spendgauge.sinks.buffer import Positions
from spendgauge.sinks.delivery import Backoff, Delivery, Refused, month_slices
from spendgauge.sinks.rows import Rows, refused_rows
from spendgauge.sinks.tables import USAGE_REJECTED, Table

__all__ = ["Batch", "Writer", "Written", "is_local"]

_INSERT_SETTINGS: Final[dict[str, Any]] = {
    # The answer must mean: it is stored. Newer servers buffer inserts unless they are told not to.
    "async_insert": 0,
    # The tables are idempotent by themselves; a block that was deleted on purpose must be insertable again.
    "insert_deduplicate": 0,
    # Rows of one key are folded by merges and by FINAL; to do it at the insert as well takes twice the time.
    "optimize_on_insert": 0,
}


@dataclass(frozen=True)
class Batch:
    """Rows to store, the chunks they came from, and what may be committed when they are stored."""

    chunks: Sequence[RecordChunk]
    rows: Sequence[Rows]
    positions: Positions


@dataclass
class Written:
    """What a batch came to; its rows are let go of."""

    positions: Positions
    rows: dict[str, int] = field(default_factory=dict)
    bytes: int = 0
    refused: int = 0
    retries: int = 0
    lines_without_row: Counter[str] = field(default_factory=Counter)
    """Lines of ``usage.events`` of which nothing is stored, by what they are."""


@dataclass(frozen=True)
class Writer:
    """Stores batches. ``wait`` and ``on_retry`` as in ``Delivery``; each INSERT runs within ``timed(table)``."""

    client: Client
    batch_rows: int
    wait: Callable[[float], bool]
    on_retry: Callable[[str, int, str], None]
    timed: Callable[[str], AbstractContextManager[object]] = lambda _: nullcontext()
    compress: bool = False
    backoff: Backoff = field(default_factory=Backoff)

    def write(self, batch: Batch) -> Written:
        """Store all rows; rows that ClickHouse refuses become rows of ``usage_rejected``.

        Raises ``AbandonedError``; a batch may be written again, wholly or in part, without harm.
        """
        written = Written(batch.positions)
        refused = [refusal for rows in batch.rows for refusal in self._store(rows, written)]
        if refused:
            frames = [refused_rows(batch.chunks, r.frame, detail=r.detail).frame for r in refused]
            written.refused = len(refused)
            self._store(Rows(USAGE_REJECTED, pl.concat(frames)), written)
        return written

    def _store(self, rows: Rows, written: Written) -> list[Refused]:
        table = rows.table
        delivery = Delivery(
            send=partial(self._send, table, written),
            wait=self.wait,
            on_retry=partial(self._on_retry, table, written),
            backoff=self.backoff,
        )
        refused: list[Refused] = []
        for part in month_slices(rows.frame, month_of=table.month_of, max_rows=self.batch_rows):
            refused += delivery.store(part, isolate=table is not USAGE_REJECTED)
        return refused

    def _send(self, table: Table, written: Written, frame: pl.DataFrame) -> None:
        block = table.encode(frame)
        with self.timed(table.name):
            self.client.raw_insert(
                table.name,
                column_names=[column.name for column in table.columns],
                insert_block=pa.compress(block, codec="lz4", asbytes=True) if self.compress else block,
                compression="lz4" if self.compress else None,
                fmt="Native",
                settings=_INSERT_SETTINGS,
            )
        written.rows[table.name] = written.rows.get(table.name, 0) + frame.height
        written.bytes += len(block)

    def _on_retry(self, table: Table, written: Written, attempt: int, reason: str) -> None:
        written.retries += 1
        self.on_retry(table.name, attempt, reason)


def is_local(host: str) -> bool:
    """Whether a host is this machine, so that compressing what is sent there costs more than it saves."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
