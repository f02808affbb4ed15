"""How do frames of events get to Kafka? As fast as the broker takes them, or in the rhythm of their own times."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import polars as pl

from spendgauge.deploy.feeding.lines import event_ids, event_lines
from spendgauge.producers import BulkSource, BulkWriter
from spendgauge.schemas import Clock

__all__ = ["Fed", "SourceKey", "feed", "numbered_sources", "paced", "with_lines"]

SourceKey = tuple[str, str]
"""A source's service and host."""

_SHORTEST_WAIT_SECONDS: Final = 0.02


@dataclass(frozen=True)
class Fed:
    """What was sent, by how many sources, in how long, all acknowledged."""

    events: int
    sources: int
    seconds: float


def with_lines(frame: pl.DataFrame, *, without: Iterable[str] = ()) -> pl.DataFrame:
    """Add each event's ``line`` of JSON, with a new id; columns named in ``without`` are no fields of it."""
    fields = frame.drop(*without, strict=False)
    hosts = frame["host"] if "host" in frame.columns else None
    ids = event_ids(frame["occurred_at_ms"], sources=hosts).alias("event_id")
    return frame.with_columns(event_lines(fields.select(ids, pl.all())).alias("line"))


def numbered_sources(frame: pl.DataFrame, service: str, *, sources: int) -> pl.DataFrame:
    """Deal the rows out to ``sources`` hosts of one service, in equal runs, so that they use several partitions."""
    lane = pl.int_range(pl.len()) * sources // pl.len().clip(1)
    return frame.with_columns(pl.lit(service).alias("service"), pl.format("{}", lane).alias("host"))


def paced(frames: Iterable[pl.DataFrame], speed: float, *, clock: Clock) -> Iterator[pl.DataFrame]:
    """Yield the rows when their time has come, ``speed`` seconds of theirs in each second, the first at once.

    They must be in the order of time.
    """
    started: float | None = None
    first_ms = 0
    for frame in frames:
        if started is None and len(frame):
            started, first_ms = clock.monotonic(), frame["occurred_at_ms"][0]
        due = (frame["occurred_at_ms"] - first_ms) / 1000 / speed + (started or 0.0)
        at = 0
        while at < len(frame):
            now = clock.monotonic()
            ripe = int(due.search_sorted(now, side="right"))
            if ripe > at:
                yield frame.slice(at, ripe - at)
                at = ripe
            else:
                clock.sleep(max(due[at] - now, _SHORTEST_WAIT_SECONDS))


def feed(
    frames: Iterable[pl.DataFrame], writer: BulkWriter, *, clock: Clock, on_progress: Callable[[int], None]
) -> Fed:
    """Send frames that have ``service``, ``host`` and ``line``; wait until all is acknowledged.

    A source is a service on a host; its events keep their order. ``on_progress`` hears how many events were just
    written. Interrupted, what was written is still sent.
    """
    started = clock.monotonic()
    sources: dict[SourceKey, BulkSource] = {}
    events = 0
    try:
        for frame in frames:
            _write(frame, writer, sources)
            events += len(frame)
            on_progress(len(frame))
    except KeyboardInterrupt:
        writer.flush()
        raise
    writer.flush()
    return Fed(events, len(sources), clock.monotonic() - started)


def _write(frame: pl.DataFrame, writer: BulkWriter, sources: dict[SourceKey, BulkSource]) -> None:
    for (service, host), rows in frame.group_by("service", "host", maintain_order=True):
        key = (str(service), str(host))
        source = sources.get(key) or sources.setdefault(key, writer.open_source(*key))
        source.write_lines(map(str.encode, rows["line"].to_list()))
