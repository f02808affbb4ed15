"""What does a producer keep on disk: its own events, and those that dead processes left?

Its own and each dead process's are logs apart. They are sent in turn, a record of each: every source in the order of
its ``seq``, and no source waits for another. Used by the producer's thread, but for ``writer``.
"""

import os
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice, takewhile
from pathlib import Path
from typing import Final

from spendgauge.producers.lane import Record
from spendgauge.producers.notices import Notices
from spendgauge.producers.settings import ProducerSettings
from spendgauge.producers.spool.directory import Directory, Mark, leftovers
from spendgauge.producers.spool.frames import frame
from spendgauge.producers.spool.log import Log
from spendgauge.producers.spool.reader import Reader
from spendgauge.producers.spool.writer import Writer
from spendgauge.producers.spools import Spools
from spendgauge.schemas import Clock, ConfigurationError

__all__ = ["DiskSpools", "prepare"]

_MARK_SECONDS: Final = 1.0
"""How often it is noted what was acknowledged: what came since is sent again after a ``kill -9``."""

_LOOK_SECONDS: Final = 30.0
"""How often a producer looks for what dead processes left."""

_MOST_LEFTOVERS: Final = 32
"""How many it takes over at a time: each costs two open files."""


@dataclass(eq=False)
class _Leftover:
    """What a dead process left."""

    directory: Directory
    reader: Reader
    noted: Mark

    def note(self) -> None:
        """Note up to where it is acknowledged, where that has changed."""
        if self.reader.mark != self.noted:
            self.directory.mark(self.reader.mark)
            self.noted = self.reader.mark

    def remove(self) -> None:
        """Delete it: all of it is settled."""
        self.reader.log.close()
        self.directory.remove()


def prepare(root: str) -> None:
    """Make the directory that holds all spools; raises ``ConfigurationError`` where that cannot be."""
    try:
        Path(root).mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"SPENDGAUGE_SPOOL_DIR={root!r} cannot be used: {error}") from None
    if not os.access(root, os.R_OK | os.W_OK | os.X_OK):
        raise ConfigurationError(f"SPENDGAUGE_SPOOL_DIR={root!r} cannot be used: this process may not write there")


class DiskSpools(Spools):
    """All logs that one producer reads."""

    def __init__(self, settings: ProducerSettings, boot: str, *, clock: Clock, notices: Notices) -> None:
        self.root = Path(settings.spool_dir)
        self.writer = Writer(
            self.root, boot, max_bytes=settings.spool_bytes, synced=settings.durability == "disk", clock=clock
        )
        self.kept_events = 0
        self._kept = False
        self._settings = settings
        self._clock = clock
        self._notices = notices
        self._own = self._reader(self.writer, adopted=False)
        self._leftovers: list[_Leftover] = []
        self._turns = deque([self._own])
        self._mark_at = self._look_at = 0.0
        self._noted = self._own.mark

    @property
    def written_bytes(self) -> int:
        """How much this process has written."""
        return self.writer.written_bytes

    @property
    def unread(self) -> bool:
        """Whether some of it was not handed out yet."""
        return self._own.behind(self.writer.written_bytes)

    @property
    def unread_events(self) -> int:
        """How many events that is, as far as they can be read now."""
        readable = self.unread and not self._own.stuck
        return self.writer.appended_events - self._own.handed_events if readable else 0

    @property
    def waiting_events(self) -> int:
        """How many of them are on disk and not settled, with those that were kept at the end."""
        return self.kept_events + self.writer.appended_events - self._own.settled_events - self._own.damaged

    @property
    def damaged_events(self) -> int:
        """How many of them the disk did not give back."""
        return self._own.damaged

    @property
    def replaying(self) -> bool:
        """Whether something that a dead process left is still to be sent."""
        return bool(self._leftovers) or not self._look_at

    @property
    def trouble(self) -> str:
        """Why the last event was not taken."""
        return self.writer.trouble or "it is full"

    def reached(self, written: int) -> bool:
        """Say whether everything is settled that was written when ``written_bytes`` was this."""
        return self._own.done_bytes >= written

    def append(self, record: Record) -> bool:
        """Write a record of this process; say whether it is on disk."""
        return self.writer.append(_framed(record), record.events)

    def next_record(self) -> Record | None:
        """Take a record from the next log that has one."""
        for _ in range(len(self._turns)):
            reader = self._turns[0]
            self._turns.rotate(-1)
            record = reader.next()
            if record is not None:
                return record
        return None

    def attend(self) -> None:
        """Note what was acknowledged, let go of logs that are done, and look for others; each when it is time."""
        now = self._clock.monotonic()
        if now >= self._mark_at:
            self._mark_at = now + _MARK_SECONDS
            self._guard(self._mark)
        if now >= self._look_at:
            self._guard(self._adopt)
            self._look_at = now + _LOOK_SECONDS  # after it: ``replaying`` says no when it has been done

    def keep(self, records: Sequence[Record]) -> int:
        """Write what was not acknowledged when the producer closed; return how many events could not be kept.

        Where some of it was in memory only, all of it is written, before everything else on disk: so each source's
        events stay in order, and some are sent twice.
        """
        own = [record for record in records if not record.adopted]
        if all(record.on_settled for record in own):
            return 0
        taken = list(takewhile(lambda record: self.writer.append_first(_framed(record)), own))
        self._kept = bool(taken)
        self.kept_events = sum(record.events for record in taken if record.on_settled is None)
        return sum(record.events for record in own[len(taken) :] if record.on_settled is None)

    def close(self) -> None:
        """Leave to the next process what is not sent, and remove the rest."""
        self._guard(self._mark)
        self._guard(self._leave)

    def abandon(self) -> None:
        """Let go of every file and lock: they are the parent's, and this is a child of a fork."""
        for log, directory in self._open():
            log.close()
            directory.release()

    def _reader(self, log: Log, *, adopted: bool) -> Reader:
        settings = self._settings
        return Reader(
            log,
            adopted=adopted,
            max_events=settings.coalesce_events,
            max_bytes=settings.coalesce_bytes,
            clock=self._clock,
        )

    def _mark(self) -> None:
        own = self.writer.directory
        if own is not None and self._own.mark != self._noted:
            own.mark(self._own.mark)
            self._noted = self._own.mark
        self._say_damage(self._own)
        for leftover in tuple(self._leftovers):
            self._say_damage(leftover.reader)
            leftover.note()
            if leftover.reader.finished:
                if len(self._leftovers) == _MOST_LEFTOVERS:
                    self._look_at = 0.0  # there may be more of them
                self._leftovers.remove(leftover)
                self._turns.remove(leftover.reader)
                leftover.remove()
        self._count_others()

    def _adopt(self) -> None:
        for directory in islice(leftovers(self.root), _MOST_LEFTOVERS - len(self._leftovers)):
            self._guard(partial(self._take_over, directory))
        self._count_others()

    def _take_over(self, directory: Directory) -> None:
        try:
            reader = self._reader(Log.of(directory), adopted=True)
        except OSError:
            directory.release()
            raise
        self._leftovers.append(_Leftover(directory, reader, reader.mark))
        self._turns.append(reader)

    def _count_others(self) -> None:
        self.writer.others_bytes = sum(leftover.reader.log.size_bytes for leftover in self._leftovers)

    def _leave(self) -> None:
        own, self.writer.directory = self.writer.directory, None
        if own is not None:
            done = self._own.finished and not self._kept
            self.writer.close()
            if done:
                own.remove()
            else:
                own.release()
        self.abandon()
        self._leftovers = []

    def _open(self) -> list[tuple[Log, Directory]]:
        found = [(leftover.reader.log, leftover.directory) for leftover in self._leftovers]
        return found if self.writer.directory is None else [(self.writer, self.writer.directory), *found]

    def _say_damage(self, reader: Reader) -> None:
        new, reader.untold = reader.untold, 0
        if new:
            self._notices.report("events lost: the spool gave them back damaged", new, reason=reader.trouble)

    def _guard(self, step: Callable[[], None]) -> None:
        try:
            step()
        except OSError as error:
            self._notices.report("the spool's directory cannot be used", reason=str(error))


def _framed(record: Record) -> bytes:
    return b"".join(map(frame, record.value.split(b"\n")))
