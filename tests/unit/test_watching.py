"""Which minutes are over, what is kept, and what may be committed? The watcher's arithmetic, without a broker."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl
import pytest
from structlog.testing import LogCapture

from spendgauge.schemas import ConfigurationError
from spendgauge.schemas.alerts import Alert
from spendgauge.schemas.progress import End
from spendgauge.streams.accounting.origins import Origin
from spendgauge.streams.judging import Configuration, Entry, KeptEntries, Moment, Verdict
from spendgauge.streams.judging.lines import LINES_SCHEMA
from spendgauge.streams.reading.loading import LogRecord
from spendgauge.streams.reading.readings import Reading, Receipt
from spendgauge.streams.watching.bench import Bench
from spendgauge.streams.watching.files import ConfigurationFiles
from spendgauge.streams.watching.holdings import Holding
from spendgauge.streams.watching.horizon import MOST_LINES, Horizon, Rated
from spendgauge.streams.watching.kept import TERM_HEADER, owner_entry, read_log

MINUTE = 29_400_000
"""A minute, since 1970."""


def at(seconds: float) -> int:
    """So many seconds after that minute begins, in milliseconds."""
    return MINUTE * 60_000 + int(seconds * 1000)


def rated(seconds: float, *, committed: int = 7, end: int = 7) -> Rated:
    """Know how far the rates workers were found to be."""
    found = Rated()
    found.look({0: (committed, end)}, asked_at_ms=at(seconds), answered_at_ms=at(seconds))
    return found


def horizon(known: Rated) -> Horizon:
    """One partition, read from offset 0 on."""
    return Horizon(known, begun_at_ms=at(0), position=0, hold_back_seconds=2.0)


@pytest.mark.parametrize(
    ("seconds", "until"), [(61.9, MINUTE - 1), (62.0, MINUTE), (121.9, MINUTE), (122.0, MINUTE + 1)]
)
def test_a_minute_is_over_two_seconds_after_its_end(seconds: float, until: int) -> None:
    """Whoever has read all closes by the clock, held back by what an event may take to its topic."""
    one = horizon(rated(seconds))
    one.look(at(seconds), End(0, at(seconds)))
    assert one.until == until


def test_a_minute_waits_for_its_lines() -> None:
    """While what the log held is not read, no minute ends; once it is, those end that had ended then."""
    #  second     62          70                 80
    #  log's end  5           5                  9
    #  read up to 0           5 (of second 70)   5
    one = horizon(rated(60))
    one.look(at(62), End(5, at(62)))
    assert one.until is None
    one.on_lines(5, 10, MINUTE)
    one.look(at(70), End(5, at(70)))
    assert one.until == MINUTE
    one.look(at(200), End(9, at(200)))
    assert one.until == MINUTE


def test_a_minute_waits_for_the_rates_workers() -> None:
    """What was sent in a minute may not be rated yet: then it is judged when it is, and not before that was read."""
    known = rated(60, committed=3, end=7)
    one = horizon(known)
    one.look(at(130), End(0, at(130)))
    assert one.until is None
    assert one.waits_for_rates
    known.look({0: (7, 9)}, asked_at_ms=at(131), answered_at_ms=at(131.2))
    one.look(at(131.1), End(0, at(131.1)))
    assert one.until is None
    one.look(at(131.3), End(0, at(131.3)))
    assert one.until == MINUTE
    assert not one.waits_for_rates


def test_rates_workers_that_fall_behind_hold_minutes_back() -> None:
    """Where they were last known to have done all at some second, minutes that ended later wait."""
    known = rated(70)
    for second in range(71, 190, 10):
        known.look({0: (7, 9)}, asked_at_ms=at(second), answered_at_ms=at(second))
    one = horizon(known)
    one.look(at(190), End(0, at(190)))
    assert one.until == MINUTE


def test_a_group_that_keeps_up_holds_nothing_back() -> None:
    """Rates workers are always a second or two behind; within five nobody waits for them."""
    one = horizon(rated(118))
    one.look(at(122), End(0, at(122)))
    assert one.until == MINUTE + 1


def test_what_is_known_is_what_is_rated_and_read() -> None:
    """Of events, not of the clock: it goes on while the rates workers keep up, stands still where they stand still or
    the log is not read to its end, and never goes back."""
    #  second     60        70         80                90             100
    #  rated      7 of 7    7 of 9     7 of 9            9 of 9
    #  read       all       all        all               not all        all
    known = rated(60)
    one = horizon(known)
    assert one.known_ms is None
    found: list[int | None] = []
    for second, committed, end, position in ((60, 7, 7, 0), (70, 7, 9, 0), (80, 7, 9, 0), (90, 9, 9, 5)):
        known.look({0: (committed, end)}, asked_at_ms=at(second), answered_at_ms=at(second))
        one.look(at(second), End(position, at(second)))
        found.append(one.known_ms)
    one.on_lines(5, 1, MINUTE)
    one.look(at(100), End(5, at(100)))
    assert [*found, one.known_ms] == [at(60), at(60), at(60), at(60), at(90)]
    one.look(at(101), None)
    assert one.known_ms == at(90)


def test_days_of_lines_are_not_held_at_once() -> None:
    """Whoever is far behind judges what lies an hour before the newest line, once there are many lines."""
    one = horizon(Rated())
    one.on_lines(5, MOST_LINES, MINUTE)
    one.look(at(600), End(9, at(600)))
    assert one.until is None
    one.on_lines(6, 1, MINUTE + 1)
    one.look(at(601), End(9, at(601)))
    assert one.until == MINUTE + 1 - 60


def record(key: bytes, value: bytes | None, term: int) -> LogRecord:
    """A record of ``cost.watch``."""
    return LogRecord(key, value, [(TERM_HEADER, str(term).encode())])


def owner(term: int) -> LogRecord:
    """A record that says who owns the partition from here on."""
    key, value = owner_entry(term)
    return record(key, value, term)


def test_the_log_says_who_owned_it() -> None:
    """The last value of a key counts, none removes it; what follows the record of a later owner is void."""
    #  owner  1           2
    #  by 1   a=1 b=1 c=1    b=old c=gone
    #  by 2                              a=2
    kept = read_log(
        [
            *(owner(1), record(b"a", b"1", 1), record(b"b", b"1", 1), record(b"c", b"1", 1)),
            *(owner(2), record(b"b", b"old", 1), record(b"c", None, 1), record(b"a", b"2", 2)),
        ]
    )
    assert (kept.term, kept.entries) == (2, {b"a": b"2", b"b": b"1", b"c": b"1"})
    assert kept.repairs == [(b"b", b"1"), (b"c", b"1")]


def test_compaction_changes_nothing() -> None:
    """The records that compaction leaves, the last of each key, hold the same."""
    records = [owner(1), record(b"a", b"1", 1), owner(2), record(b"b", b"2", 2), owner(3), record(b"b", None, 3)]
    last = {one.key: one for one in records}
    left = [one for one in records if last[one.key] is one]
    assert (read_log(left).term, read_log(left).entries) == (read_log(records).term, read_log(records).entries)


def test_a_void_record_that_is_repaired_is_forgotten() -> None:
    """Once the owner has written a key again, nothing is left to repair."""
    kept = read_log([owner(1), owner(2), record(b"a", b"void", 1), record(b"a", b"2", 2)])
    assert (kept.entries, kept.repairs) == ({b"a": b"2"}, [])


def test_a_record_of_strangers_is_void() -> None:
    """What bears no term was not written by a watcher, and is removed."""
    kept = read_log([LogRecord(b"a", b"1", []), owner(1)])
    assert (kept.entries, kept.repairs) == ({}, [(b"a", None)])


def test_chunks_are_committed_once_nobody_needs_them() -> None:
    """In the order of the log, those whose newest line is older than the first minute that is read again, as far as was
    absorbed when that was said."""
    reading = Reading(Origin("t:1", 1, 0, 0), epoch=1)
    holding = Holding(0, reading, horizon(Rated()))
    receipts = [Receipt(n) for n in range(4)]
    for receipt, newest in zip(receipts, (None, 10, 30, 20), strict=True):
        holding.on_chunk(receipt, lines=1, newest=newest)
    for read_from, settled in ((None, 1), (10, 1), (11, 2), (30, 2), (31, 4)):
        holding.settle(read_from, up_to=2)
        assert sum(receipt.settled for receipt in receipts) == min(settled, 3)
    holding.settle(31, up_to=3)
    assert receipts[3].settled


class Note:
    """A judge that takes notes."""

    def __init__(self, series: str, read_from: int | None = None, *, refuses: str = "?") -> None:
        self.series = (series,)
        self.refuses = refuses
        self.seen: list[str] = []
        self.budgets: list[str] = []
        self._read_from = read_from

    def assign(self, partition: int, kept: KeptEntries) -> Sequence[Alert]:  # noqa: ARG002 - the protocol's
        """Nothing was left unsent."""
        return ()

    def revoke(self, partition: int) -> None:
        """Nothing is known."""

    def absorb(self, partition: int, lines: pl.DataFrame) -> None:  # noqa: ARG002 - the protocol's
        """Note the keys."""
        self.seen += lines["key"].to_list()

    def close(self, until: Mapping[int, int], moment: Moment) -> Sequence[Verdict]:  # noqa: ARG002 - the protocol's
        """Keep an entry."""
        return [Verdict(partition, [(self.series[0].encode(), b"")]) for partition in until]

    def save(self) -> Mapping[int, Sequence[Entry]]:
        """Keep an entry."""
        return {0: [(self.series[0].encode(), b"")]}

    def read_from(self, partition: int) -> int | None:  # noqa: ARG002 - the protocol's
        """As told."""
        return self._read_from

    def history(self, partition: int) -> None:
        """Ask for nothing."""

    def check(self, configuration: Configuration) -> None:
        """Refuse one file."""
        if self.refuses in configuration.budgets:
            raise ConfigurationError("no")

    def reload(self, configuration: Configuration) -> None:
        """Note what it goes by."""
        self.check(configuration)
        self.budgets.append(configuration.budgets)

    def heard(self, alert: Alert) -> None:
        """Hear nothing."""


def _lines(*rows: tuple[str, str]) -> pl.DataFrame:
    names = pl.DataFrame(rows, schema={"series": pl.Categorical(), "key": pl.String()}, orient="row")
    return pl.concat([LINES_SCHEMA.to_frame(), names], how="diagonal")


def test_judges_sit_together() -> None:
    """Each hears of its series alone; what they say of a partition is one verdict; lines are needed while any needs
    them."""
    one, other = Note("user_id", 7), Note("total", 5)
    bench = Bench([one, other], Configuration())
    bench.assign(0, {})
    bench.absorb(0, _lines(("user_id", "a"), ("total", ""), ("team", "t")))
    assert (bench.series, one.seen, other.seen) == ({"user_id", "total"}, ["a"], [""])
    both = [(b"user_id", b""), (b"total", b"")]
    assert bench.close({0: 1}, Moment(2)) == [Verdict(0, both, [], [])]
    assert bench.save() == {0: (both, 5)}
    bench.revoke(0)
    assert bench.save() == {}


def test_lines_that_a_judge_cannot_do_without_stay() -> None:
    """One judge that needs all that was read keeps it for all."""
    bench = Bench([Note("user_id", 7), Note("total")], Configuration())
    bench.assign(0, {})
    assert bench.save()[0][1] is None


def test_a_bad_edit_changes_no_judge(tmp_path: Path, log: LogCapture) -> None:
    """Where one judge refuses a file none goes by it for a moment, for that would end what it does not have; it is said
    once, and forgotten once it is put right."""
    path = tmp_path / "budgets.toml"
    path.write_text("one")
    files = ConfigurationFiles(budgets=path, rules=None)
    easy, hard = Note("a"), Note("b", refuses="two")
    bench = Bench([easy, hard], files.read())
    path.write_text("two")
    for _ in range(3):
        files.read_again(bench.reload)
    assert (easy.budgets, hard.budgets, files.error, files.failures) == (["one"], ["one"], "no", 1)
    path.unlink()
    files.read_again(bench.reload)
    assert f"{path} cannot be read (No such file or directory)" in str(files.error)
    path.write_text("three")
    files.read_again(bench.reload)
    assert (easy.budgets, hard.budgets, files.error) == (["one", "three"], ["one", "three"], None)
    assert [entry["log_level"] for entry in log.entries] == ["error", "error", "info"]


def test_a_file_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    """A watcher does not start without the file that it was told of."""
    with pytest.raises(ConfigurationError, match=r"none\.toml cannot be read"):
        ConfigurationFiles(budgets=None, rules=tmp_path / "none.toml").read()
