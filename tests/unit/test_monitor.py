"""What does a process say to whoever watches it? Three questions over HTTP, answered at any time."""

import http.client
import json
import socket
from collections.abc import Sequence
from threading import Event, Thread

import pytest
from prometheus_client import REGISTRY, CollectorRegistry, Counter
from prometheus_client.parser import text_string_to_metric_families

from spendgauge.deploy.stack.broker import free_port
from spendgauge.schemas import ConfigurationError
from spendgauge.schemas.monitor import ALIVE_SECONDS, Vitals, answer, monitoring
from spendgauge.schemas.settings import MonitorSettings


def _vitals(*, silent: float = 0.5, obstacles: Sequence[str] = (), registry: CollectorRegistry | None = None) -> Vitals:
    return Vitals(registry or CollectorRegistry(), lambda: silent, lambda: obstacles)


def _ask(port: int, path: str, *, host: str = "127.0.0.1") -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(host, port, timeout=5)
    try:
        connection.request("GET", path)
        reply = connection.getresponse()
        return reply.status, reply.read()
    finally:
        connection.close()


@pytest.mark.parametrize(("silent", "status"), [(ALIVE_SECONDS, 200), (ALIVE_SECONDS + 1, 503)])
def test_a_process_lives_while_its_loop_turns(silent: float, status: int) -> None:
    """``/healthz`` says 200 until the main loop has not turned for half a minute, and how long it has not."""
    reply = answer("/healthz", _vitals(silent=silent, obstacles=["it is stopping"]))
    assert reply.status == status
    assert json.loads(reply.body) == {"alive": status == 200, "silent_seconds": silent}


def test_ready_is_said_with_reasons() -> None:
    """``/readyz`` says 200 where nothing stands in the way, and 503 with all that does, as JSON."""
    assert json.loads(answer("/readyz", _vitals()).body) == {"ready": True, "reasons": []}
    reply = answer("/readyz?verbose", _vitals(silent=99, obstacles=["a: 7 records still to be read"]))
    assert (reply.status, reply.content_type) == (503, "application/json")
    assert json.loads(reply.body) == {
        "ready": False,
        "reasons": ["the main loop has not turned for 99 s", "a: 7 records still to be read"],
    }


def test_metrics_come_in_the_format_that_is_asked_for() -> None:
    """``/metrics`` is Prometheus' own text, or OpenMetrics for who accepts that; nothing of the default registry."""
    registry = CollectorRegistry()
    Counter("seen", "What was seen.", registry=registry).inc(3)
    plain = answer("/metrics", _vitals(registry=registry))
    samples = {
        sample.name: sample.value
        for found in text_string_to_metric_families(plain.body.decode())
        for sample in found.samples
    }
    assert samples["seen_total"] == 3.0
    assert samples.keys().isdisjoint(sample.name for found in REGISTRY.collect() for sample in found.samples)
    accepting = answer("/metrics", _vitals(registry=registry), accept="application/openmetrics-text; version=1.0.0")
    assert accepting.content_type.startswith("application/openmetrics-text; version=1.0.0")
    assert accepting.body.endswith(b"# EOF\n")


def test_other_questions_are_told_which_there_are() -> None:
    """Any other path is a 404 that names the three."""
    reply = answer("/", _vitals())
    assert (reply.status, reply.body) == (404, b"ask for /healthz, /readyz or /metrics\n")


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_questions_are_answered_over_http(host: str) -> None:
    """The endpoint listens where it is told, on IPv6 too, and is gone when the block ends."""
    settings = MonitorSettings(monitor_host=host, monitor_port=free_port())
    assert settings.monitor_port is not None
    with monitoring(settings, _vitals()):
        assert _ask(settings.monitor_port, "/healthz", host=host)[0] == 200
    with pytest.raises(ConnectionRefusedError):
        _ask(settings.monitor_port, "/healthz", host=host)


def test_without_a_port_nothing_listens() -> None:
    """By default there is no endpoint: the same block runs, and no thread more."""
    with monitoring(MonitorSettings(), _vitals()):
        assert MonitorSettings().monitor_host == "127.0.0.1"


def test_a_taken_port_is_one_sentence() -> None:
    """A port that another process has is named, with what to set instead."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settings = MonitorSettings(monitor_port=port)
        with (
            pytest.raises(
                ConfigurationError, match=rf"^cannot listen on 127\.0\.0\.1 port {port} \(.*SPENDGAUGE_MONITOR_PORT"
            ),
            monitoring(settings, _vitals()),
        ):
            pass


def test_a_client_that_dawdles_holds_nobody_up() -> None:
    """Another question is answered while one client says nothing and another's answer takes its time."""
    slow, asked = Event(), Event()

    def obstacles() -> Sequence[str]:
        asked.set()
        slow.wait(10)
        return ()

    vitals = Vitals(CollectorRegistry(), lambda: 0.0, obstacles)
    settings = MonitorSettings(monitor_port=free_port())
    assert settings.monitor_port is not None
    with monitoring(settings, vitals), socket.create_connection(("127.0.0.1", settings.monitor_port)):
        waiting = Thread(target=_ask, args=(settings.monitor_port, "/readyz"))
        waiting.start()
        try:
            assert asked.wait(5)
            assert _ask(settings.monitor_port, "/healthz")[0] == 200
        finally:
            slow.set()
            waiting.join()
