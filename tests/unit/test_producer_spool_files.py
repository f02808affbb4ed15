"""Does a spool's file give back what was written, and never anything else, whatever happens to its tail?"""

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.producers import CALL, FakeClock

from spendgauge.producers.lane import Lane, Record, end_line
from spendgauge.producers.spool.directory import Directory, Mark, leftovers
from spendgauge.producers.spool.frames import frame, origin, unframe
from spendgauge.producers.spool.log import Log
from spendgauge.producers.spool.reader import Reader
from spendgauge.producers.spool.segment import Segment
from spendgauge.producers.spool.writer import Writer

ID = "0190c5b0-3d6e-7c41-9f0e-2a6f1d0b7e55"
LINES = st.lists(st.binary(max_size=30).map(lambda data: data.replace(b"\n", b"")), max_size=12)


def line(seq: int, source: str = "s") -> bytes:
    """The line of one event."""
    lane = Lane(source, defaults={}, max_events=1, max_bytes=1)
    lane.skip(seq)
    return lane.line((ID, 1_800_000_000_000, CALL))


def writer(root: Path, *, max_bytes: int = 10**6, synced: bool = False, clock: FakeClock | None = None) -> Writer:
    """A writer of small segments: an eighth of ``max_bytes`` each."""
    return Writer(root, "own", max_bytes=max_bytes, synced=synced, clock=clock or FakeClock())


def reader(log: Log, *, adopted: bool = False) -> Reader:
    """A reader of records of two events."""
    return Reader(log, adopted=adopted, max_events=2, max_bytes=10**6, clock=FakeClock())


def drain(of: Reader) -> list[Record]:
    """Take all records that there are."""
    return list(iter(of.next, None))


def settle(record: Record) -> None:
    """Say that a record is acknowledged."""
    assert record.on_settled is not None
    record.on_settled()


def seqs(records: list[Record]) -> list[int]:
    """List the seq of every event in the records."""
    found = [origin(line) for record in records for line in record.value.split(b"\n")]
    return [place.seq for place in found if place is not None and not place.is_end]


def told(records: list[Record]) -> dict[bytes, int]:
    """Say with which number each source ends."""
    found = [place for record in records for line in record.value.split(b"\n") if (place := origin(line))]
    return {place.source: place.seq for place in found if place.is_end}


def fill(to: Writer, first: int, last: int) -> list[bool]:
    """Write the events ``first`` to ``last``, one by one."""
    return [to.append(frame(line(seq)), 1) for seq in range(first, last + 1)]


def left(root: Path) -> list[Directory]:
    """Claim what is left."""
    return list(leftovers(root))


def kill(process: Writer) -> None:
    """End a writer as ``kill -9`` does: files and lock are closed, nothing is noted."""
    process.close()
    assert process.directory is not None
    process.directory.release()


@settings(deadline=None)
@given(lines=LINES, cut=st.integers(0, 400))
def test_a_cut_loses_only_what_it_tore(lines: list[bytes], cut: int) -> None:
    """Of a file cut anywhere, every line that is whole comes back in order, and at most one is torn."""
    data = b"".join(map(frame, lines))[:cut]
    whole = data.count(b"\n")
    found = unframe(data, final=True)
    assert found.whole in (lines[:whole], lines[: whole + 1])  # the newline alone may be missing
    assert found.damaged <= 1
    assert len(found.whole) + found.damaged == whole + (not data.endswith(b"\n") and bool(data))


@settings(deadline=None)
@given(lines=LINES.filter(bool), data=st.data())
def test_a_flipped_bit_costs_a_line_and_its_neighbour(lines: list[bytes], data: st.DataObject) -> None:
    """After a bit has changed anywhere, at most two lines are missing; the others come back, and no other ever."""
    written = bytearray(b"".join(map(frame, lines)))
    place = data.draw(st.integers(0, len(written) * 8 - 1))
    written[place // 8] ^= 1 << place % 8
    found = unframe(bytes(written), final=True)
    rest = iter(lines)
    assert all(any(original == got for original in rest) for got in found.whole)
    assert len(lines) - 2 <= len(found.whole) < len(lines)
    assert found.damaged >= 1


@settings(deadline=None)
@given(garbage=st.binary(max_size=300))
def test_garbage_holds_no_event(garbage: bytes) -> None:
    """What a disk makes up, zeros after a power cut among it, is no producer's line."""
    found = unframe(garbage, final=True)
    assert [found_line for found_line in found.whole if origin(found_line)] == []
    assert found.used == len(garbage)


@settings(deadline=None)
@given(lines=LINES, size=st.integers(1, 50))
def test_reading_in_chunks_is_reading_at_once(lines: list[bytes], size: int) -> None:
    """A file read in chunks of any size that holds a frame gives the same lines."""
    data, at, got = b"".join(map(frame, lines)), 0, []
    size = max([size, *(len(frame(line)) for line in lines)])
    while at < len(data):
        chunk = data[at : at + size]
        found = unframe(chunk, final=False)
        got += found.whole
        assert found.damaged == 0
        at += found.used
    assert got == lines


def test_a_line_knows_its_origin() -> None:
    """Source and seq are read off each kind of line that a lane writes, whatever stands in the source's name."""
    name = 'a"\\b\u00e4@h#1","seq":7'
    lane = Lane(name, defaults={}, max_events=9, max_bytes=9999)
    lane.skip(41)
    lane.add((ID, 1_800_000_000_000, {**CALL, "tags": {"source": "x"}}))
    lane.add_line(b'{"event_id":"x"}')
    record = lane.take()
    assert record is not None
    lines = record.value.split(b"\n")
    assert [origin(line) for line in lines] == [(name.encode(), 41, False), (name.encode(), 42, False)]
    assert origin(end_line(name.encode(), 43, now_ms=1_800_000_000_000)) == (name.encode(), 43, True)
    assert origin(b'{"a":1}') is None


def test_what_is_written_comes_back_packed(tmp_path: Path) -> None:
    """Events come back in order, packed by source, while the writer goes on."""
    own = writer(tmp_path)
    of = reader(own)
    assert of.next() is None
    for seq in range(3):
        for source in ("s", "t"):
            own.append(frame(line(seq, source)), 1)
    records = drain(of)
    assert [(r.source, r.first_seq, r.last_seq, r.events) for r in records] == [
        (b"s", 0, 1, 2),
        (b"t", 0, 1, 2),
        (b"s", 2, 2, 1),
        (b"t", 2, 2, 1),
    ]
    fill(own, 3, 3)
    assert of.behind(own.written_bytes)
    assert seqs(drain(of)) == [3]
    assert not of.behind(own.written_bytes)
    kill(own)


@settings(deadline=None)
@given(order=st.permutations(range(10)), settled=st.integers(0, 10))
def test_the_mark_never_leads(order: list[int], settled: int) -> None:
    """Whichever records are acknowledged, in whatever order: a reader that begins at the mark gets every other one."""
    with TemporaryDirectory() as folder:
        root = Path(folder)
        own = writer(root, max_bytes=8 * 700)
        of, records = reader(own), list[Record]()
        for seq in range(20):
            fill(own, seq, seq)
            if seq % 2:
                records += drain(of)
        for number in order[:settled]:
            settle(records[number])
        assert own.directory is not None
        own.directory.mark(of.mark)
        kill(own)
        (directory,) = left(root)
        log = Log.of(directory)
        again = seqs(drain(reader(log)))
        missing = set(range(20)) - set(again)
        assert missing <= {seq for number in order[:settled] for seq in (2 * number, 2 * number + 1)}
        assert again == sorted(again)
        assert settled < 10 or again == []
        log.close()
        directory.release()


@settings(deadline=None)
@given(cut=st.integers(0, 3000), flip=st.integers(-1, 3000 * 8))
def test_a_dead_process_loses_at_most_what_was_torn(cut: int, flip: int) -> None:
    """Whatever happened to the end of the last file, the events before it are replayed, and none that never was."""
    with TemporaryDirectory() as folder:
        own = writer(Path(folder))
        fill(own, 0, 9)
        kill(own)
        (path,) = Path(folder).glob("*/*.spool")
        data = bytearray(path.read_bytes())
        ends = [len(b"".join(frame(line(seq)) for seq in range(count))) for count in range(11)]
        kept = data[: max(0, len(data) - cut)]
        if 0 <= flip < len(kept) * 8:
            kept[flip // 8] ^= 1 << flip % 8
        path.write_bytes(kept)
        (directory,) = left(Path(folder))
        log = Log.of(directory)
        records = drain(of := reader(log))
        whole = {seq for seq in range(10) if ends[seq + 1] <= len(kept)}
        assert seqs(records) == sorted(seqs(records))
        assert set(seqs(records)) <= whole | {len(whole)}
        assert len(whole - set(seqs(records))) <= 2 * (flip >= 0)
        assert all(
            value == line(seq) for r in records for value, seq in zip(r.value.split(b"\n"), seqs([r]), strict=True)
        )
        assert of.damaged <= 1 + 2 * (flip >= 0)
        log.close()
        directory.release()


def test_an_heir_says_how_far_a_dead_process_got(tmp_path: Path) -> None:
    """Behind the events of each source of a dead process comes its end, as far as the log proves it, unless it stands
    in the log; the log is finished when the ends are acknowledged too."""
    own = writer(tmp_path, max_bytes=8 * 700)
    fill(own, 0, 6)
    own.append(frame(line(0, "t")), 1)
    own.append(frame(end_line(b"t", 4, now_ms=1_800_000_000_000)), 0)
    kill(own)
    (directory,) = left(tmp_path)
    of = reader(Log.of(directory), adopted=True)
    records = drain(of)
    assert seqs([record for record in records if record.source == b"s"]) == list(range(7))
    assert [(told([record]), record.events) for record in records if told([record])] == [({b"t": 4}, 0), ({b"s": 7}, 0)]
    assert told(records[-1:]) == {b"s": 7}
    for record in records[:-1]:
        settle(record)
    assert not of.finished
    settle(records[-1])
    assert of.finished
    assert of.settled_events == of.handed_events == 8
    of.log.close()
    directory.release()


def test_a_spool_is_bounded_and_keeps_the_oldest(tmp_path: Path) -> None:
    """Full, it takes nothing new; room comes back when what is oldest is acknowledged; its files never exceed it."""
    bound = 8 * 1000
    own = writer(tmp_path, max_bytes=bound)
    of = reader(own)
    taken = fill(own, 0, 99)
    count = taken.index(False)
    assert taken == [True] * count + [False] * (100 - count)
    assert bound - 400 < sum(path.stat().st_size for path in tmp_path.glob("*/*.spool")) <= bound
    records = drain(of)
    assert seqs(records) == list(range(count))
    for record in records:
        settle(record)
    assert len(list(tmp_path.glob("*/*.spool"))) == 1
    assert fill(own, count, count + 9) == [True] * 10
    kill(own)


def test_what_others_left_counts_too(tmp_path: Path) -> None:
    """What a process took over takes room from its own bound."""
    own = writer(tmp_path, max_bytes=8 * 1000)
    own.others_bytes = 8 * 1000 - 10
    assert fill(own, 0, 0) == [False]
    assert list(tmp_path.iterdir()) == []


class Broken(Segment):
    """A file on a disk that is full after some bytes."""

    def append(self, data: bytes) -> None:
        """Write half, as a full disk does."""
        assert self._out is not None
        self._out.write(data[: len(data) // 2])
        raise OSError("no space left")


def test_a_disk_that_refuses_is_left_alone_for_a_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a failed write the file is sealed and nothing is tried for a second; then another file is begun, and what
    was torn is no event to anybody."""
    clock = FakeClock()
    own = writer(tmp_path, clock=clock)
    fill(own, 0, 0)
    with monkeypatch.context() as patch:
        patch.setattr(Segment, "append", Broken.append)
        assert fill(own, 1, 1) == [False]
    assert "no space left" in own.trouble
    assert fill(own, 1, 1) == [False]
    clock.sleep(1.0)
    assert fill(own, 1, 2) == [True, True]
    assert own.trouble == ""
    assert seqs(drain(reader(own))) == [0, 1, 2]
    kill(own)
    (directory,) = left(tmp_path)
    log = Log.of(directory)
    of = reader(log)
    assert (seqs(drain(of)), of.damaged) == ([0, 1, 2], 1)
    log.close()
    directory.release()


def test_a_file_that_cannot_be_read_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the disk gives nothing back, that file counts as damaged, with the reason, and later ones are read."""
    own = writer(tmp_path, max_bytes=8 * 500)
    fill(own, 0, 3)
    of = reader(own)
    with monkeypatch.context() as patch:
        patch.setattr(os, "pread", _unreadable)
        drain(of)
    assert (of.damaged > 0, of.trouble) == (True, "bad block")
    fill(own, 4, 5)
    assert seqs(drain(of)) == [4, 5]
    kill(own)


def _unreadable(*_: object) -> bytes:
    raise OSError("bad block")


def test_a_file_that_cannot_be_opened_now_is_read_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the process has no file handle to spare the log is not finished; what is in it is read when it has one."""
    own = writer(tmp_path)
    fill(own, 0, 2)
    of = reader(own)
    with monkeypatch.context() as patch:
        patch.setattr(os, "pread", _no_handle)
        assert of.next() is None
        assert (of.finished, of.stuck, of.damaged) == (False, True, 0)
    assert seqs(drain(of)) == [0, 1, 2]
    assert not of.stuck
    kill(own)


def _no_handle(*_: object) -> bytes:
    raise OSError(errno.EMFILE, "too many open files")


def test_a_spool_of_many_files_has_few_open(tmp_path: Path) -> None:
    """However many files a spool has, writer and reader have one open each, and the heir only the one that it reads."""
    own = writer(tmp_path, max_bytes=8 * 8 * 300)
    own._segment_bytes = 1
    before = len(list(Path("/proc/self/fd").iterdir()))
    fill(own, 0, 49)
    of = reader(own)
    of.next()
    assert len(own.segments) == 50
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 3
    kill(own)
    (directory,) = left(tmp_path)
    log = Log.of(directory)
    heir = reader(log)
    heir.next()
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 2
    assert len(seqs(drain(heir))) == 49
    log.close()
    directory.release()


def test_a_closed_writer_takes_nothing(tmp_path: Path) -> None:
    """An event that comes while its producer closes is not written to a file that may be gone: it is refused."""
    own = writer(tmp_path)
    fill(own, 0, 0)
    kill(own)
    assert fill(own, 1, 1) == [False]
    assert len(list(tmp_path.glob("*/*.spool"))) == 1


def test_one_fsync_serves_all_before_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an fsync covered needs no other; a file that is left for the next one was synced before."""
    own, synced = writer(tmp_path, max_bytes=8 * 500, synced=True), list[object]()
    monkeypatch.setattr(os, "fsync", synced.append)
    fill(own, 0, 1)
    before = len(synced)
    assert own.sync()
    assert own.sync()
    assert len(synced) == before + 1
    fill(own, 2, 9)
    files = len(list(tmp_path.glob("*/*.spool")))
    assert files > 1
    assert len(synced) == before + 1 + 2 * (files - 1)  # each file that was left, and the directory for each begun
    kill(own)
    assert len(synced) == before + 2 + 2 * (files - 1)  # and the last one at the end


def test_after_a_failed_fsync_nobody_is_told_yes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system reports a lost page once only, so everything that waited for that fsync is unsafe; later writes are
    safe again, in another file."""
    clock = FakeClock()
    own = writer(tmp_path, synced=True, clock=clock)
    fill(own, 0, 0)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", _unreadable)
        assert not own.sync()
    assert not own.sync()
    clock.sleep(1.0)
    assert fill(own, 1, 1) == [True]
    assert own.sync()
    assert len(own.segments) == 2
    kill(own)


def test_a_directory_is_claimed_once(tmp_path: Path) -> None:
    """A directory whose process lives is nobody else's; one that is left is the first claimer's alone; one that is
    removed meanwhile is nobody's."""
    own = writer(tmp_path)
    fill(own, 0, 0)
    assert left(tmp_path) == []
    kill(own)
    (directory,) = left(tmp_path)
    assert left(tmp_path) == []
    assert Directory.claim(directory.path) is None
    directory.remove()
    assert (left(tmp_path), list(tmp_path.iterdir())) == ([], [])
    assert Directory.claim(directory.path) is None


def test_files_beside_spools_are_let_alone(tmp_path: Path) -> None:
    """What is no spool (a file, a directory without a lock, one that is being made) is neither claimed nor touched."""
    (tmp_path / "README").touch()
    (tmp_path / "other").mkdir()
    (tmp_path / ".unborn").mkdir()
    (tmp_path / ".unborn" / "lock").touch()
    assert left(tmp_path) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == [".unborn", "README", "other"]


def test_only_its_owner_can_read_a_spool(tmp_path: Path) -> None:
    """Directory and files are for their owner only: users' names are in them."""
    own = writer(tmp_path)
    fill(own, 0, 0)
    assert {path.stat().st_mode & 0o077 for path in (tmp_path / "own", *(tmp_path / "own").glob("*.spool"))} == {0}
    kill(own)


@pytest.mark.parametrize("note", [b"", b"00000000 ", b"1234 5 6\n"])
def test_a_torn_mark_means_from_the_beginning(tmp_path: Path, note: bytes) -> None:
    """A mark that cannot be read is none: everything is sent again rather than something left out."""
    own = writer(tmp_path)
    fill(own, 0, 1)
    assert own.directory is not None
    own.directory.mark(Mark(1, 10**6))
    (own.directory.path / "acknowledged").write_bytes(note)
    assert own.directory.marked() == Mark(0, 0)
    kill(own)


@pytest.fixture
def three_files(tmp_path: Path) -> Iterator[Directory]:
    """A directory left with files 1 to 3 and the mark at the start of 3."""
    own = writer(tmp_path, max_bytes=8 * 300)
    assert fill(own, 0, 5) == [True] * 6
    assert [segment.number for segment in own.segments] == [1, 2, 3]
    assert own.directory is not None
    own.directory.mark(Mark(3, 0))
    kill(own)
    (directory,) = left(tmp_path)
    yield directory
    directory.release()


def test_files_before_the_mark_are_deleted(three_files: Directory) -> None:
    """Files that were acknowledged whole go when the spool is taken over."""
    log = Log.of(three_files)
    assert seqs(drain(reader(log))) == [4, 5]
    assert [path.name for path in three_files.segments()] == ["00000003.spool"]
    log.close()
