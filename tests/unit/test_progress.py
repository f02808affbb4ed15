"""How far behind is a consumer said to be? In seconds: all that was in the log so long ago is done."""

from collections.abc import Hashable

from tests.producers import FakeClock

from spendgauge.schemas.progress import End, Progress, Standing, Watch


class _Scene:
    """One partition of one member, looked at whenever time passes."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.watch = Watch(self.clock)
        self.began_ms = self.clock.now_ms()

    def at(
        self, seconds: float, position: int, end: int, *, committed: int | None = None, told_at: float | None = None
    ) -> None:
        """Stand at a position, ``seconds`` after the beginning, when the log ended at ``end`` (as told then)."""
        self.clock.wall_ms = self.began_ms + int(1000 * seconds)
        told_ms = self.began_ms + int(1000 * (seconds if told_at is None else told_at))
        done = position if committed is None else committed
        found = Progress("usage.events", 3, position, done, End(end, told_ms))
        self.watch.look(Standing(answered=True, settled=True, progress={"a": found}))

    @property
    def behind(self) -> float:
        """How many seconds the partition is behind."""
        return self.watch.behind()[0][1]


def test_whoever_has_done_all_is_not_behind() -> None:
    """At the log's end as it was told just now, nothing is behind, however old the records are."""
    scene = _Scene()
    scene.at(100, position=7, end=7)
    assert (scene.behind, scene.watch.obstacles()) == (0.0, [])


def test_a_steady_lag_in_records_is_a_small_one_in_seconds() -> None:
    """Under load the log is always some records ahead; what counts is when its end of a moment ago was reached."""
    #  second     0    1    2    3
    #  end       100  200  300  400
    #  position   20  120  220  320      always 80 behind, and within a second past the end of the second before
    scene = _Scene()
    for second, position in enumerate((20, 120, 220, 320)):
        scene.at(second, position=position, end=100 + 100 * second)
    assert scene.behind == 1.0
    assert scene.watch.obstacles() == []


def test_a_consumer_that_stands_still_falls_behind() -> None:
    """Where nothing is done any more while the log grows, each second is one more behind, and the place is named."""
    scene = _Scene()
    scene.at(0, position=10, end=10)
    for second in range(1, 31):
        scene.at(second, position=10, end=10 + second)
    assert scene.behind == 30.0
    assert scene.watch.obstacles() == ["usage.events/3: 30 records still to be read, 30 to be committed"]


def test_what_is_read_and_not_committed_is_not_done() -> None:
    """A flush that hangs leaves a consumer behind although it has read everything."""
    scene = _Scene()
    scene.at(0, position=10, end=10)
    for second in range(1, 31):
        scene.at(second, position=11, end=11, committed=10)
    assert scene.behind == 30.0
    assert scene.watch.obstacles() == ["usage.events/3: 0 records still to be read, 1 to be committed"]


def test_a_silent_broker_is_a_growing_lag() -> None:
    """Where nobody has told for a while where the log ends, nobody knows that all is done."""
    scene = _Scene()
    for second in range(21):
        scene.at(second, position=10, end=10, told_at=0)
    assert scene.behind == 20.0
    assert scene.watch.obstacles() == ["usage.events/3: the broker has not told for a while where it ends"]


def test_a_partition_begins_behind() -> None:
    """A member is not ready before it has once reached the end that it was told; from then on it is."""
    scene = _Scene()
    scene.at(0, position=0, end=1000)
    assert scene.watch.obstacles() == ["usage.events/3: 1000 records still to be read, 1000 to be committed"]
    scene.at(1, position=999, end=2000)
    assert scene.watch.obstacles() != []
    scene.at(2, position=1000, end=2000)
    assert (scene.behind, scene.watch.obstacles()) == (2.0, [])


def test_a_partition_that_is_taken_up_anew_begins_behind() -> None:
    """After a rebalance the block is read again: the same partition under a new key is not ready until then."""
    scene = _Scene()
    scene.at(0, position=10, end=10)
    anew = Progress("usage.events", 3, 0, 10, End(10, scene.clock.now_ms()))
    scene.watch.look(Standing(answered=True, settled=True, progress={"b": anew}))
    assert scene.watch.obstacles() == ["usage.events/3: 10 records still to be read, 0 to be committed"]
    assert len(scene.watch.behind()) == 1


def test_a_member_without_partitions_is_ready() -> None:
    """In a settled group with more members than partitions the idle ones are ready, and have nothing to be behind."""
    watch = Watch(FakeClock())
    watch.look(Standing(answered=True, settled=True, progress={}))
    assert (watch.obstacles(), watch.behind()) == ([], [])


def test_a_member_without_a_group_is_not_ready() -> None:
    """Before the first look, during a rebalance and without a coordinator it is said what is wanting."""
    watch = Watch(FakeClock())
    unsettled = "the group has not shared out its partitions"
    assert watch.obstacles() == ["the group's coordinator does not answer", unsettled]
    watch.look(Standing(answered=True, settled=False, progress={}))
    assert watch.obstacles() == [unsettled]
    watch.look(Standing(answered=False, settled=True, progress={}))
    assert watch.obstacles() == ["the group's coordinator does not answer"]


def test_many_late_partitions_are_not_all_told() -> None:
    """Of a hundred partitions that are late ten are named and the rest counted."""
    watch = Watch(FakeClock())
    late: dict[Hashable, Progress] = {number: Progress("t", number, 0, 0, None) for number in range(100)}
    watch.look(Standing(answered=True, settled=True, progress=late))
    told = watch.obstacles()
    assert (len(told), told[0]) == (11, "t/0: the broker has not told where it ends")
    assert told[-1] == "and 90 more"
