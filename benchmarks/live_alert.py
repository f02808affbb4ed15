"""Does a runaway agent page within seconds? On the embedded stack, in real time: traffic, and one agent runs away.

Twenty minutes, nearly all of them waiting: an alarm is over when it was calm for ten.
"""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from confluent_kafka import Consumer

from benchmarks.report import Sheet
from spendgauge.deploy.stack.throwaway import throwaway_stack
from spendgauge.schemas import SystemClock
from spendgauge.schemas.alerts import Alert
from spendgauge.schemas.topics import TopicNames

__all__ = ["catch_runaway"]

_AGENT: Final = "coder"
_RUNAWAY: Final = f"{_AGENT}:8:90s:3m"
_SLOWEST_SECONDS: Final = 3.0
_RAISED_WITHIN: Final = 420
_RESOLVED_WITHIN: Final = 1500

_clock: Final = SystemClock()


@dataclass
class _Heard:
    """What came on ``cost.alerts``, and how many seconds after the end of the minute that decided it."""

    consumer: Consumer
    alerts: list[tuple[Alert, float]] = field(default_factory=list)

    def until(self, wanted: Callable[[Alert], bool], *, seconds: float) -> tuple[Alert, float]:
        """Wait for an alert; raises ``SystemExit`` where it does not come in time."""
        deadline = _clock.monotonic() + seconds
        while _clock.monotonic() < deadline:
            record = self.consumer.poll(0.1)
            if record is None or record.error() is not None:
                continue
            at = _clock.now_ms() / 1000
            for line in (record.value() or b"").splitlines():
                alert = Alert.model_validate_json(line)
                self.alerts.append((alert, at - alert.evaluated_at))
                if wanted(alert):
                    return self.alerts[-1]
        raise SystemExit(f"no such alert in {seconds:.0f} s; there were {[one.message for one, _ in self.alerts]}")


def catch_runaway(*, progress: Callable[[str], None]) -> Sheet:
    """Let an agent run away; raises ``SystemExit`` where its page is late, does not name it, or does not end."""
    with throwaway_stack(_clock) as stack, _following(stack.kafka) as heard, _simulating(stack.kafka):
        progress(f"the stack runs; simulate --speed 1 --runaway {_RUNAWAY}")
        raised, late = heard.until(lambda one: _is_page(one) and one.state == "raised", seconds=_RAISED_WITHIN)
        progress(f"{late:.2f} s after its second hot minute: {raised.message}")
        resolved, _ = heard.until(
            lambda one: one.alert_id == raised.alert_id and one.state == "resolved", seconds=_RESOLVED_WITHIN
        )
        progress(resolved.message)
    same = [(one, seconds) for one, seconds in heard.alerts if one.incident_id == raised.incident_id]
    if late > _SLOWEST_SECONDS or f"agent {_AGENT!r}" not in raised.message:
        raise SystemExit(f"the page came {late:.2f} s after its minute, and said: {raised.message}")
    return _sheet(raised, resolved, late, same)


def _is_page(alert: Alert) -> bool:
    return alert.rule == "spike" and (alert.series, alert.key, alert.severity) == ("agent", (_AGENT,), "page")


def _sheet(raised: Alert, resolved: Alert, late: float, incident: list[tuple[Alert, float]]) -> Sheet:
    steps = [seconds for _, seconds in incident]
    rows = [
        (
            "minutes from the onset to the end of the minute that decided",
            f"{(raised.evaluated_at - raised.onset) / 60:.0f}",
        ),
        ("seconds from that end to the page on cost.alerts", f"{late:.2f}"),
        ("alerts of the incident, each step counted", str(len(steps))),
        ("seconds from the end of its minute to each, at most", f"{max(steps):.2f}"),
        ("USD above the usual by the page", f"{float(raised.since_onset_usd):.2f}"),
        ("minutes from the page to its end", f"{(resolved.evaluated_at - raised.evaluated_at) / 60:.0f}"),
    ]
    notes = (f"It said: *{raised.message}* And then: *{resolved.message}*",)
    return Sheet(f"a runaway agent, live (simulate --runaway {_RUNAWAY})", ("what", "figure"), rows, notes)


@contextmanager
def _following(kafka: str) -> Iterator[_Heard]:
    consumer = Consumer(
        {
            "bootstrap.servers": kafka,
            "group.id": "live-alert",
            "auto.offset.reset": "earliest",
            "session.timeout.ms": 6000,
        }
    )
    consumer.subscribe([TopicNames().alerts])
    try:
        yield _Heard(consumer)
    finally:
        consumer.close()


@contextmanager
def _simulating(kafka: str) -> Iterator[None]:
    command = (sys.executable, "-m", "spendgauge.deploy", "simulate", "--speed", "1", "--events", "20000")
    process = subprocess.Popen((*command, "--kafka", kafka, "--runaway", _RUNAWAY), stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)
