"""How do the lines of ``cost.rates`` become alerts and quota states? The watcher.

judge    what is asked of those who judge
"""

from spendgauge.streams.watching.judge import Configuration, Entry, Judge, KeptEntries, Verdict

__all__ = ["Configuration", "Entry", "Judge", "KeptEntries", "Verdict"]
