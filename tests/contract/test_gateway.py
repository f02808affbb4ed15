"""Does a running gateway keep its word? Answered means safe; refused means cheaply, and nobody else notices."""

import gzip
import signal
import socket
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from time import monotonic

import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from tests.gateways import RunningGateway, head, lines, running_gateway, uuid
from tests.producers import CALL, FakeBroker, positions

from spendgauge.producers import UsageProducer
from spendgauge.producers.gateway.keys import add_key
from spendgauge.schemas import SystemClock, UsageEvent

BODY, UNPACKED, READ_SECONDS = 20_000, 100_000, 1.0
CLOCK = SystemClock()


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """A gateway with one key, narrow limits and no broker."""
    folder = tmp_path_factory.mktemp("gateway")
    token = add_key(folder / "keys.toml", "shop", fixed={"environment": "prod"}, allowed={}, now_ms=CLOCK.now_ms())
    with running_gateway(
        folder,
        *("--keys", str(folder / "keys.toml")),
        token=token,
        gateway_body_bytes=BODY,
        gateway_unpacked_bytes=UNPACKED,
        gateway_read_seconds=READ_SECONDS,
        gateway_items=200,
    ) as running:
        yield running


def left_by(spool: Path) -> list[UsageEvent]:
    """Start the next process on a spool that nobody holds, and read what it sends."""
    broker = FakeBroker()
    with UsageProducer(service="heir", host="h", spool_dir=str(spool), connect=broker.connect) as producer:
        deadline = CLOCK.monotonic() + 20
        while producer.replaying and CLOCK.monotonic() < deadline:
            CLOCK.sleep(0.02)
    assert all(seqs == list(range(len(seqs))) for seqs in positions(broker.records).values())
    return broker.events


def test_what_was_answered_survives_a_kill(tmp_path: Path) -> None:
    """Every id of a 202 is in the spool after ``kill -9``, once, numbered without a gap; a refused item is not."""
    with running_gateway(tmp_path, "--open") as gateway:
        replies = [gateway.send([CALL, CALL | {"input_tokens": -1}, CALL | {"service": "shop"}]) for _ in range(20)]
        gateway.process.kill()
        gateway.process.wait()
        assert {reply.status for reply in replies} == {202}
        ids = [one for reply in replies for one in reply.ids]
        found = left_by(gateway.spool)
    assert [event.event_id for event in found] == ids
    assert [event.service for event in found] == ["gateway", "shop"] * 20


def test_disk_holds_a_batch_too(tmp_path: Path) -> None:
    """With ``durability=disk`` a batch is answered as with ``process``, and is in the spool."""
    with running_gateway(tmp_path, "--open", durability="disk") as gateway:
        reply = gateway.send([CALL] * 100)
        gateway.process.kill()
        gateway.process.wait()
        assert (reply.status, len(reply.ids)) == (202, 100)
        assert [event.event_id for event in left_by(gateway.spool)] == reply.ids


def test_a_stop_finishes_what_is_under_way(tmp_path: Path) -> None:
    """After SIGTERM a request whose body is still coming is answered; then the process ends with status 0, in time."""
    with running_gateway(tmp_path, "--open") as gateway, gateway.connect() as slow:
        body = lines(CALL)
        slow.sendall(head(content_length=len(body)) + body[:10])
        assert gateway.get("/readyz").status == 200
        gateway.process.send_signal(signal.SIGTERM)
        CLOCK.sleep(0.3)
        slow.sendall(body[10:])
        assert slow.recv(100).startswith(b"HTTP/1.1 202 ")
        began = monotonic()
        assert gateway.process.wait(10) == 0
        assert monotonic() - began < 5
        with pytest.raises(OSError, match="refused"):
            gateway.connect()
        assert "Traceback" not in gateway.log.read_text()
        assert len(left_by(gateway.spool)) == 1


def test_a_full_spool_is_503(tmp_path: Path) -> None:
    """Where the spool takes no more, senders are told to come back, with the items to send again; then at once."""
    event = CALL | {"user_id": "u" * 250, "tags": {f"t{n}": "x" * 250 for n in range(16)}}
    with running_gateway(tmp_path, "--open", spool_bytes=256 * 1024, gateway_items=500) as gateway:
        reply = gateway.send([event] * 100)
        assert reply.status == 503
        assert int(reply.headers["retry-after"]) >= 1
        assert 0 < reply.json["accepted"] < 100
        assert [item.get("retry", False) for item in reply.json["items"]] == [
            n >= reply.json["accepted"] for n in range(100)
        ]
        again = gateway.send(CALL)
        assert (again.status, "retry-after" in again.headers) == (503, True)
        assert gateway.get("/readyz").json["reasons"] == ["events cannot be stored safely"]


def test_an_event_counts_once_however_often_it_comes(gateway: RunningGateway) -> None:
    """The same ``event_id`` is answered with the same id, as a duplicate."""
    event = CALL | {"event_id": uuid(99)}
    assert gateway.send(event).json["items"] == [{"index": 0, "event_id": uuid(99)}]
    assert gateway.send([event]).json["items"] == [{"index": 0, "event_id": uuid(99), "duplicate": True}]


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": None},
        {"authorization": "Bearer sg_wrong"},
        {"authorization": "Basic abc"},
        {"authorization": "Bearer " + "x" * 5_000},
    ],
    ids=str,
)
@pytest.mark.parametrize("path", ["/v1/usage", "/v1/traces", "/metrics", "/v1/other"])
def test_without_a_key_nothing_is_said_or_read(gateway: RunningGateway, path: str, headers: dict[str, str]) -> None:
    """401 comes before the body does."""
    with gateway.connect() as raw:
        told = "".join(f"{name}: {value}\r\n" for name, value in headers.items() if value is not None)
        raw.sendall(f"POST {path} HTTP/1.1\r\nhost: a\r\n{told}content-length: 10000\r\n\r\n".encode())
        answer = raw.recv(4000)
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert b"www-authenticate: Bearer" in answer


def test_refusals(gateway: RunningGateway) -> None:
    """Each kind of no has its status and one sentence."""
    bomb = gzip.compress(b" " * 10_000_000)
    assert len(bomb) < BODY
    found = {
        "too long": gateway.send(b"x" * (BODY + 1)),
        "bomb": gateway.send(bomb, content_encoding="gzip"),
        "many": gateway.send([CALL] * 201),
        "no gzip": gateway.send(b"{}", content_encoding="gzip"),
        "torn gzip": gateway.send(gzip.compress(b"{}")[:-3], content_encoding="gzip"),
        "two gzips": gateway.send(gzip.compress(b"{}") * 2, content_encoding="gzip"),
        "deflate": gateway.send(zlib.compress(b"{}"), content_encoding="deflate"),
        "no json": gateway.send(b"{"),
        "form": gateway.send(b"a=b", content_type="application/x-www-form-urlencoded"),
        "bad event": gateway.send({}),
        "no otlp": gateway.send(b"\xff\xff", "/v1/traces", content_type="application/x-protobuf"),
        "get": gateway.get("/v1/usage"),
        "other": gateway.send(b"{}", "/v1/metrics"),
    }
    assert {name: reply.status for name, reply in found.items()} == {
        **dict.fromkeys(("too long", "bomb", "many"), 413),
        **dict.fromkeys(("no gzip", "torn gzip", "two gzips", "no json", "no otlp"), 400),
        **dict.fromkeys(("deflate", "form"), 415),
        "bad event": 422,
        "get": 405,
        "other": 404,
    }
    said = [
        reply.json["message"] for name, reply in found.items() if name not in ("bad event", "no otlp", "get", "other")
    ]
    assert [text for text in said if not 10 < len(text) < 200] == []


def test_a_body_of_unknown_length_has_the_same_limit(gateway: RunningGateway) -> None:
    """A chunked body is refused where it passes the limit, whatever else would come."""
    chunk = b"1000\r\n" + b"x" * 4096 + b"\r\n"
    begin = head(gateway.token, transfer_encoding="chunked")
    with gateway.connect() as raw:
        raw.sendall(begin + chunk * (BODY // 4096 + 2))
        assert raw.recv(100).startswith(b"HTTP/1.1 413 ")


def test_a_sender_that_does_not_stop_is_cut_off(gateway: RunningGateway) -> None:
    """What follows a refusal is thrown away up to the limit of a body; then the connection ends."""
    with gateway.connect() as raw, pytest.raises(OSError):  # noqa: PT012 - which of the sends fails depends on buffers
        raw.sendall(b"POST /v1/usage HTTP/1.1\r\nhost: a\r\ncontent-length: 100000000\r\n\r\n")
        for _ in range(1_000):
            raw.sendall(b"x" * 100_000)


@pytest.mark.parametrize(
    "begin",
    [
        b"",
        b"\r\n",
        b"POST /v1/usage HTTP/1.1\r\nhost: a\r\nx: ",
        b"POST /v1/usage HTTP/1.1\r\nhost: a\r\nAUTHcontent-length: 900\r\n\r\n{",
    ],
    ids=["nothing", "blank lines", "headers", "body"],
)
def test_a_slow_sender_is_let_go_and_nobody_waits(gateway: RunningGateway, begin: bytes) -> None:
    """Whoever trickles is told 408 when the time for a request is over, whenever a byte comes; others are served."""
    begin = begin.replace(b"AUTH", f"authorization: Bearer {gateway.token}\r\n".encode())
    began = monotonic()
    with gateway.connect() as raw:
        raw.sendall(begin)
        raw.settimeout(0.1)
        answer = b""
        while not answer:
            assert monotonic() - began < READ_SECONDS + 2
            try:
                answer = raw.recv(100)
            except TimeoutError:
                raw.sendall(b"\r\n" if begin == b"\r\n" else b"x" if begin else b"")
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert monotonic() - began > READ_SECONDS * 0.9
    assert gateway.send(CALL).status == 202


def test_whoever_does_not_read_is_cut_off(tmp_path: Path) -> None:
    """A sender that asks on and on and reads no answer is let go when an answer could not be written for a while."""
    body = b"x\n" * 2_000
    request = head(content_type="application/x-ndjson", content_length=len(body)) + body
    with (
        running_gateway(tmp_path, "--open", gateway_read_seconds=1, gateway_events_per_second=1e9) as gateway,
        socket.socket() as raw,
    ):
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.connect(("127.0.0.1", gateway.port))
        raw.settimeout(0.5)
        with pytest.raises(TimeoutError):
            raw.sendall(request * 10_000)
        with pytest.raises(ConnectionError):
            _poke(raw, seconds=5)


def _poke(connection: socket.socket, *, seconds: float) -> None:
    """Send on, for as long as that can be."""
    deadline = CLOCK.monotonic() + seconds
    while CLOCK.monotonic() < deadline:
        with suppress(TimeoutError):
            connection.sendall(b"x")
        CLOCK.sleep(0.05)


def test_endless_headers_are_refused(gateway: RunningGateway) -> None:
    """Headers have a limit too: 431 after 64 KiB, or little more."""
    sent, answer = 0, b""
    with gateway.connect() as raw:
        raw.sendall(b"POST /v1/usage HTTP/1.1\r\nhost: a\r\n")
        raw.settimeout(0.02)
        while not answer and sent < 1_000_000:
            sent += raw.send(b"x-filler: " + b"x" * 8_000 + b"\r\n")
            with suppress(TimeoutError):
                answer = raw.recv(100)
    assert answer.startswith(b"HTTP/1.1 431 ")
    assert sent < 500_000


def test_many_connections_and_requests_at_once_are_bounded(tmp_path: Path) -> None:
    """One connection too many is closed, one request too many is told to come back."""
    with (
        running_gateway(tmp_path, "--open", gateway_concurrency=1, gateway_connections=2) as gateway,
        gateway.connect() as first,
    ):
        first.sendall(head(content_length=99))
        CLOCK.sleep(0.2)
        reply = gateway.send(CALL)
        assert (reply.status, "retry-after" in reply.headers) == (503, True)
        with gateway.connect() as second, gateway.connect() as third:
            third.settimeout(5)
            assert _ended(third)
            second.sendall(b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n")
            assert second.recv(20).startswith(b"HTTP/1.1 200 ")


def _ended(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except ConnectionError:
        return True


def test_a_key_has_a_rate(tmp_path: Path) -> None:
    """More requests or events than a key may send are 429, with the time to wait; another key is not held up."""
    keys = tmp_path / "keys.toml"
    mine, other = (add_key(keys, name, fixed={}, allowed={}, now_ms=CLOCK.now_ms()) for name in ("mine", "other"))
    with running_gateway(
        tmp_path, "--keys", str(keys), token=mine, gateway_events_per_second=10, gateway_requests_per_second=1.5
    ) as gateway:
        assert gateway.send([CALL] * 30).status == 202
        reply = gateway.send([CALL] * 30)
        assert (reply.status, 1 <= int(reply.headers["retry-after"]) <= 3) == (429, True)
        statuses = [gateway.send(b"{").status for _ in range(12)]
        assert (statuses[0], statuses[-1]) == (400, 429)
        assert gateway.send(CALL, authorization=f"Bearer {other}").status == 202


def test_keys_come_and_go_while_it_runs(tmp_path: Path) -> None:
    """A new key counts within seconds, a removed one no more; a broken file changes nothing, and is said."""
    keys = tmp_path / "keys.toml"
    first = add_key(keys, "first", fixed={"team": "a"}, allowed={}, now_ms=CLOCK.now_ms())
    alone = keys.read_text()
    with running_gateway(tmp_path, "--keys", str(keys), token=first) as gateway:
        second = add_key(keys, "second", fixed={}, allowed={"team": ["b"]}, now_ms=CLOCK.now_ms())
        gateway.until_logged("the keys were read again")
        assert gateway.send(CALL | {"team": "a"}, authorization=f"Bearer {second}").status == 422
        assert gateway.send(CALL | {"team": "b"}, authorization=f"Bearer {second}").status == 202
        keys.write_text("[keys")
        gateway.until_logged("the keys stay as they were")
        assert gateway.send(CALL | {"team": "b"}, authorization=f"Bearer {second}").status == 202
        keys.write_text(alone)
        gateway.until_logged('"keys": 1')
        CLOCK.sleep(0.6)
        assert gateway.send(CALL, authorization=f"Bearer {second}").status == 401
        assert gateway.send(CALL | {"team": "z"}).status == 202
        gateway.process.kill()
        gateway.process.wait()
        assert [(event.team, event.service) for event in left_by(gateway.spool)] == [
            ("b", "second"),
            ("b", "second"),
            ("a", "first"),
        ]


def test_web_pages_are_kept_out_of_an_open_gateway(tmp_path: Path) -> None:
    """A page of another site, or one whose name leads here, cannot send; programs can, by any name of this machine."""
    with running_gateway(tmp_path, "--open") as gateway:
        for host in ("localhost:1", "127.0.0.1", "[::1]:8318", "[::1]"):
            assert gateway.send(CALL, host=host).status == 202
        assert gateway.send(CALL, host="evil.example:8318").status == 403
        assert gateway.send(CALL, sec_fetch_site="cross-site").status == 403
        assert gateway.send(CALL, content_type="text/plain").status == 415


def test_whoever_watches_is_told(gateway: RunningGateway) -> None:
    """Health needs no key, figures do; requests, events and the spool are counted."""
    assert gateway.get("/healthz", authorization=None).json["alive"] is True
    assert gateway.get("/readyz", authorization=None).json == {"ready": True, "reasons": []}
    before = gateway.get("/metrics").body.decode()
    gateway.send([CALL, {}])
    figures = gateway.get("/metrics").body.decode()

    def value(text: str, name: str) -> float:
        return float(next((line.split()[-1] for line in text.splitlines() if line.startswith(name)), "0"))

    for name in ('spendgauge_gateway_events_total{fate="taken",key="shop"}', "spendgauge_gateway_spooled_events"):
        assert value(figures, name) == value(before, name) + 1
    assert 'spendgauge_gateway_requests_total{route="/v1/usage",status="202"}' in figures
    assert gateway.get("/openapi.json", authorization=None).json["paths"].keys() >= {"/v1/usage", "/v1/traces"}


def test_nothing_that_was_sent_is_in_the_log(gateway: RunningGateway) -> None:
    """Bodies, keys and texts never reach the log."""
    gateway.send(CALL | {"prompt": "please keep this to yourself"})
    gateway.send(b"please keep this to yourself")
    log = gateway.log.read_text()
    assert "yourself" not in log
    assert gateway.token not in log
    assert "Traceback" not in log


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_the_sdks_own_exporter_is_understood(tmp_path: Path, compression: str) -> None:
    """OpenTelemetry's Python SDK exports spans here, and those of calls to models are events."""
    from opentelemetry.exporter.otlp.proto.http import Compression

    with running_gateway(tmp_path, "--open") as gateway:
        exporter = OTLPSpanExporter(
            endpoint=f"http://127.0.0.1:{gateway.port}/v1/traces", compression=Compression(compression), timeout=10
        )
        provider = TracerProvider(resource=Resource({"service.name": "bot"}), shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        tracer = provider.get_tracer("test")
        call: dict[str, str | int] = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "gpt-5-mini",
            "gen_ai.usage.input_tokens": 812,
            "gen_ai.usage.output_tokens": 64,
        }
        with tracer.start_as_current_span("POST /ask"), tracer.start_as_current_span("chat", attributes=call):
            pass
        provider.shutdown()
        gateway.process.kill()
        gateway.process.wait()
        (event,) = left_by(gateway.spool)
    assert (event.provider, event.model, event.service) == ("openai", "gpt-5-mini", "bot")
    assert (event.input_tokens, event.output_tokens) == (812, 64)
