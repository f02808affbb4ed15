"""How long does ``emit()`` hold its caller up, beside ``json.dumps`` and ``produce()`` of the same event by hand?

``python -m benchmarks.emit memory|process|pseudonyms|disk|bare`` is the service: it calls at a steady pace, or as fast
as it can, and times each call. Its producer's own thread runs on the same processor, so that what it takes from the
caller is in the figure.
"""

import argparse
import json
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import product
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, Final

from confluent_kafka import Producer

from benchmarks.machines import processors, run_pinned, start_pinned
from benchmarks.report import Row
from spendgauge.producers import UsageProducer
from spendgauge.schemas import KafkaSettings, SystemClock, topic_specs
from spendgauge.schemas.kafka import client_options, create_topics

__all__ = ["main", "measure_emit"]

_CALLS: Final = 6_000
_PACE_SECONDS: Final = 0.0005
_WARM_UP: Final = 1_000
_PACES: Final = {"steady": "2,000 calls a second", "flat-out": "one call after another"}
_OURS: Final = {
    "memory": "durability=memory",
    "process": "durability=process",
    "pseudonyms": "the same, with two pseudonyms",
    "disk": "durability=disk",
}

_MODULE: Final = "spendgauge.producers"
_MADE_OF: Final = "confluent_kafka, pydantic, structlog"
_IMPORTS: Final = 9

_FIELDS: Final[dict[str, Any]] = {
    "provider": "anthropic",
    "model": "claude-sonnet-4-5-20250929",
    "input_tokens": 412,
    "cache_read_tokens": 28_424,
    "cache_write_5m_tokens": 77,
    "output_tokens": 301,
    "latency_ms": 1625,
    "ttft_ms": 799,
    "tenant": "harbor",
    "team": "platform",
    "environment": "production",
    "feature": "pair",
    "agent": "coder",
    "user_id": "harbor/user-1",
    "session_id": "code-assistant-d27b53976262",
}


def measure_emit(kafka: str, *, rounds: int) -> list[Row]:
    """Time the calls of both, in turn; give the medians of the runs' percentiles."""
    create_topics(KafkaSettings(kafka=kafka), topic_specs(KafkaSettings(kafka=kafka).topics))
    found: dict[tuple[str, str], list[dict[str, float]]] = {}
    for _ in range(rounds):
        for pace in _PACES:
            for who in (*_OURS, "bare"):
                run = run_pinned("benchmarks.emit", who, pace, "--kafka", kafka)
                found.setdefault((who, pace), []).append(run)
    rows = []
    for pace, text in _PACES.items():
        for who, percentile in product(_OURS, ("p50", "p99")):
            ours, bare = (median(run[percentile] for run in found[one, pace]) for one in (who, "bare"))
            rows.append(Row(f"{_OURS[who]}, {percentile}, {text}", ours, "json.dumps + produce()", bare, "µs"))
    taken = [(_import_ms(_MODULE), _import_ms(_MADE_OF)) for _ in range(_IMPORTS)]
    own, parts = (median(times) for times in zip(*taken, strict=True))
    return [*rows, Row(f"import {_MODULE}", own, f"import {_MADE_OF}", parts, "ms")]


def _import_ms(names: str) -> float:
    """Say how long an import takes in a new process, in milliseconds; what is compiled of Python is in its cache."""
    script = f"import time; began = time.perf_counter(); import {names}; print(1000 * (time.perf_counter() - began))"
    with start_pinned([sys.executable, "-c", script], processor=processors()[1], output=subprocess.PIPE) as process:
        printed, _ = process.communicate(timeout=60)
    return float(printed)


@contextmanager
def _ours(kafka: str, who: str) -> Iterator[Callable[[], object]]:
    fields: dict[str, Any] = {"durability": "process" if who == "pseudonyms" else who}
    if who == "pseudonyms":
        fields |= {"pseudonym_key": "00" * 32, "pseudonym_key_id": "bench", "pseudonym_fields": "user_id,session_id"}
    with TemporaryDirectory() as folder, UsageProducer(kafka=kafka, service="bench", spool_dir=folder, **fields) as own:
        yield lambda: own.emit(**_FIELDS)


@contextmanager
def _bare(kafka: str) -> Iterator[Callable[[], object]]:
    settings = KafkaSettings(kafka=kafka)
    topic, numbers = settings.topics.usage, iter(range(sys.maxsize))
    producer = Producer(client_options(settings) | {"enable.idempotence": True, "linger.ms": 50})

    def send() -> None:
        own = {
            "event_id": str(uuid.uuid4()),
            "source": "bench",
            "seq": next(numbers),
            "occurred_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        }
        producer.produce(topic, json.dumps(own | _FIELDS).encode(), key=b"bench")
        producer.poll(0)

    yield send
    producer.flush()


def _time(call: Callable[[], object], *, pace_seconds: float) -> list[int]:
    taken, clock = [], SystemClock()
    for number in range(_WARM_UP + _CALLS):
        if pace_seconds:
            clock.sleep(pace_seconds)
        before = time.perf_counter_ns()
        call()
        if number >= _WARM_UP:
            taken.append(time.perf_counter_ns() - before)
    return sorted(taken)


def main() -> int:
    """Call many times; print the percentiles in microseconds."""
    parser = argparse.ArgumentParser()
    parser.add_argument("who", choices=(*_OURS, "bare"))
    parser.add_argument("pace", choices=_PACES)
    parser.add_argument("--kafka", required=True)
    given = parser.parse_args()
    with _bare(given.kafka) if given.who == "bare" else _ours(given.kafka, given.who) as call:
        taken = _time(call, pace_seconds=_PACE_SECONDS if given.pace == "steady" else 0)
    percentiles = {"p50": 0.5, "p99": 0.99, "max": 1.0}
    found = {name: taken[min(int(part * _CALLS), _CALLS - 1)] / 1000 for name, part in percentiles.items()}
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
