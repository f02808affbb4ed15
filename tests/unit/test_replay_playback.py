"""Is a day or a log moved to now, and played so that nothing lies in the future?"""

import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest

from spendgauge.deploy.replay.batches import Problem
from spendgauge.deploy.replay.log import Log, look_through
from spendgauge.deploy.replay.mapping import FieldMapping
from spendgauge.deploy.replay.playback import Tempo, play_day, play_log

NOW_MS = 1_790_000_000_000
DAY_MS = 86_400_000
AT_ONCE = float("inf")


class SteppingClock:
    """A clock that moves only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def now_ms(self) -> int:
        return NOW_MS + round(self.now * 1000)

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def sent(frames: Iterable[pl.DataFrame], clock: SteppingClock) -> Iterator[tuple[int, int]]:
    """Give the time of each event and the time at which it was sent."""
    for frame in frames:
        for line in frame["line"]:
            yield round(datetime.fromisoformat(json.loads(line)["occurred_at"]).timestamp() * 1000), clock.now_ms()


def log_of(folder: Path, *seconds: float) -> Log:
    path = folder / "log.csv"
    path.write_text("ts,model\n" + "".join(f"{second},p/m\n" for second in seconds), encoding="utf-8")
    return look_through(path, FieldMapping.parse(["occurred_at=ts"]))


def test_a_day_ends_now() -> None:
    """At once, the simulated day is the last 24 hours."""
    clock = SteppingClock()
    times = [at for at, _ in sent(play_day(2_000, seed=1, run="", tempo=Tempo(AT_ONCE, False, clock)), clock)]
    assert NOW_MS - DAY_MS <= min(times) < max(times) < NOW_MS
    assert max(times) > NOW_MS - 10 * 60_000


def test_a_day_whose_times_stay_is_yesterday() -> None:
    """With its own times the simulated day is the whole day before this one, UTC."""
    clock = SteppingClock()
    times = [at for at, _ in sent(play_day(2_000, seed=1, run="", tempo=Tempo(AT_ONCE, True, clock)), clock)]
    assert {at // DAY_MS for at in times} == {NOW_MS // DAY_MS - 1}


@pytest.mark.parametrize("speed", [1.0, 60.0, 3_600.0])
def test_nothing_is_sent_before_it_happened(speed: float) -> None:
    """Played in a rhythm, no event lies in the future when it is sent, and the last one is then hardly past."""
    clock = SteppingClock()
    pairs = list(sent(play_day(300, seed=1, run="", tempo=Tempo(speed, False, clock)), clock))
    assert all(at <= when for at, when in pairs)
    assert clock.now == pytest.approx(86_400 / speed, rel=0.02)
    at, when = pairs[-1]
    assert when - at < 20 * 60_000


def test_the_last_event_of_a_log_is_now(tmp_path: Path) -> None:
    """A log is moved as a whole: the last event is now, the distances stay, whatever its order."""
    clock = SteppingClock()
    played = play_log(log_of(tmp_path, 50, 10.5, 100), name="x", tempo=Tempo(AT_ONCE, False, clock), on_problems=print)
    assert [at for at, _ in sent(played, clock)] == [NOW_MS - 50_000, NOW_MS - 89_500, NOW_MS]


def test_a_log_in_disorder_is_sorted_to_be_played(tmp_path: Path) -> None:
    """In a rhythm the events come in the order of time, each when it is due."""
    clock = SteppingClock()
    played = play_log(log_of(tmp_path, 50, 0, 100), name="x", tempo=Tempo(10, False, clock), on_problems=print)
    pairs = list(sent(played, clock))
    assert [when - NOW_MS for _, when in pairs] == pytest.approx([0, 5_000, 10_000], abs=40)
    assert [at - NOW_MS for at, _ in pairs] == [10_000 - 100_000, 10_000 - 50_000, 10_000]


def test_what_consumers_would_reject_is_told_and_not_sent(tmp_path: Path) -> None:
    """An event that is too old beside the last one is a problem with its line; its neighbours go."""
    clock = SteppingClock()
    problems: list[Problem] = []
    log = log_of(tmp_path, 0, 29 * 86_400, 60 * 86_400)
    played = play_log(log, name="x", tempo=Tempo(AT_ONCE, False, clock), on_problems=problems.extend)
    assert [at for at, _ in sent(played, clock)] == [NOW_MS]
    assert [problem.line for problem in problems] == [2, 3]
    assert problems[0].reason.startswith("occurred_at is 60 days")


def test_a_log_without_any_event_is_no_accident(tmp_path: Path) -> None:
    """Where every row is a problem, all are told and nothing is sent."""
    path = tmp_path / "log.csv"
    path.write_text("occurred_at,model\n1,nameless\n2,\n", encoding="utf-8")
    clock = SteppingClock()
    problems: list[Problem] = []
    log = look_through(path, FieldMapping.parse())
    played = play_log(log, name="x", tempo=Tempo(AT_ONCE, False, clock), on_problems=problems.extend)
    assert list(sent(played, clock)) == []
    assert [problem.line for problem in problems] == [2, 3]
