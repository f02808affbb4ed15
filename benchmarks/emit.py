"""How long does ``emit()`` hold its caller up, beside ``json.dumps`` and ``produce()`` of the same event by hand?

``python -m benchmarks.emit ours|bare`` is the service: it calls at a steady pace, or as fast as it can, and times each
call. Its producer's own thread runs on the same processor, so that what it takes from the caller is in the figure.
"""

import argparse
import json
import sys
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from statistics import median
from typing import Any, Final

from confluent_kafka import Producer

from benchmarks.machines import run_pinned
from benchmarks.report import Row
from spendgauge.producers import UsageProducer
from spendgauge.schemas import KafkaSettings, SystemClock, topic_specs
from spendgauge.schemas.kafka import client_options, create_topics

__all__ = ["main", "measure_emit"]

_CALLS: Final = 6_000
_PACE_SECONDS: Final = 0.0005
_WARM_UP: Final = 1_000

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
        for pace in ("steady", "flat-out"):
            for who in ("ours", "bare"):
                run = run_pinned("benchmarks.emit", who, pace, "--kafka", kafka)
                found.setdefault((who, pace), []).append(run)
    rows = []
    for pace, text in (("steady", "2,000 calls a second"), ("flat-out", "one call after another")):
        for percentile in ("p50", "p99"):
            ours, bare = (median(run[percentile] for run in found[who, pace]) for who in ("ours", "bare"))
            rows.append(Row(f"emit() {percentile}, {text}", ours, "json.dumps + produce()", bare, "µs"))
    return rows


def _ours(kafka: str) -> tuple[Callable[[], object], Callable[[], object]]:
    producer = UsageProducer(kafka=kafka, service="bench")
    return lambda: producer.emit(**_FIELDS), producer.close


def _bare(kafka: str) -> tuple[Callable[[], object], Callable[[], object]]:
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

    return send, producer.flush


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
    parser.add_argument("who", choices=("ours", "bare"))
    parser.add_argument("pace", choices=("steady", "flat-out"))
    parser.add_argument("--kafka", required=True)
    given = parser.parse_args()
    call, finish = (_ours if given.who == "ours" else _bare)(given.kafka)
    taken = _time(call, pace_seconds=_PACE_SECONDS if given.pace == "steady" else 0)
    finish()
    percentiles = {"p50": 0.5, "p99": 0.99, "max": 1.0}
    found = {name: taken[min(int(part * _CALLS), _CALLS - 1)] / 1000 for name, part in percentiles.items()}
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
