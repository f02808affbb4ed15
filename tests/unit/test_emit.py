"""Which lines does ``emit`` refuse before they are sent?"""

from collections.abc import Iterable, Mapping
from io import BytesIO
from typing import Any, cast

import pytest

from spendgauge.deploy.feeding.emit import send_lines
from spendgauge.producers import BulkSource

_NOW_MS = 1_790_000_000_000
"""2026-09-21T14:13:20Z"""


class _Source:
    """Takes whatever it is given."""

    def __init__(self) -> None:
        self.rows: list[Mapping[str, Any]] = []

    def write(self, rows: Iterable[Mapping[str, Any]]) -> tuple[()]:
        """Refuse nothing."""
        self.rows += rows
        return ()


def _refused(*lines: str) -> tuple[list[str], int]:
    """Send lines; give the reasons of those that are refused, and how many were sent."""
    source, stream = _Source(), BytesIO("\n".join(lines).encode())
    problems = send_lines(cast(Any, stream), cast(BulkSource, source), now_ms=lambda: _NOW_MS)
    return [f"{problem.line}: {problem.reason}" for problem in problems], len(source.rows)


@pytest.mark.parametrize(
    "time", ["2026-08-22T14:13:20Z", "2026-09-21T16:18:20+02:00", "soon", "2026-09-21T14:13:20", ""]
)
def test_times_that_consumers_take_are_sent(time: str) -> None:
    """From 30 days ago to five minutes ahead, in any zone; what is no time at all is the producer's to refuse."""
    assert _refused(f'{{"occurred_at": "{time}"}}', "{}") == ([], 2)


def test_what_consumers_would_reject_is_said_and_not_sent() -> None:
    """An event that is too old or in the future is one sentence with its time; the lines around it are sent."""
    reasons, sent = _refused(
        "{}", '{"occurred_at": "2026-08-01T00:00:00Z"}', '{"occurred_at": "2026-09-21T14:18:21Z"}', "[]", "{}"
    )
    assert sent == 2
    assert reasons == [
        "2: occurred_at 2026-08-01T00:00:00Z is 51 days ago, and events of more than 30 days ago are rejected; "
        "`spendgauge replay` brings the times of a log up to now",
        "3: occurred_at 2026-09-21T14:18:21Z is more than 300 seconds ahead of now",
        "4: it is not a JSON object",
    ]
