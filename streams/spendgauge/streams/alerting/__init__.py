"""How do the lines of ``cost.rates`` become spike alerts, each once, whoever dies in between?

    lines      what the lines say of the watched series, as columns
    minutes    what each key has cost in each of the last minutes
    entries    what is kept of a partition for whoever reads it next
    desk       one partition: its minutes are closed, judged, corrected, and taken over

Pure: no clock, no I/O. See ``docs/spikes.md``.
"""

from spendgauge.streams.alerting.desk import Desk, Judged
from spendgauge.streams.alerting.entries import Entry, Kept, read_kept
from spendgauge.streams.alerting.lines import read_lines
from spendgauge.streams.alerting.minutes import WATCHED

__all__ = ["WATCHED", "Desk", "Entry", "Judged", "Kept", "read_kept", "read_lines"]
