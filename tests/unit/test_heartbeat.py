"""Does a heartbeat tell a live loop from a stuck one, and cost nothing?"""

import os
from pathlib import Path

from spendgauge.schemas.heartbeat import Heartbeat, read_fault


class _Clock:
    """A clock that is set by hand."""

    seconds = 0.0

    def now_ms(self) -> int:
        return int(self.seconds * 1000)

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


def test_a_beat_makes_the_file_young(tmp_path: Path) -> None:
    """The first beat creates the file; a beat a second later makes an old file young again."""
    clock, path = _Clock(), tmp_path / "alive"
    heartbeat = Heartbeat(path, clock)
    heartbeat.beat()
    os.utime(path, (0, 0))
    clock.sleep(1.0)
    heartbeat.beat()
    assert path.stat().st_mtime > 0


def test_a_fast_loop_beats_once_a_second(tmp_path: Path) -> None:
    """Within the same second further beats leave the file alone, so a beat a message costs no system call."""
    clock, path = _Clock(), tmp_path / "alive"
    heartbeat = Heartbeat(path, clock)
    heartbeat.beat()
    os.utime(path, (0, 0))
    clock.sleep(0.99)
    heartbeat.beat()
    assert path.stat().st_mtime == 0


def test_no_file_and_a_bad_file_stop_nothing(tmp_path: Path) -> None:
    """Without a path a beat does nothing; with one that cannot be written the loop goes on and no file appears."""
    Heartbeat(None, _Clock()).beat()
    missing = tmp_path / "missing" / "alive"
    Heartbeat(missing, _Clock()).beat()
    assert not missing.exists()


def test_a_beat_says_what_is_wrong_until_it_is_right(tmp_path: Path) -> None:
    """The file holds the sentence as long as beats say it, and is as young as at any beat; no file says nothing."""
    clock, path = _Clock(), tmp_path / "alive"
    heartbeat = Heartbeat(path, clock)
    said = [read_fault(path)]
    for fault in (None, "x is wrong.", "x is wrong.", "y is wrong.", None):
        clock.sleep(1.0)
        heartbeat.beat(fault)
        said.append(read_fault(path))
        assert path.stat().st_mtime > 0
        os.utime(path, (0, 0))
    assert said == [None, None, "x is wrong.", "x is wrong.", "y is wrong.", None]
    assert [one.name for one in tmp_path.iterdir()] == ["alive"]
