"""Is somebody told when events are sent and nobody rates them: once, whoever watches, and until they are rated?"""

import json
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic, sleep
from typing import Any
from uuid import UUID

import pytest
from tests.loads import Followed, send
from tests.watchers import running_watcher
from tests.workers import running_worker

from spendgauge.schemas import KafkaSettings, SystemClock

pytestmark = pytest.mark.integration

_PATIENCE_SECONDS = 60.0
_RULES = """
[[rule]]
name = "metering_stalled"
kind = "metering_stalled"
page = 0.1
"""


def test_metering_that_stands_still_is_paged_once_until_it_goes_on(own_kafka: KafkaSettings, tmp_path: Path) -> None:
    """Without a rates worker a watcher that has never known anything pages after six seconds. It is killed; the next
    one says nothing more, until a worker rates what was sent: then it says that it is over."""
    path = tmp_path / "rules.toml"
    path.write_text(_RULES)
    with Followed(own_kafka, own_kafka.topics.alerts) as followed:
        for seq in range(3):
            send(own_kafka, [_event(seq)], per_record=(1,))
        with running_watcher(own_kafka, "all", rules=path) as watcher:
            (raised,) = _steps(followed)
            watcher.kill()
        with running_watcher(own_kafka, "all", rules=path):
            sleep(10)
            assert _told(followed) == []
            with running_worker(own_kafka):
                (resolved,) = _steps(followed)
                sleep(2)
                assert _told(followed) == []
    assert (raised["state"], raised["severity"], resolved["state"]) == ("raised", "page", "resolved")
    assert raised["alert_id"] == resolved["alert_id"] == f"metering_stalled:total:[]:{raised['onset']}"
    assert "at least 3 records" in raised["message"]


def _event(seq: int) -> tuple[str, bytes]:
    event = {"event_id": str(UUID(int=seq + 1, version=4)), "source": "service#0", "seq": seq, "output_tokens": 5}
    event |= {"occurred_at": datetime.fromtimestamp(SystemClock().now_ms() / 1000, UTC).isoformat()}
    return "service#0", json.dumps(event | {"provider": "anthropic", "model": "claude-sonnet-4-5"}).encode()


def _steps(followed: Followed) -> list[dict[str, Any]]:
    deadline = monotonic() + _PATIENCE_SECONDS
    while not (found := _told(followed)):
        assert monotonic() < deadline, "nothing was said"
    return found


def _told(followed: Followed) -> list[dict[str, Any]]:
    return [line for line in followed.lines(quiet_seconds=0.5) if line["rule"] == "metering_stalled"]
