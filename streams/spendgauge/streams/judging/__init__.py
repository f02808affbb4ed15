"""What is a judge of rates? What all of them implement, are shown and keep, whatever they judge.

judge    what is asked of those who judge
lines    what the lines of ``cost.rates`` say of the wanted series, as columns
series   whether anybody rates what people name
models   how is written what is kept
"""

from spendgauge.streams.judging.judge import (
    Configuration,
    Entry,
    History,
    Judge,
    KeptEntries,
    Moment,
    Rating,
    Verdict,
)
from spendgauge.streams.judging.lines import LINES_SCHEMA, read_lines

__all__ = [
    "LINES_SCHEMA",
    "Configuration",
    "Entry",
    "History",
    "Judge",
    "KeptEntries",
    "Moment",
    "Rating",
    "Verdict",
    "read_lines",
]
