"""When does an item count as taken? With an id from the producer, and at no other time."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.gateways import uuid
from tests.producers import CALL, FakeBroker, FakeClock

from spendgauge.producers import RecordingProducer, UsageProducer
from spendgauge.producers.gateway.keys import Key
from spendgauge.producers.gateway.replies import RefusedError, outcomes_reply, refusal_reply
from spendgauge.producers.gateway.taking import Outcome, Taker, judge_like


class Doubtful(RecordingProducer):
    """A producer that cannot make events safe while it is told so."""

    safe = True

    def emit(self, /, **fields: Any) -> str | None:
        """Take an event; the answer is an id only while it is safe."""
        found = super().emit(**fields)
        return found if self.safe else None


def taker(producer: RecordingProducer | None = None, clock: FakeClock | None = None) -> Taker:
    """A taker on a clock that stands still."""
    return Taker(producer or RecordingProducer("gateway"), clock=clock or FakeClock())


def test_each_item_is_judged_by_itself() -> None:
    """Valid items are taken, invalid ones named with field and rule, in their order; text is not repeated."""
    producer, secret = RecordingProducer("gateway"), "please summarise " * 50
    outcomes = taker(producer).take(
        [
            CALL,
            CALL | {"input_tokens": -1},
            "it is not a JSON object",
            CALL | {"prompt": secret},
            CALL | {"model": 3},
            CALL,
        ],
        None,
    )
    assert [outcome.fate for outcome in outcomes] == ["taken", "refused", "refused", "refused", "refused", "taken"]
    assert [outcome.reason for outcome in outcomes[1:4]] == [
        "the event: input_tokens -1 must be >= 0; only an adjustment may be negative",
        "it is not a JSON object",
        "prompt is not a field of a usage event",
    ]
    assert [event.event_id for event in producer.events] == [outcomes[0].event_id, outcomes[5].event_id]
    assert secret[:20] not in str(outcomes)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"source": "mine"}, "source and seq are given by the producer"),
        ({"seq": 3}, "source and seq are given by the producer"),
        ({"event_id": "no uuid"}, "event_id"),
        ({"occurred_at": 1_800_000_000}, "occurred_at"),
        ({"occurred_at": "yesterday"}, "occurred_at"),
        ({"tags": {"a": "b" * 257}}, "tags"),
        ({"tags": {f"{n}": "é" * 250 for n in range(16)}, "user_id": "é" * 256}, "at most 8192 are accepted"),
    ],
)
def test_a_reason_names_the_field(fields: dict[str, Any], reason: str, tmp_path: Path) -> None:
    """What a real producer does not take is explained."""
    with UsageProducer(
        service="g", spool_dir=str(tmp_path), durability="process", connect=FakeBroker().connect
    ) as producer:
        (outcome,) = Taker(producer, clock=FakeClock()).take([CALL | fields], None)
    assert outcome.fate == "refused"
    assert reason in outcome.reason


def test_what_is_too_large_for_the_producer_is_no_trouble(tmp_path: Path) -> None:
    """An event is taken or refused whatever its size: the producer's own fields, which make the line longer, and a
    pseudonym never make it look as if the disk had failed, which would turn all other senders away."""
    large = CALL | {"tags": {f"{n}": "é" * 240 for n in range(16)}, "user_id": "u"}
    with UsageProducer(
        service="a-gateway-with-a-name",
        spool_dir=str(tmp_path),
        durability="process",
        pseudonym_key="5a" * 32,
        pseudonym_key_id="2026",
        connect=FakeBroker().connect,
    ) as producer:
        ours = Taker(producer, clock=FakeClock(), judge=judge_like(producer))
        sizes = [large | {"feature": "f" * min(n, 256), "agent": "a" * max(n - 256, 0)} for n in range(0, 450, 3)]
        fates = [outcome.fate for outcome in ours.take(sizes, None)]
    assert not ours.troubled
    assert (set(fates), fates[0], fates[-1]) == ({"taken", "refused"}, "taken", "refused")


def test_times_that_consumers_reject_are_refused_here() -> None:
    """From 30 days ago to 5 minutes ahead."""
    clock = FakeClock()
    now = datetime.fromtimestamp(clock.wall_ms / 1000, UTC)
    times = [now - timedelta(days=30), now + timedelta(minutes=5), now - timedelta(days=31), now + timedelta(minutes=6)]
    outcomes = taker(clock=clock).take([CALL | {"occurred_at": at.isoformat()} for at in times], None)
    assert [outcome.fate for outcome in outcomes] == ["taken", "taken", "refused", "refused"]
    assert "31 days ago" in outcomes[2].reason
    assert "seconds ahead of now" in outcomes[3].reason


def test_an_id_that_comes_twice_at_once_is_emitted_once() -> None:
    """A sender that gave up waiting sends again while the first request is under way: one event, and nothing is called
    safe that is not yet."""

    class Busy(RecordingProducer):
        def emit(self, /, **fields: Any) -> str | None:
            meanwhile.extend(ours.take([event], None))
            return super().emit(**fields)

    meanwhile: list[Outcome] = []
    producer, event = Busy("gateway"), CALL | {"event_id": uuid(3)}
    ours = taker(producer)
    assert [outcome.fate for outcome in ours.take([event], None)] == ["taken"]
    assert ([outcome.fate for outcome in meanwhile], len(producer.events)) == (["unsafe"], 1)
    assert not ours.troubled
    assert ours.take([event], None)[0].fate == "known"


def test_an_id_that_comes_again_is_known() -> None:
    """The same id, in any case, is emitted once; another key's is another sender's."""
    producer = RecordingProducer("gateway")
    ours, other, key = taker(producer), CALL | {"event_id": uuid(2)}, Key("k", {}, {})
    again = [CALL | {"event_id": uuid(10).upper()}, CALL | {"event_id": uuid(10)}]
    assert [outcome.fate for outcome in ours.take([*again, other], None)] == ["taken", "known", "taken"]
    assert ours.take(again, None) == [Outcome("known", uuid(10))] * 2
    assert [outcome.fate for outcome in ours.take(again, key)] == ["taken", "known"]
    assert ours.take([again[0] | {"input_tokens": -1}], None)[0].fate == "refused"
    assert len(producer.events) == 3


def test_only_what_is_safe_is_remembered() -> None:
    """What was refused or not safe may come again under the same id, and is then taken."""
    clock, producer = FakeClock(), Doubtful("gateway")
    ours, event = taker(producer, clock), CALL | {"event_id": uuid(1)}
    assert ours.take([event | {"input_tokens": -1}], None)[0].fate == "refused"
    producer.safe = False
    assert ours.take([event], None)[0].fate == "unsafe"
    producer.safe = True
    clock.seconds += 1.1
    assert ours.take([event], None) == [Outcome("taken", uuid(1))]


def test_in_trouble_one_event_a_second_is_tried() -> None:
    """While nothing can be made safe, a flood does not reach the producer, and bad events are still named."""
    clock, producer = FakeClock(), Doubtful("gateway")
    ours = taker(producer, clock)
    producer.safe = False
    outcomes = ours.take([CALL] * 100 + [CALL | {"input_tokens": -1}], None)
    assert [outcome.fate for outcome in outcomes] == ["unsafe"] * 100 + ["refused"]
    assert (len(producer.events), ours.troubled) == (1, True)
    clock.seconds += 1.1
    assert not ours.troubled
    ours.take([CALL] * 100, None)
    assert len(producer.events) == 2


@pytest.mark.parametrize(
    ("fates", "status"),
    [
        (["taken"], 202),
        (["known"], 202),
        (["taken", "refused"], 202),
        (["refused"], 422),
        (["taken", "refused", "unsafe"], 503),
        (["unsafe"], 503),
    ],
)
def test_a_status_says_what_a_sender_must_do(fates: list[Any], status: int) -> None:
    """202: nothing; 422: mend it; 503, with a time: send what is marked again."""
    reply = outcomes_reply([Outcome(fate, "id", "reason") for fate in fates])
    assert reply.status_code == status
    assert ("retry-after" in reply.headers) == (status == 503)
    assert bytes(reply.body).count(b'"retry":true') == fates.count("unsafe")


def test_a_refusal_is_said_in_the_senders_form() -> None:
    """JSON for JSON, and a ``Status`` message for protobuf: field 2 is the text."""
    refusal = RefusedError(429, "x" * 200, retry_seconds=0.2)
    plain, coded = refusal_reply(refusal, "application/json"), refusal_reply(refusal, "application/x-protobuf")
    assert plain.body == b'{"message":"' + b"x" * 200 + b'"}'
    assert coded.body == b"\x12\xc8\x01" + b"x" * 200
    assert (plain.headers["retry-after"], coded.headers["content-type"]) == ("1", "application/x-protobuf")
