"""Does what is sent arrive as it should, over real sockets? Webhooks, apprise, threads, and the trial of channels."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event

import pytest
from pydantic import SecretStr
from structlog.testing import LogCapture
from tests.commands import Run, typing
from tests.notifications import SECRET, Received, Receiver, alert, channels_file, receiving, until
from tests.producers import FakeClock

from spendgauge.schemas import SystemClock
from spendgauge.schemas.notifications import Notification
from spendgauge.streams.delivery.channels import Channel
from spendgauge.streams.delivery.deciding import Wanted
from spendgauge.streams.delivery.desk import Order
from spendgauge.streams.delivery.incidents import Incident
from spendgauge.streams.delivery.memory import KeptAlert
from spendgauge.streams.delivery.messages import Message, compose
from spendgauge.streams.delivery.senders import Senders, make_sender
from spendgauge.streams.delivery.signing import read_secrets
from spendgauge.streams.delivery.targets import Target
from spendgauge.streams.delivery.tries import Outcome

pytestmark = pytest.mark.usefixtures("log")

ENVIRONMENT = {"HOOK_SECRET": SECRET}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Somebody who listens."""
    with receiving() as one:
        yield one


def _message() -> Message:
    kept = KeptAlert(incident_id="a", alert=alert(severity="page"), heard_ms={"page": 0}, last_ms=0)
    return compose(Incident("a", {"a": kept}), Wanted("page", kept), channel="ops", stream="s")


def _webhook(url: str, *, seconds: float = 5, name: str = "ops") -> Target:
    own = Channel(name=name, kind="webhook", url=SecretStr(url), secret_env="S", timeout_seconds=seconds)
    return Target(own, SecretStr(url), read_secrets(SECRET))


def _service(url: str, *, seconds: float = 5) -> Target:
    return Target(Channel(name="chat", kind="apprise", url=SecretStr(url), timeout_seconds=seconds), SecretStr(url))


@contextmanager
def _silence() -> Iterator[str]:
    """Listen and never answer."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def _nobody() -> str:
    """Name a port where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"127.0.0.1:{server.getsockname()[1]}"


def test_a_webhook_carries_the_notification(receiver: Receiver) -> None:
    """The body is the notification as JSON; every attempt has the same key, and a time and a signature of its own."""
    clock, message = FakeClock(), _message()
    sender = make_sender(_webhook(receiver.url), clock)
    assert sender.send(message) == Outcome("sent")
    clock.wall_ms += 60_000
    assert sender.send(message) == Outcome("sent")
    sender.close()
    first, second = receiver.got
    assert Notification.model_validate_json(first.body) == message.notification
    assert first.body == second.body
    assert first.headers["content-type"] == "application/json"
    same = {"idempotency-key", "webhook-id"}
    assert {name: second.headers[name] for name in same} == dict.fromkeys(same, message.key)
    assert int(second.headers["webhook-timestamp"]) - int(first.headers["webhook-timestamp"]) == 60
    assert first.headers["webhook-signature"] != second.headers["webhook-signature"]


def test_nobody_there_and_no_answer_are_failures() -> None:
    """A closed port, a name that is none and a silent server are tried again; the reason shows no address."""
    with _silence() as silent:
        found = []
        for url in (
            f"http://{_nobody()}/tOkEn",
            "http://[::1/tOkEn",
            f"http://{silent}/tOkEn",
            f"https://{silent}/tOkEn",
        ):
            sender = make_sender(_webhook(url, seconds=0.2), FakeClock())
            found.append(sender.send(_message()))
            sender.close()
    assert {outcome.fate for outcome in found} == {"failed"}
    assert found[0].reason == "nobody listens there; check its url"
    assert found[2].reason == "it does not answer within 0.2 s"
    assert not any("tOkEn" in outcome.reason for outcome in found)


def test_apprise_says_it_in_the_services_own_way(receiver: Receiver) -> None:
    """Title, text and how grave it is arrive; a refusal is a failure with apprise's reason, so is nobody there."""
    sender = make_sender(_service(f"json://127.0.0.1:{receiver.port}/tOkEn"), FakeClock())
    message = _message()
    assert sender.send(message) == Outcome("sent")
    said, data = receiver.got[0].json, message.notification.data
    assert (said["title"], said["message"].split(), said["type"]) == (data.subject, data.text.split(), "failure")
    receiver.status = 403
    outcome = sender.send(message)
    assert (outcome.fate, "error=403" in outcome.reason) == ("failed", True)
    gone = make_sender(_service(f"json://{_nobody()}/tOkEn"), FakeClock()).send(message)
    assert (gone.fate, "onnection" in gone.reason, "tOkEn" in gone.reason) == ("failed", True, False)


def test_a_service_that_hangs_ends_in_time() -> None:
    """A service that does not answer is given up after the channel's timeout."""
    with _silence() as silent:
        clock = SystemClock()
        begun = clock.monotonic()
        outcome = make_sender(_service(f"json://{silent}/", seconds=0.3), clock).send(_message())
        assert clock.monotonic() - begun < 3
    assert outcome.fate == "failed"


def test_threads_wait_for_nobody(receiver: Receiver, log: LogCapture) -> None:
    """While one channel hangs another sends; a channel that breaks answers all the same; a removed one ends its own."""
    free, message = Event(), _message()

    class Odd:
        def __init__(self, target: Target) -> None:
            self.name = target.channel.name

        def send(self, message: Message) -> Outcome:
            if self.name == "broken":
                raise ZeroDivisionError(message.key)
            assert free.wait(20)
            return Outcome("sent")

        def close(self) -> None:
            """Nothing is open."""

    senders = Senders(lambda target: make_sender(target, FakeClock()) if target.channel.name == "good" else Odd(target))
    targets = [_webhook(receiver.url, name=name) for name in ("good", "slow", "broken")]
    senders.set(targets)
    assert senders.idle == {"good", "slow", "broken"}
    for name in ("slow", "good", "broken"):
        senders.send(Order(name, "a", "page", message, 0))
    ended: dict[str, Outcome] = {}
    assert until(lambda: ended.update({o.channel: out for o, out in senders.outcomes()}) or len(ended) == 2)
    assert ended == {
        "good": Outcome("sent"),
        "broken": Outcome("failed", "it fails in an unexpected way (ZeroDivisionError)", perhaps=True),
    }
    (entry,) = log.entries
    assert (entry["event"], entry["error"]) == ("a channel fails in an unexpected way", "ZeroDivisionError")
    assert entry["places"][-1].startswith("test_delivery.py:")
    assert message.key not in str(entry)
    senders.set(targets[:1])
    assert senders.busy
    assert senders.idle == {"good"}
    free.set()
    assert [(order.channel, out.fate) for order, out in senders.outcomes(wait_seconds=20)] == [("slow", "sent")]
    assert not senders.busy
    senders.close()


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Type a command."""
    return typing(monkeypatch, capsys, **ENVIRONMENT)


def test_the_trial_says_of_each_channel_what_came_of_it(run: Run, receiver: Receiver, tmp_path: Path) -> None:
    """``--test`` sends to each, whatever it wants to hear of and when; one that does not work makes it exit with 1."""
    hook = {"name": "ops", "kind": "webhook", "url": receiver.url, "secret_env": "HOOK_SECRET"}
    quiet = '{ from = "00:00", until = "23:59" }'
    chat = {"name": "chat", "kind": "apprise", "url": f"json://127.0.0.1:{receiver.port}/", "quiet": quiet}
    path = channels_file(tmp_path, hook | {"min_severity": "page"}, chat)
    done = run("notifier", "--test", "--channels", str(path))
    assert (done.status, done.out) == (0, "ops: sent\nchat: sent\n")
    first: Received = receiver.got[0]
    assert first.json["type"] == "alert.test"
    assert first.json["data"]["subject"] == "TEST: channel 'ops' of spendgauge"
    path = channels_file(tmp_path, hook | {"url": f"http://{_nobody()}/"}, chat)
    done = run("notifier", "--test", "--channels", str(path))
    assert (done.status, done.out) == (1, "ops: failed: nobody listens there; check its url\nchat: sent\n")
