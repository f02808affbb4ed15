"""Does everybody hear of each alert once, whatever dies, fails or moves meanwhile?"""

import hmac
import os
import signal
from base64 import b64decode, b64encode
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import UTC, datetime
from multiprocessing.process import BaseProcess
from pathlib import Path
from random import Random
from threading import Event, Thread
from time import sleep
from typing import Any

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition
from tests.monitors import Monitor
from tests.notifications import SECRET, Received, Receiver, alert, channels_file, receiving, run_notifier_alone, until
from tests.processes import forked

from spendgauge.deploy.stack.broker import free_port
from spendgauge.schemas import Alert, KafkaSettings, SystemClock, UnavailableError, topic_specs
from spendgauge.schemas.compacted import read_compacted
from spendgauge.schemas.kafka import client_options, create_topics
from spendgauge.schemas.silences import Acknowledgement, Silence, acknowledgement_key, silence_key
from spendgauge.streams.delivery.notifier import run_notifier
from spendgauge.streams.delivery.settings import NotifierSettings

pytestmark = pytest.mark.integration

RAISED = ("alert.raised", "warn", "a")
ESCALATED = ("alert.escalated", "page", "a")
RESOLVED = ("alert.resolved", "page", "a")
LIFE = (alert(), alert(state="escalated", severity="page"), alert(state="resolved", severity="page"))

ENVIRONMENT = {"HOOK_SECRET": SECRET}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """What the first channel, ``ops``, reaches."""
    with receiving() as one:
        yield one


@pytest.fixture
def settings(kafka: KafkaSettings, receiver: Receiver, tmp_path: Path) -> NotifierSettings:
    """A notifier over fresh topics, with one webhook."""
    create_topics(kafka, topic_specs(kafka.topics, partitions=1))
    path = channels_file(tmp_path, _webhook("ops", receiver))
    group = f"{kafka.topic_prefix}notify"
    return NotifierSettings(**kafka.model_dump(), channels=path, notifier_group=group, session_timeout_seconds=1)


def _webhook(name: str, receiver: Receiver, **more: Any) -> dict[str, Any]:
    return {"name": name, "kind": "webhook", "url": receiver.url, "secret_env": "HOOK_SECRET", **more}


@contextmanager
def notifying(settings: NotifierSettings) -> Iterator[None]:
    """Run a notifier in a thread; what it raises is raised here."""
    stop = Event()
    failures: list[Exception] = []

    def run() -> None:
        try:
            run_notifier(settings, stop, environment=ENVIRONMENT)
        except Exception as error:  # noqa: BLE001 - it is raised in the test
            failures.append(error)

    thread = Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(20)
        assert not thread.is_alive()
        assert failures == []


def notifier_process(settings: NotifierSettings) -> AbstractContextManager[BaseProcess]:
    """Run a notifier as a process, which can be killed."""
    loaded = ["spendgauge.streams.delivery.notifier", "spendgauge.streams.delivery.webhooks", "tests.notifications"]
    return forked(run_notifier_alone, settings, ENVIRONMENT, loaded=loaded)


def say(settings: KafkaSettings, *alerts: Alert) -> None:
    """Write lines of ``cost.alerts``."""
    _write(
        settings, settings.topics.alerts, [(one.alert_id.encode(), one.model_dump_json().encode()) for one in alerts]
    )


def _write(settings: KafkaSettings, topic: str, records: Sequence[tuple[bytes, bytes | None]]) -> None:
    producer = Producer(client_options(settings))
    for key, value in records:
        producer.produce(topic, value, key, 0)
    assert producer.flush(10) == 0


def _lines(settings: KafkaSettings) -> list[Alert]:
    """Read all that is on ``cost.alerts``."""
    consumer = Consumer(client_options(settings, **{"group.id": "reader", "enable.partition.eof": True}))
    try:
        consumer.assign([TopicPartition(settings.topics.alerts, 0, OFFSET_BEGINNING)])
        found = []
        while (message := consumer.poll(10)) is not None and message.error() is None:
            found.append(Alert.model_validate_json(message.value() or b""))
        return found
    finally:
        consumer.close()


def _verified(request: Received) -> bool:
    """Check the signature as a receiver does, written down from the specification."""
    given = request.headers
    signed = f"{given['webhook-id']}.{given['webhook-timestamp']}.".encode() + request.body
    expected = b64encode(hmac.digest(b64decode(SECRET.removeprefix("whsec_")), signed, "sha256")).decode()
    fresh = abs(SystemClock().now_ms() / 1000 - int(given["webhook-timestamp"])) < 300
    return fresh and given["webhook-signature"] == f"v1,{expected}" and given["idempotency-key"] == given["webhook-id"]


def test_a_life_over_two_kinds_of_channels(settings: NotifierSettings, receiver: Receiver, tmp_path: Path) -> None:
    """Raised, graver, over: each channel hears each once, signed where it is a webhook; a replay brings nothing."""
    with receiving() as other:
        apprise = {"name": "chat", "kind": "apprise", "url": f"json://127.0.0.1:{other.port}/chat"}
        channels_file(tmp_path, _webhook("ops", receiver), apprise)
        say(settings, alert("noise", severity="info"))
        with notifying(settings):
            for number, line in enumerate(LIFE, start=1):
                say(settings, line)
                assert until(lambda number=number: len(receiver.got) == len(other.got) == number)
        with notifying(settings.model_copy(update={"notifier_group": "another"})):
            say(settings, alert("end"))
            assert until(lambda: len(receiver.got) == len(other.got) == 4)
    assert receiver.told == [RAISED, ESCALATED, RESOLVED, ("alert.raised", "warn", "end")]
    assert all(map(_verified, receiver.got))
    said = [one.json for one in other.got]
    assert [one["type"] for one in said] == ["warning", "failure", "success", "warning"]
    assert said[1]["title"] == "PAGE spike: feature 'chat' (96.00 USD/h over usual)"
    assert "spendgauge alerts ack ca978112" in said[1]["message"]


def test_killed_again_and_again(settings: NotifierSettings, receiver: Receiver) -> None:
    """A notifier that is killed at random moments tells all there is; what comes twice was on its way at a kill."""
    draw = Random(5)
    names = [f"n{number}" for number in range(36)]
    kills = 0
    for part in range(3):
        say(settings, *(alert(name) for name in names[part * 12 : part * 12 + 12]))
        goal = len(set(receiver.told)) + draw.randrange(1, 8)
        with notifier_process(settings) as process:
            assert until(lambda goal=goal: len(set(receiver.told)) >= goal)
            sleep(draw.random() / 50)
            process.kill()
            kills += 1
    with notifier_process(settings):
        assert until(lambda: len(set(receiver.told)) == 36)
        say(settings, *(alert(name, state="resolved") for name in names))
        assert until(lambda: len(set(receiver.told)) == 72)
    keys = Counter(one.headers["idempotency-key"] for one in receiver.got)
    assert len(keys) == 72
    assert sum(keys.values()) - 72 <= kills
    assert {one[0] for one in receiver.told} == {"alert.raised", "alert.resolved"}


def test_killed_between_the_sending_and_its_record(settings: NotifierSettings, receiver: Receiver) -> None:
    """The one window: what is under way at a kill is sent again with the same key and body, or that it is over."""
    say(settings, alert())
    receiver.gate.clear()
    with notifier_process(settings) as process:
        assert until(lambda: len(receiver.got) == 1)
        process.kill()
    receiver.gate.set()
    with notifying(settings):
        assert until(lambda: len(receiver.got) == 2)
    first, second = receiver.got
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"]
    assert first.body == second.body
    receiver.gate.clear()
    with notifier_process(settings) as process:
        say(settings, LIFE[1])
        assert until(lambda: len(receiver.got) == 3)
        process.kill()
    receiver.gate.set()
    say(settings, LIFE[2])
    with notifying(settings):
        assert until(lambda: receiver.told[2:] == [ESCALATED, RESOLVED])


def test_another_takes_over_from_one_that_dies_or_sleeps(
    settings: NotifierSettings, receiver: Receiver, tmp_path: Path
) -> None:
    """Of two notifiers one tells; when it freezes the other does, and the one that wakes up tells nothing again."""
    with ExitStack() as stack:
        first = stack.enter_context(notifier_process(settings))
        say(settings, LIFE[0])
        assert until(lambda: receiver.told == [RAISED])
        heartbeat = tmp_path / "beat"
        stack.enter_context(notifier_process(settings.model_copy(update={"heartbeat": heartbeat})))
        assert until(heartbeat.exists)
        assert first.pid is not None
        os.kill(first.pid, signal.SIGSTOP)
        say(settings, LIFE[1])
        assert until(lambda: receiver.told[1:] == [ESCALATED])
        os.kill(first.pid, signal.SIGCONT)
        sleep(1)
        say(settings, LIFE[2])
        assert until(lambda: receiver.told[2:] == [RESOLVED])
    assert len(receiver.got) == 3


def test_a_channel_that_fails_or_hangs_stops_nobody(
    settings: NotifierSettings, receiver: Receiver, tmp_path: Path
) -> None:
    """The others are told, of the failing channel too; when it works again it gets what is up, and that is told."""
    receiver.status = 500
    with receiving() as good, receiving() as slow:
        slow.gate.clear()
        channels = [_webhook("ops", receiver), _webhook("dev", good), _webhook("slow", slow, timeout_seconds=60)]
        channels_file(tmp_path, *channels)
        with notifying(settings):
            say(settings, alert("a"), alert("b"))
            assert until(lambda: any(one[2].startswith("delivery:channel:ops:") for one in good.told))
            assert len(slow.got) == 1
            receiver.status = 200
            assert until(lambda: any(one[0] == "alert.resolved" for one in good.told))
            assert until(lambda: {one[2] for one in receiver.told} == {"a", "b"})
            slow.gate.set()
            assert until(lambda: len(slow.got) >= 2)
    assert Counter(one[2].partition(":")[0] for one in good.told) == {"a": 1, "b": 1, "delivery": 2}
    own = [(one.state, one.key, one.message) for one in _lines(settings) if one.rule == "delivery"]
    assert own == [
        ("raised", ("ops",), "Channel ops does not get its messages: it answers 500 Internal Server Error."),
        ("resolved", ("ops",), "Channel ops works again."),
    ]


def test_people_are_heard(settings: NotifierSettings, receiver: Receiver) -> None:
    """A silence holds from before the alert, over a restart, until it is taken back; an acknowledgement holds too."""
    topic = settings.topics.silences
    now = datetime.fromtimestamp(SystemClock().now_ms() / 1000, UTC)
    silence = Silence(silence_id="s", rule="spike", by="ada", created_at=now, until=now.replace(year=now.year + 1))
    _write(settings, topic, [(silence_key("s"), silence.model_dump_json().encode())])
    say(settings, alert(), alert("loud", rule="budget"))
    with notifying(settings):
        assert until(lambda: receiver.told == [("alert.raised", "warn", "loud")])
    with notifying(settings):
        say(settings, alert("louder", rule="budget"))
        assert until(lambda: receiver.told[1:] == [("alert.raised", "warn", "louder")])
        word = Acknowledgement(incident_id="a", by="ada", at=now.replace(year=now.year + 1))
        _write(settings, topic, [(acknowledgement_key("a"), word.model_dump_json().encode()), (silence_key("s"), None)])
        say(settings, alert("b"))
        assert until(lambda: receiver.told[2:] == [("alert.raised", "warn", "b")])


def test_it_says_how_it_is(settings: NotifierSettings, receiver: Receiver, tmp_path: Path) -> None:
    """A notifier is ready once it has caught up; it counts, keeps what it must, and takes an edited file up."""
    monitor = Monitor(free_port())
    say(settings, alert())
    _write(settings, settings.topics.alerts, [(b"odd", b"no alert"), (b"none", None)])
    with notifying(settings.model_copy(update={"monitor_port": monitor.port})):
        assert monitor.until()
        assert until(lambda: monitor.figure("spendgauge_notifier_attempts_total", channel="ops", outcome="sent") == 1)
        assert monitor.figure("spendgauge_notifier_alert_lines_total") == 1
        assert monitor.figure("spendgauge_notifier_invalid_lines_total") == 1
        assert monitor.figure("spendgauge_notifier_incidents_up") == 1
        assert monitor.figure("spendgauge_notifier_committed_lag_records") == 0
        channels_file(tmp_path, _webhook("late", receiver))
        assert until(lambda: receiver.told == [RAISED, RAISED])
        (tmp_path / "channels.toml").write_text("[[")
        assert until(lambda: monitor.figure("spendgauge_notifier_configuration_ok") == 0)
    kept = read_compacted(settings, settings.topics.deliveries)
    assert sorted(kept) == [b'["alert","a"]', b'["sent","a","late","warn"]', b'["sent","a","ops","warn"]']


def test_without_topics_it_says_what_to_do(kafka: KafkaSettings, receiver: Receiver, tmp_path: Path) -> None:
    """Where a topic is missing the notifier ends at once, with a sentence."""
    path = channels_file(tmp_path, _webhook("ops", receiver))
    with pytest.raises(UnavailableError, match="create the topics with `spendgauge topics create`"):
        run_notifier(NotifierSettings(**kafka.model_dump(), channels=path), Event(), environment=ENVIRONMENT)
