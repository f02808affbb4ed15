"""How do the lines of ``cost.rates`` become spike alerts, each once, whoever dies in between?

    keys       numbers that stand for keys
    minutes    what each key has done in each of the last minutes
    amounts    what is judged of a minute
    entries    what is kept of a partition for whoever reads it next
    desk       one partition: its minutes are closed, judged, corrected, and taken over
    rises      who rose when a key's spending did
    limits     what a key must exceed, by its budget
    judge      all partitions of a worker, and their incidents

Pure: no clock, no I/O. See ``docs/spikes.md``.
"""

from spendgauge.streams.alerting.amounts import NAMED, WATCHED
from spendgauge.streams.alerting.desk import Desk, Judged
from spendgauge.streams.alerting.entries import Entry, Kept, read_kept
from spendgauge.streams.alerting.minutes import RecentMinutes

__all__ = [
    "NAMED",
    "WATCHED",
    "Desk",
    "Entry",
    "Judged",
    "Kept",
    "RecentMinutes",
    "read_kept",
]
