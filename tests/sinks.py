"""How is a sink tested? With chunks and messages made by hand, a database to look into, and real processes to kill."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clickhouse_connect.driver.exceptions import DatabaseError

from spendgauge.schemas import (
    Alert,
    Contributor,
    RateContribution,
    RecordChunk,
    RejectedEvent,
    TopicNames,
    UsageEvent,
)
from spendgauge.schemas.lines import event_line
from spendgauge.schemas.positions import SeqGap, SourceGaps
from spendgauge.schemas.prices import PriceBook
from spendgauge.schemas.refusals import QuotaRefusal
from spendgauge.sinks.alerts import ALERT_AMOUNTS
from spendgauge.sinks.rows import decode_chunks
from spendgauge.sinks.writer import Batch, Writer, Written

__all__ = [
    "NOW_MS",
    "TOPICS",
    "FakeMessage",
    "alert",
    "chunk",
    "contribution",
    "event",
    "gaps",
    "quota_refusal",
    "refusal",
    "reject",
    "store",
]

NOW_MS = 1_790_000_000_000
TOPICS = TopicNames()


@dataclass(frozen=True)
class FakeMessage:
    """A record as confluent-kafka gives it."""

    at: tuple[str, int, int]
    content: bytes | None = b"line"

    def __len__(self) -> int:
        """The size of the content."""
        return len(self.content or b"")

    def offset(self) -> int:
        """The third of ``at``."""
        return self.at[2]

    def timestamp(self) -> tuple[int, int]:
        """The same for all."""
        return 1, NOW_MS

    def key(self) -> bytes:
        """The same for all."""
        return b"source"

    def value(self) -> bytes | None:
        """The content."""
        return self.content

    def headers(self) -> None:
        """None, as for a record without headers."""


def event(number: int, **fields: Any) -> bytes:
    """Write the line of an event with an id of its own."""
    values: dict[str, Any] = {
        "event_id": f"{number:08d}-0000-4000-8000-000000000001",
        "occurred_at": "2026-09-21T14:13:20.000Z",
        "provider": "anthropic",
        "model": "claude-sonnet-4-5",
        "input_tokens": 1000,
        "output_tokens": 100,
        **fields,
    }
    return event_line(UsageEvent.model_validate_json(_json(values)))


def contribution(**fields: Any) -> bytes:
    """Write the line of a contribution to the pane of 2026-09-21 14:13:20."""
    values: dict[str, Any] = dict.fromkeys(RateContribution.model_fields, 0) | {
        "series": "provider+model",
        "key": ("anthropic", "claude-sonnet-4-5"),
        "pane_start": NOW_MS // 1000,
        "pane_seconds": 10,
        "stream": "topic:16384",
        "cost_usd": "0.000000000000",
        **fields,
    }
    return RateContribution(**values).model_dump_json().encode()


def gaps(*, gaps: Sequence[Mapping[str, int]] = (), **fields: Any) -> bytes:
    """Write a line of usage.gaps; each gap was opened by offset 5, at ``NOW_MS``, unless it says otherwise."""
    standing = {"stream": "topic:16384", "partition": 0, "version": 0, "next_seq": 0, "repeats": 0, "shared": False}
    opened = tuple(SeqGap(**{"opened_offset": 5, "opened_at_ms": NOW_MS, **gap}) for gap in gaps)
    return SourceGaps(**{"source": "a", **standing, **fields}, gaps=opened).model_dump_json().encode()


def alert(**fields: Any) -> bytes:
    """Write a step of an alert: agent a-1 raised at ``NOW_MS``, unless it says otherwise."""
    values: dict[str, Any] = {
        "alert_id": "spike:a-1",
        "rule": "spike",
        "state": "raised",
        "severity": "warn",
        "series": "agent",
        "key": ("a-1",),
        "onset": NOW_MS // 1000 - 120,
        "evaluated_at": NOW_MS // 1000,
        "window_seconds": 300,
        **dict.fromkeys(ALERT_AMOUNTS, "0.000000000000"),
        "driver": "requests",
        "contributors": (),
        "message": "agent 'a-1' spends much.",
        **fields,
    }
    values |= {"contributors": tuple(Contributor(**one) for one in values["contributors"])}
    values.setdefault("incident_id", values["alert_id"])
    return Alert(**values).model_dump_json().encode()


def quota_refusal(number: int = 1, **fields: Any) -> bytes:
    """Write a line of cost.refusals: user u-1 is beyond 25 USD, unless it says otherwise."""
    values: dict[str, Any] = {
        "refusal_id": f"{number:08d}-0000-4000-8000-000000000002",
        "refused_at": "2026-09-21T14:13:20.000Z",
        "action": "refused",
        "reason": "hard",
        "quota": "a user",
        "series": "user_id",
        "key": ("u-1",),
        "unit": "usd",
        "limit": "25.000000000000",
        "spent": "24.900000000000",
        "reserved": "0.050000000000",
        "estimate": "0.100000000001",
        "resets_at": NOW_MS // 1000 + 3600,
        "source": "api@h#1",
        **fields,
    }
    return QuotaRefusal(**values).model_dump_json().encode()


def reject(**fields: Any) -> bytes:
    """Write the line of a rejected event, as a worker does."""
    values = {
        "stream": "topic:16384",
        "topic": "usage.events",
        "partition": 0,
        "offset": 5,
        "line": 0,
        "received_at_ms": NOW_MS,
        "reason": "invalid_json",
        "detail": "not JSON",
        "key": b"source",
        "value": b"{",
        **fields,
    }
    return RejectedEvent(**values).model_dump_json().encode()


def chunk(topic: str, *values: bytes | None, partition: int = 0, first: int = 0, now_ms: int = NOW_MS) -> RecordChunk:
    """Make a chunk of these records' values."""
    count = len(values)
    return RecordChunk(
        stream="topic:16384",
        topic=topic,
        partition=partition,
        offsets=range(first, first + count),
        timestamps_ms=[now_ms] * count,
        keys=[b"source"] * count,
        values=values,
        headers=[()] * count,
    )


def store(client: Any, chunks: Sequence[RecordChunk], *, book: PriceBook, **options: Any) -> Written:
    """Store chunks as the sink does, in this thread, through clickhouse-connect's client or a fake."""
    decoded = decode_chunks(chunks, book=book, topics=TOPICS)
    writer = Writer(
        **{"client": client, "batch_rows": 100_000, "wait": lambda _: False, "on_retry": lambda *_: None, **options}
    )
    return writer.write(Batch(chunks, decoded.rows, {}))


def refusal(code: int | None = 469, text: str = "DB::Exception: a constraint is violated") -> DatabaseError:
    """Make the client's error for a failed INSERT."""
    return DatabaseError(text, code=code)


def _json(values: dict[str, Any]) -> bytes:
    import orjson

    return orjson.dumps(values)
