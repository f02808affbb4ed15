"""How do the lines of ``cost.rates`` become alerts and quota states? The watcher.

    bench      all judges (``streams.judging``) as one; ``judges`` names them
    horizon    which minutes are over; ``asking`` how far the rates workers are
    kept       what the log of ``cost.watch`` holds
    keeping    who may write to it
    hearing    what ``cost.alerts`` has said
    telling    what is written, in which order
    holdings   what is held of a partition, and what may be committed
    past       what a partition's log has said before
    recalling  for whom it is read, one partition after another
    agent      all of it, in one event loop
    files      what people configured
    metrics    what a watcher tells of itself
    app        the Faust app

See ``docs/watcher.md``, and ``docs/architecture.md`` for why no alert is sent twice or lost.
"""
