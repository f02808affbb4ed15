"""What traffic do files tell of? The events that ``replay`` would send, read and checked as a worker would."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import polars as pl

from spendgauge.deploy.feeding.feed import with_lines
from spendgauge.deploy.replay.batches import LINE, Problem
from spendgauge.deploy.replay.log import Log, look_through, read_log
from spendgauge.deploy.replay.mapping import FieldMapping
from spendgauge.insights.periods import DAY_MS
from spendgauge.schemas.chunks import decode_chunk
from spendgauge.schemas.fields import EARLIEST
from spendgauge.schemas.records import RecordChunk

__all__ = ["Problems", "days_to_move", "filed_events", "look_through_all"]

Problems = Callable[[Path, Iterable[Problem]], None]
"""Hears of lines that are no events."""


def look_through_all(paths: Sequence[Path], mapping: FieldMapping) -> list[Log]:
    """Look through all files first: what is wrong with the last one is said before the first one is read.

    Raises ``ConfigurationError``.
    """
    return [look_through(path, mapping) for path in paths]


def days_to_move(logs: Sequence[Log], *, now_ms: int) -> int:
    """Say by how many milliseconds, whole days, logs are moved: times that are no dates (seconds from a beginning) end
    within the last day, others stay as they are."""
    if min(log.first_ms for log in logs) >= EARLIEST.timestamp() * 1000:
        return 0
    return (now_ms - max(log.last_ms for log in logs)) // DAY_MS * DAY_MS


def filed_events(
    logs: Iterable[Log], *, on_problems: Problems, on_rows: Callable[[int], None], move_ms: int = 0
) -> Iterator[pl.DataFrame]:
    """Yield the events of files, columns as in the codec's frames, file by file, all moved by so much."""
    for log in logs:
        for frame, problems in read_log(log):
            times = [name for name in ("occurred_at_ms", "started_at_ms") if name in frame.columns]
            events, refused = _decoded(frame.with_columns(pl.col(times) + move_ms))
            on_problems(log.path, [*problems, *refused])
            on_rows(len(frame) + len(problems))
            yield events


def _decoded(frame: pl.DataFrame) -> tuple[pl.DataFrame, list[Problem]]:
    """Have the codec read the rows, each as if it had come when it says that it happened: a log may be old."""
    written = with_lines(frame, without=[LINE])
    count = len(written)
    decoded = decode_chunk(
        RecordChunk(
            stream="",
            topic="",
            partition=0,
            offsets=range(count),
            timestamps_ms=written["occurred_at_ms"].to_list(),
            keys=[None] * count,
            values=[line.encode() for line in written["line"]],
            headers=[()] * count,
        )
    )
    return decoded.frame, [Problem(frame[LINE][reject.offset], reject.detail) for reject in decoded.rejects]
