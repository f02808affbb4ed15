"""What does the watcher ask of those who judge? One interface for spikes, budgets and rules; each is pure.

A judge holds what it knows of each partition of ``cost.rates`` that this worker has, for all lines of a key lie in one.
It is told of lines and of minutes that are over, and says what is to be written, in this order:

    close     what must be kept before the alerts are sent, and with it the alerts themselves, so that neither is
              ever there without the other
    save      what must be kept before lines are committed
    read_from the first minute whose lines must not be committed yet

Whoever takes a partition over gives what was kept to ``assign``, reads the lines that were not committed, and closes
the minutes since; a minute that was judged changes nothing, so no alert is sent twice and none is forgotten.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import polars as pl

from spendgauge.schemas.alerts import Alert

__all__ = ["Configuration", "Entry", "History", "Judge", "KeptEntries", "Moment", "Rating", "Verdict"]

Entry = tuple[bytes, bytes | None]
"""A record's key (compact JSON, a list whose first element names the kind) and value; none removes it."""

KeptEntries = Mapping[bytes, bytes]
"""The last value of each key that a partition of ``cost.watch`` holds, those of all judges together."""


@dataclass(frozen=True)
class Configuration:
    """What people wrote: the content of their files, empty where there is none. Each judge parses what it needs."""

    budgets: str = ""
    """``budgets.toml``."""
    rules: str = ""
    """``rules.toml``."""
    budgets_name: str = "budgets.toml"
    """What errors call the file."""
    rules_name: str = "rules.toml"
    """What errors call the file."""


@dataclass(frozen=True)
class Rating:
    """How far the broker said that the rates workers are."""

    at_ms: int
    """When it said so, by this machine's clock: milliseconds since 1970 UTC."""
    partitions: Mapping[int, tuple[int, int]]
    """Of each partition of ``usage.events`` the offset up to which all is rated, and its end."""
    overtaken: Collection[int] = ()
    """The partitions in which that is the log's beginning: what was to be rated next was removed by retention."""


@dataclass(frozen=True)
class Moment:
    """When judges are asked, and up to when they can know everything."""

    now: int
    """The clock's: seconds since 1970 UTC."""
    known_ms: Mapping[int, int] = field(default_factory=dict)
    """By partition: all that was on ``usage.events`` then (milliseconds since 1970 UTC) is rated, read and absorbed. It
    never goes back; it stands still while the rates workers do. Missing: that was never so since ``assign``."""
    rating: Rating | None = None
    """What the broker said last, which may be a while ago; None: it has not said anything yet."""


@dataclass(frozen=True)
class Verdict:
    """What one partition has to say at a closing."""

    partition: int
    entries: Sequence[Entry] = ()
    """To be kept before anything else of this verdict is written."""
    alerts: Sequence[Alert] = ()
    """For ``cost.alerts``, in this order."""
    quotas: Sequence[Entry] = ()
    """For ``cost.quotas``: its keys and values. May be lost in a crash, so after ``assign`` all are said again."""


class History(Protocol):
    """What a judge must hear of a partition's log from its beginning, beside the lines that it is told."""

    @property
    def series(self) -> Collection[str]:
        """The series whose lines it wants."""
        ...

    @property
    def wanted(self) -> bool:
        """Whether the judge still waits for it; asked by any thread."""
        ...

    def begin(self) -> None:
        """Forget what was taken in: the log that is read from now on is another."""
        ...

    def absorb(self, lines: pl.DataFrame, logged_at: float) -> None:
        """Take in lines (``LINES_SCHEMA``) in the order of the log, written up to this second of the log's time.

        Called by one thread at a time, which need not be the judge's.
        """
        ...

    def join(self) -> None:
        """Take it that all lines were told that the judge was told, and those before, up to the same one.

        That one lies behind all that any owner before has read. Called by the judge's thread.
        """
        ...


class Judge(Protocol):
    """Judges the partitions of one worker; used by one thread at a time."""

    @property
    def series(self) -> Collection[str]:
        """The series whose lines it wants; may change with ``reload``."""
        ...

    def assign(self, partition: int, kept: KeptEntries) -> Sequence[Alert]:
        """Take a partition over from what is kept; say which alerts may not have been sent, the first one first."""
        ...

    def revoke(self, partition: int) -> None:
        """Forget a partition at once: it is another worker's."""
        ...

    def absorb(self, partition: int, lines: pl.DataFrame) -> None:
        """Take in lines (``LINES_SCHEMA``) of any minutes, in the order of the partition's log."""
        ...

    def close(self, until: Mapping[int, int], moment: Moment) -> Sequence[Verdict]:
        """Judge; of each partition all minutes up to ``until[partition]`` are over.

        Called about once a second, mostly with minutes that were closed before, and without those partitions of which
        it is not known yet which minutes are over: what goes by the clock alone is judged all the same.
        """
        ...

    def save(self) -> Mapping[int, Sequence[Entry]]:
        """Say for each partition what must be kept before lines are committed; often nothing."""
        ...

    def read_from(self, partition: int) -> int | None:
        """Name the first minute whose lines must be read again after a restart; None: all that were read."""
        ...

    def history(self, partition: int) -> History | None:
        """Give what must hear the partition's log from its beginning; None: nothing must, or it was given before.

        Asked after ``assign``, where the partition is not read from its log's beginning anyhow, and after ``reload``,
        both before the next closing. Where nobody asks, lines count from those on that are told from now on.
        """
        ...

    def check(self, configuration: Configuration) -> None:
        """See whether it can go by these files, and change nothing. Raises ``ConfigurationError`` where it cannot."""
        ...

    def reload(self, configuration: Configuration) -> None:
        """Go by these files from now on; called before the first ``assign``, too. The same ones change nothing.

        Raises ``ConfigurationError``, and goes by the old ones then.
        """
        ...

    def heard(self, alert: Alert) -> None:
        """Hear of an alert on ``cost.alerts``, of any worker: what is up elsewhere may be part of the same incident."""
        ...
