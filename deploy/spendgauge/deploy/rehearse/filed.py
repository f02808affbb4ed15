"""What traffic do files tell of? The events that ``replay`` would send, read and checked as a worker would."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import polars as pl

from spendgauge.deploy.feed import with_lines
from spendgauge.deploy.replay import Log, look_through, read_log
from spendgauge.deploy.replay_batches import LINE, Problem
from spendgauge.deploy.replay_mapping import FieldMapping
from spendgauge.schemas.chunks import decode_chunk
from spendgauge.schemas.records import RecordChunk

__all__ = ["Problems", "filed_events", "look_through_all"]

Problems = Callable[[Path, Iterable[Problem]], None]
"""Hears of lines that are no events."""


def look_through_all(paths: Sequence[Path], mapping: FieldMapping) -> list[Log]:
    """Look through all files first: what is wrong with the last one is said before the first one is read.

    Raises ``ConfigurationError``.
    """
    return [look_through(path, mapping) for path in paths]


def filed_events(
    logs: Iterable[Log], *, on_problems: Problems, on_rows: Callable[[int], None]
) -> Iterator[pl.DataFrame]:
    """Yield the events of files, columns as in the codec's frames, file by file; times stay as they are."""
    for log in logs:
        for frame, problems in read_log(log):
            events, refused = _decoded(frame)
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
