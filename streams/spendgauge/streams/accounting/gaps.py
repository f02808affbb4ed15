"""What is said when events of a source are missing, and when they have come? A line for the tables, and an alert."""

from collections.abc import Iterator
from typing import Final, Literal

from spendgauge.schemas.alerts import NO_AMOUNTS, Alert
from spendgauge.schemas.moments import utc_time
from spendgauge.schemas.positions import SourceGaps
from spendgauge.streams.accounting.entries import gap_of
from spendgauge.streams.accounting.positions import SourceChange
from spendgauge.streams.accounting.sources import Hole

__all__ = ["gap_alerts", "gap_line"]

_WINDOW_SECONDS: Final = 60


def gap_line(change: SourceChange, *, stream: str, partition: int, version: int) -> SourceGaps:
    """Say where a source stands after the log up to ``version``."""
    state = change.state
    return SourceGaps(
        source=change.source,
        stream=stream,
        partition=partition,
        version=version,
        next_seq=state.next_seq,
        gaps=tuple(map(gap_of, state.claimed)),
        repeats=state.repeats,
        shared=state.shared,
    )


def gap_alerts(change: SourceChange, *, stream: str, partition: int) -> Iterator[Alert]:
    """Raise an alert for each gap that was opened, resolve those of the gaps that are closed.

    An alert's id is a function of the gap, so a worker that says it again says the same.
    """
    place = f"{stream}:{partition}"
    for gap in change.raised:
        since = _text(gap.opened_at_ms)
        message = f"{_missing(change, gap)} missing of source {change.source}; this was seen at {since}."
        yield _alert(change, gap, state="raised", place=place, message=message)
    for gap in change.resolved:
        if change.state.shared:
            message = f"The sequence of source {change.source} is not to be trusted, so nothing is called missing."
        elif change.forgotten and gap.opened_offset in {hole.opened_offset for hole in change.before.holes}:
            message = (
                f"Part of the log is gone, so nobody knows any more whether what was missing of source {change.source} "
                f"from seq {gap.first} on has come."
            )
        else:
            message = f"What was missing of source {change.source} from seq {gap.first} on has come."
        yield _alert(change, gap, state="resolved", place=place, message=message)


def _missing(change: SourceChange, gap: Hole) -> str:
    """Say what is missing: a record of many events may jump more than once, and all it jumps over is one gap."""
    parts = [hole for hole in change.state.claimed if hole.opened_offset == gap.opened_offset]
    count = sum(part.last - part.first + 1 for part in parts)
    return f"{count} events (seq {parts[0].first} to {parts[-1].last}) are" if count > 1 else f"seq {gap.first} is"


def _alert(change: SourceChange, gap: Hole, *, state: Literal["raised", "resolved"], place: str, message: str) -> Alert:
    alert_id = f"gap:{place}:{gap.opened_offset}:{change.source}"
    return Alert(
        alert_id=alert_id,
        incident_id=alert_id,
        rule="gap",
        state=state,
        severity="warn",
        series="source",
        key=(change.source,),
        onset=gap.opened_at_ms // 60_000 * 60,
        evaluated_at=change.state.last_at_ms // 1000,
        window_seconds=_WINDOW_SECONDS,
        message=message,
        **NO_AMOUNTS,
    )


def _text(at_ms: int) -> str:
    return f"{utc_time(at_ms):%Y-%m-%d %H:%M:%S} UTC"
