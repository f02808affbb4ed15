"""How is a worker kept under load? ``python -m benchmarks.load`` writes events of this moment, at a pace or flat out.

The events are a simulated day's, with an id, a source, a number and a time of their own put before each: that is fast
enough to load a worker from beside the broker. Source ``n`` writes to partition ``n`` modulo their number, in turn, so
that all partitions grow alike.
"""

import argparse
import json
import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import cycle
from typing import Final

import orjson
from confluent_kafka import Producer

from benchmarks.workload import HEADERS, Workload, frames
from spendgauge.schemas import KafkaSettings, SystemClock
from spendgauge.schemas.kafka import client_options

__all__ = ["Load", "main", "write"]

_SOURCES: Final = 16
_SHAPES: Final = 20_000
_OWN: Final = ("event_id", "source", "seq", "occurred_at", "started_at")
_TICK_SECONDS: Final = 0.01
_clock: Final = SystemClock()


class Load:
    """Endless events, a record at a time."""

    def __init__(self, *, coalesced: int, users: int = 0) -> None:
        """``users``: so many different ones, each as often as the others; 0: the simulated ones."""
        self._coalesced, self._users = coalesced, users
        dropped = (*_OWN, "user_id") if users else _OWN
        shapes = [orjson.loads(line) for frame in frames(Workload(_SHAPES)) for line in frame["line"]]
        tails = [{name: value for name, value in shape.items() if name not in dropped} for shape in shapes]
        self._tails = cycle([orjson.dumps(tail)[1:] for tail in tails])
        run = os.urandom(10).hex().encode()
        self._run = b"%b-%b-7%b-8%b" % (run[:8], run[8:12], run[12:15], run[15:18])
        self._sources = [b"load-%b#%d" % (run[:6], number) for number in range(_SOURCES)]
        self._records = 0

    def record(self) -> tuple[int, bytes, bytes]:
        """Make the next record of the next source: the source's number, the key and the value."""
        source = self._records % _SOURCES
        seq = self._records // _SOURCES * self._coalesced
        first = self._records * self._coalesced
        self._records += 1
        now = datetime.fromtimestamp(_clock.now_ms() / 1000, UTC).isoformat(timespec="milliseconds")
        key = self._sources[source]
        middle = b'","source":"%b","occurred_at":"%bZ","seq":' % (key, now[:23].encode())
        begin = b'{"event_id":"%b-' % self._run
        lines = [
            b"%b%012x%b%d,%b%b" % (begin, first + n, middle, seq + n, self._user(first + n), next(self._tails))
            for n in range(self._coalesced)
        ]
        return source, key, b"\n".join(lines)

    def _user(self, number: int) -> bytes:
        return b'"user_id":"user-%d",' % (number % self._users) if self._users else b""


def write(settings: KafkaSettings, load: Load, *, records: int, partitions: int, per_second: float = 0) -> float:
    """Write so many records, at most so many a second (0: flat out); return the seconds until all are acknowledged."""
    producer = Producer(
        client_options(settings)
        | {"compression.type": "lz4", "linger.ms": 10, "enable.idempotence": True}
        | {"queue.buffering.max.messages": 500_000, "queue.buffering.max.kbytes": 262_144}
    )
    started = _clock.monotonic()
    for due in _due(records, per_second):
        for _ in range(due):
            source, key, value = load.record()
            _produce(producer, settings.topics.usage, value, key, source % partitions)
        producer.poll(0)
    if producer.flush(120):
        raise TimeoutError("the broker did not take the load within two minutes")
    return _clock.monotonic() - started


def _produce(producer: Producer, topic: str, value: bytes, key: bytes, partition: int) -> None:
    while True:
        try:
            producer.produce(topic, value, key=key, partition=partition, headers=HEADERS)
        except BufferError:  # what is on its way must arrive first: this is the pace of the broker
            producer.poll(0.05)
        else:
            return


def _due(records: int, per_second: float) -> Iterator[int]:
    """Yield how many records are due at each tick."""
    started, done = _clock.monotonic(), 0
    while done < records:
        due = min(records, int((_clock.monotonic() - started) * per_second)) - done if per_second else _SOURCES
        due = min(due, records - done)
        yield due
        done += due
        if per_second:
            _clock.sleep(_TICK_SECONDS)


def main() -> int:
    """Write the load; print how long it took."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--kafka", required=True)
    parser.add_argument("--prefix", required=True)
    parser.add_argument("--records", type=int, required=True)
    parser.add_argument("--coalesced", type=int, required=True)
    parser.add_argument("--partitions", type=int, required=True)
    parser.add_argument("--per-second", type=float, default=0)
    given = parser.parse_args()
    settings = KafkaSettings(kafka=given.kafka, topic_prefix=given.prefix)
    load = Load(coalesced=given.coalesced)
    seconds = write(settings, load, records=given.records, partitions=given.partitions, per_second=given.per_second)
    print(json.dumps({"events": given.records * given.coalesced, "seconds": seconds}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
