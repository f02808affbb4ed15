"""What can a webhook's server do to the notifier? It may lead it astray, drip, flood, or show a bad certificate."""

import logging
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread

import pytest
from pydantic import SecretStr
from tests.notifications import SECRET, alert, receiving, until
from tests.producers import FakeClock
from tests.rooms import ROOT

from spendgauge.schemas import SystemClock
from spendgauge.streams.delivery.channels import Channel
from spendgauge.streams.delivery.deciding import Wanted
from spendgauge.streams.delivery.incidents import Incident
from spendgauge.streams.delivery.memory import KeptAlert
from spendgauge.streams.delivery.messages import compose
from spendgauge.streams.delivery.senders import make_sender
from spendgauge.streams.delivery.signing import read_secrets
from spendgauge.streams.delivery.targets import Target
from spendgauge.streams.delivery.tries import Outcome

CERTIFICATES = ROOT / "tests" / "certificates"
SECONDS = 1
LATE = Outcome("failed", "it does not answer within 1 s", perhaps=True)
VALID = CERTIFICATES / "valid.pem"

Answer = Callable[[socket.socket, Event], None]


@contextmanager
def _serving(answer: Answer, *, certificate: Path | None = None) -> Iterator[int]:
    """Read a request from each connection, and have it answered until the test is over; give the port."""
    over = Event()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) if certificate else None
    if context and certificate:
        context.load_cert_chain(certificate)

    def serve(server: socket.socket) -> None:
        with suppress(OSError):
            while True:
                plain, _ = server.accept()
                with suppress(OSError), context.wrap_socket(plain, server_side=True) if context else plain as each:
                    said = each.recv(65536)
                    while said.startswith(b"POST") and not said.endswith(b"}"):
                        said += each.recv(65536)
                    answer(each, over)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = Thread(target=serve, args=[server])
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            over.set()
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


def _send(url: str, *, seconds: float = 10) -> Outcome:
    kept = KeptAlert(incident_id="a", alert=alert(severity="page"), heard_ms={"page": 0}, last_ms=0)
    message = compose(Incident("a", {"a": kept}), Wanted("page", kept), channel="ops", stream="s")
    own = Channel(name="ops", kind="webhook", url=SecretStr(url), secret_env="S", timeout_seconds=seconds)
    sender = make_sender(Target(own, SecretStr(url), read_secrets(SECRET)), FakeClock())
    try:
        return sender.send(message)
    finally:
        sender.close()


def _say(text: bytes) -> Answer:
    return lambda connection, _: connection.sendall(text)


def _again(text: bytes, *, every_seconds: float, begin: bytes = b"") -> Answer:
    def answer(connection: socket.socket, over: Event) -> None:
        connection.sendall(begin)
        while not over.wait(every_seconds):
            connection.sendall(text)

    return answer


def test_a_redirect_is_not_followed() -> None:
    """What is sent goes where the file says and nowhere else, with its signature; the reason says what to do."""
    with receiving() as there, receiving() as here:
        here.status, here.answer_headers = 307, {"Location": f"{there.url}?tOkEn"}
        outcome = _send(here.url)
    assert outcome.fate == "failed"
    assert outcome.reason == (
        "it answers 307 Temporary Redirect; no redirect is followed, so write the address that it names as its url, if "
        "that is yours too"
    )
    assert (len(here.got), there.got) == (1, [])


DRIP = _again(b"x", every_seconds=0.03, begin=b"HTTP/1.1 200 OK\r\nx: ")
CONTINUE = _again(b"HTTP/1.1 100 Continue\r\n\r\n", every_seconds=0.03)


@pytest.mark.parametrize(("answer", "certificate"), [(DRIP, None), (DRIP, VALID), (CONTINUE, None)])
def test_an_answer_that_drips_is_cut_off(
    answer: Answer, certificate: Path | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However slowly a server answers, it has the channel for its timeout only; the message may have arrived."""
    monkeypatch.setenv("SSL_CERT_FILE", str(VALID))
    clock = SystemClock()
    with _serving(answer, certificate=certificate) as port:
        begun = clock.monotonic()
        outcome = _send(f"{'https' if certificate else 'http'}://127.0.0.1:{port}/", seconds=SECONDS)
        assert SECONDS <= clock.monotonic() - begun < 4 * SECONDS
    assert outcome == LATE


def test_of_an_enormous_answer_nothing_is_read() -> None:
    """A body without an end is not read, headers without an end are given up."""
    sent: list[int] = []
    ended = Event()

    def flood(connection: socket.socket, over: Event) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        with suppress(OSError):
            while not over.is_set():
                sent.append(connection.send(bytes(65_536)))
        ended.set()

    with _serving(flood) as port:
        assert _send(f"http://127.0.0.1:{port}/") == Outcome("sent")
        assert until(ended.is_set)
        assert sum(sent) < 20_000_000
    with _serving(_again(b"x" * 65_536, every_seconds=0, begin=b"HTTP/1.1 200 OK\r\nx: ")) as port:
        reason = "it gives no answer that can be read (RemoteProtocolError)"
        assert _send(f"http://127.0.0.1:{port}/") == Outcome("failed", reason, perhaps=True)


OK = _say(b"HTTP/1.1 204 No Content\r\n\r\n")


@pytest.mark.parametrize(
    ("certificate", "trusted", "host", "outcome"),
    [
        ("valid", True, "127.0.0.1", Outcome("sent")),
        (
            "valid",
            False,
            "127.0.0.1",
            Outcome(
                "failed",
                "its certificate is signed by nobody whom this machine trusts; name a file of the authorities to "
                "trust, that one among them, with SSL_CERT_FILE",
            ),
        ),
        ("expired", True, "127.0.0.1", Outcome("failed", "its certificate has expired; renew it there")),
        (
            "valid",
            True,
            "localhost",
            Outcome("failed", "its certificate is for another host; see whether the host of its url is right"),
        ),
        (
            None,
            True,
            "127.0.0.1",
            Outcome("failed", "it speaks no TLS that is understood here; should its url begin with http://?"),
        ),
    ],
)
def test_a_certificate_is_checked(
    certificate: str | None, trusted: bool, host: str, outcome: Outcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is sent goes to whom the url names, or not at all: one sentence says what is wrong, and what to do."""
    path = CERTIFICATES / f"{certificate}.pem" if certificate else None
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(path or VALID))
    else:
        monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    with _serving(OK, certificate=path) as port:
        assert _send(f"https://{host}:{port}/") == outcome


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        ("127.0.0.1:1", "nobody listens there; check its url"),
        ("nobody.invalid", "its host is not known; check its url"),
        ("[::1", "it cannot be reached (InvalidURL)"),
    ],
)
def test_no_error_shows_the_address(host: str, reason: str, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever goes wrong, neither the reason nor a library's own line shows credentials or the path of an address."""
    caplog.set_level(logging.DEBUG)
    assert _send(f"http://uSeR:pAsSwOrD@{host}/tOkEn?key=kEyKeY") == Outcome("failed", reason)
    assert not any(part in caplog.text for part in ("uSeR", "pAsSwOrD", "tOkEn", "kEyKeY"))


def test_no_success_shows_it_either(caplog: pytest.LogCaptureFixture) -> None:
    """A message that arrives has the credentials of its address, and no line is written that shows them."""
    caplog.set_level(logging.DEBUG)
    with receiving() as receiver:
        assert _send(f"http://uSeR:pAsSwOrD@127.0.0.1:{receiver.port}/tOkEn?key=kEyKeY") == Outcome("sent")
        assert receiver.got[0].headers["authorization"] == "Basic dVNlUjpwQXNTd09yRA=="
        assert receiver.got[0].path == "/tOkEn?key=kEyKeY"
    assert not any(part in caplog.text for part in ("uSeR", "pAsSwOrD", "tOkEn", "kEyKeY"))


def test_of_an_address_nothing_is_left_in_a_text() -> None:
    """Each part of an address that may be a secret is taken out of what a library says, in any spelling."""
    url = SecretStr("slack://tOkEnA/tOkEnB/p%40ss%2Fword?format=json#general")
    target = Target(Channel(name="chat", kind="apprise", url=url), url)
    said = "no tOkEnB of p@ss/word, nor p%40ss%2Fword: slack says general failure"
    assert target.hide(said) == "no *** of ***, nor ***: slack says *** failure"
