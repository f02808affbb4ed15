"""How do the lines of ``cost.rates`` become alerts and quota states? The watcher.

    judge      what is asked of those who judge
    bench      all judges as one; ``judges`` names them
    horizon    which minutes are over; ``asking`` how far the rates workers are
    kept       what the log of ``cost.watch`` holds
    keeping    who may write to it
    hearing    what ``cost.alerts`` has said
    telling    what is written, in which order
    holdings   what is held of a partition, and what may be committed
    agent      all of it, in one event loop
    files      what people configured
    series     whether anybody rates what they name
    metrics    what a watcher tells of itself
    app        the Faust app

See ``docs/watcher.md``, and ``docs/architecture.md`` for why no alert is sent twice or lost.
"""

from spendgauge.streams.watching.judge import Configuration, Entry, Judge, KeptEntries, Moment, Verdict

__all__ = ["Configuration", "Entry", "Judge", "KeptEntries", "Moment", "Verdict"]
