"""Which budgets and quotas of all partitions of a worker must somebody hear of? One of the watcher's judges.

Each partition has a desk of its own: all lines of a key lie in one partition, so nothing is shared between them.
"""

from collections.abc import Collection, Mapping, Sequence

import polars as pl
import structlog

from spendgauge.schemas.alerts import Alert
from spendgauge.streams.budgets.budget import Budget
from spendgauge.streams.budgets.desk import BudgetDesk
from spendgauge.streams.budgets.file import notes_on, parse_budgets, parse_quotas
from spendgauge.streams.budgets.quota import Quota
from spendgauge.streams.judging.judge import Configuration, Entry, History, KeptEntries, Moment, Verdict

__all__ = ["BudgetJudge"]

_log = structlog.get_logger(__name__)


class BudgetJudge:
    """Judges what people may spend."""

    def __init__(self) -> None:
        """Begin without partitions, budgets and quotas."""
        self._text = ""
        self._budgets: Sequence[Budget] = ()
        self._quotas: Sequence[Quota] = ()
        self._desks: dict[int, BudgetDesk] = {}

    @property
    def series(self) -> Collection[str]:
        """The series that any budget or quota is about."""
        return frozenset(one.series for one in (*self._budgets, *self._quotas))

    def assign(self, partition: int, kept: KeptEntries) -> Sequence[Alert]:
        """Take a partition over from what is kept; say which alerts may not have been sent, the first one first."""
        desk = self._desks[partition] = BudgetDesk(partition, self._budgets, self._quotas, kept)
        return desk.unsent

    def revoke(self, partition: int) -> None:
        """Forget a partition at once: it is another worker's."""
        self._desks.pop(partition, None)

    def absorb(self, partition: int, lines: pl.DataFrame) -> None:
        """Take in lines (``LINES_SCHEMA``) of any minutes, in the order of the partition's log."""
        self._desks[partition].absorb(lines)

    def close(self, until: Mapping[int, int], moment: Moment) -> Sequence[Verdict]:
        """Judge; of each partition all minutes up to ``until[partition]`` are over."""
        found = [
            desk.close(until[partition], moment.now, known_ms=moment.known_ms.get(partition))
            for partition, desk in self._desks.items()
            if partition in until
        ]
        return [one for one in found if one.entries or one.alerts or one.quotas]

    def save(self) -> Mapping[int, Sequence[Entry]]:
        """Say for each partition what must be kept before lines are committed; what was given before is kept."""
        return {partition: entries for partition, desk in self._desks.items() if (entries := desk.save())}

    def read_from(self, partition: int) -> int | None:
        """Name the first minute whose lines must be read again after a restart."""
        return self._desks[partition].read_from

    def history(self, partition: int) -> History | None:
        """Give what must hear the partition's log from its beginning: keys are counted that were not before."""
        return self._desks[partition].history()

    def check(self, configuration: Configuration) -> None:
        """See whether these budgets and quotas can be used; raises ``ConfigurationError``."""
        if configuration.budgets != self._text:
            _parse(configuration)

    def reload(self, configuration: Configuration) -> None:
        """Go by these budgets and quotas from now on; what was spent stays known.

        Raises ``ConfigurationError``, and goes by the old ones then.
        """
        if configuration.budgets == self._text:
            return
        budgets, quotas = _parse(configuration)
        self._text, self._budgets, self._quotas = configuration.budgets, budgets, quotas
        for note in notes_on(budgets, quotas, name=configuration.budgets_name):
            _log.warning("a budget or a quota may see nothing", note=note)
        for desk in self._desks.values():
            desk.reload(budgets, quotas)

    def heard(self, alert: Alert) -> None:
        """Hear of an alert of any worker: no budget depends on another key."""


def _parse(configuration: Configuration) -> tuple[Sequence[Budget], Sequence[Quota]]:
    text, name = configuration.budgets, configuration.budgets_name
    return parse_budgets(text, name=name), parse_quotas(text, name=name)
