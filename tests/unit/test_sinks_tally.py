"""Does the sink say what it did, no more often than is useful?"""

from collections import Counter

from structlog.testing import capture_logs

from spendgauge.sinks.tally import Tally
from spendgauge.sinks.writer import Written


def written(rows: int) -> Written:
    """Make the outcome of a batch."""
    others = Counter(rejected_events=1, ends=3)
    return Written({}, rows={"usage_events": rows}, bytes=10 * rows, retries=2, lines_without_row=others)


def test_a_line_says_what_came_since_the_last() -> None:
    """At most one line in ten seconds, with what came since; none where nothing came; the rest at the end."""
    tally = Tally()
    with capture_logs() as logs:
        tally.report(0, lag=lambda: 0)
        tally.add(written(3))
        tally.report(9, lag=lambda: 0)
        tally.report(10, lag=lambda: 42)
        tally.report(20, lag=lambda: 0)
        tally.add(written(4))
        tally.report(21, lag=lambda: 0)
        tally.report(22, lag=None)
    assert [(log["event"], log["usage_events"], log["bytes"], log.get("lag")) for log in logs] == [
        ("stored", 3, 30, 42),
        ("stored", 4, 40, None),
    ]
    assert tally.totals["retries"] == 4
    assert (tally.totals["rejected_events"], tally.totals["ends"]) == (2, 6)
