"""How do rows get into ClickHouse whatever happens? Retry for ever, halve what is too much, isolate what is bad.

Nothing here knows Kafka or HTTP: ``send`` stores a frame or raises, ``wait`` waits or gives up.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Final

import polars as pl
from clickhouse_connect.driver.exceptions import Error

from spendgauge.sinks.clickhouse import reason_of
from spendgauge.sinks.failures import Fault, fault_of

__all__ = ["AbandonedError", "Backoff", "Delivery", "Refused", "month_slices"]

_REFUSAL_LIMIT: Final = 100
"""So many rows refused and not one stored: then it is not the rows. Prevents that a mistaken check on the table empties
the whole log into the dead letters."""

_SMALLEST: Final = 1000
"""Fewer rows are not halved because of memory: the server is short of it for everyone, so wait."""


class AbandonedError(Exception):
    """Delivery was given up: the process stops, or the rows belong to another by now. Nothing is committed."""


@dataclass(frozen=True)
class Backoff:
    """How long to wait between attempts: doubling, up to a cap, less a random part so that many do not come at once."""

    first_seconds: float = 0.1
    cap_seconds: float = 10.0
    random: Random = field(default_factory=Random)

    def delays(self) -> Iterator[float]:
        """Give the waits, for ever: each between half and all of its step."""
        step = self.first_seconds
        while True:
            yield step * (0.5 + self.random.random() / 2)
            step = min(step * 2, self.cap_seconds)


@dataclass(frozen=True)
class Refused:
    """Rows that ClickHouse refuses, and why."""

    frame: pl.DataFrame
    detail: str


@dataclass(frozen=True)
class Delivery:
    """Stores frames.

    ``send`` stores a frame or raises ``clickhouse_connect``'s ``Error``. ``wait`` returns False where waiting makes no
    sense any more. ``on_retry`` hears each failure that is waited out, with the number of the attempt.
    """

    send: Callable[[pl.DataFrame], None]
    wait: Callable[[float], bool]
    on_retry: Callable[[int, str], None]
    backoff: Backoff = field(default_factory=Backoff)

    def store(self, frame: pl.DataFrame, *, isolate: bool = True) -> list[Refused]:
        """Store all rows that can be stored; return the others, each by itself.

        With ``isolate`` False no row is given up: a refusal is waited out as any other failure.
        Raises ``AbandonedError`` where waiting was given up; then any part may have been stored.
        """
        for attempt, delay in enumerate(self.backoff.delays(), start=1):
            refused = self._store_around(frame, isolate=isolate)
            if refused is not None:
                return refused
            self._pause(attempt, delay, f"it refuses each of {_REFUSAL_LIMIT} rows; look at the table's constraints")
        raise AssertionError("delays never end")

    def _store_around(self, frame: pl.DataFrame, *, isolate: bool) -> list[Refused] | None:
        """Halve what is refused until single rows are left; None where all rows seem to be refused."""
        refused: list[Refused] = []
        stored = 0
        todo = [frame]
        while todo:
            part = todo.pop()
            error = self._attempt(part, isolate=isolate)
            if error is None:
                stored += part.height
            elif part.height > 1:
                half = part.height // 2
                todo += [part[half:], part[:half]]
            else:
                refused.append(Refused(part, reason_of(error)))
                if not stored and len(refused) >= _REFUSAL_LIMIT:
                    return None
        return refused

    def _attempt(self, frame: pl.DataFrame, *, isolate: bool) -> Error | None:
        """Send until it is stored, or until smaller parts must be tried; return the error in that case."""
        for attempt, delay in enumerate(self.backoff.delays(), start=1):
            try:
                self.send(frame)
            except Error as error:
                fault = fault_of(error)
                if (isolate and fault is Fault.ROW) or (fault is Fault.SIZE and frame.height > _SMALLEST):
                    return error
                self._pause(attempt, delay, reason_of(error))
            else:
                return None
        raise AssertionError("delays never end")

    def _pause(self, attempt: int, delay: float, reason: str) -> None:
        self.on_retry(attempt, reason)
        if not self.wait(delay):
            raise AbandonedError(reason)


def month_slices(frame: pl.DataFrame, *, month_of: str, max_rows: int) -> Iterator[pl.DataFrame]:
    """Cut a frame so that each slice lies in one month partition and has at most ``max_rows`` rows.

    One INSERT into one partition is one part, stored whole or not at all. An empty ``month_of``: no partitions.
    """
    parts = [frame]
    if month_of and frame.height:
        months = pl.from_epoch(pl.col(month_of), time_unit="ms").dt.strftime("%Y%m")
        first, last = frame.select(months.min().alias("first"), months.max().alias("last")).row(0)
        if first != last:
            parts = frame.with_columns(months.alias("month")).partition_by("month", maintain_order=True)
    for part in parts:
        yield from part.iter_slices(max_rows)
