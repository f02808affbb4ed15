"""Where do events wait that are safe from ``kill -9``? In files of lines with a sum each, under one directory.

``frames`` says how a line is written, ``segment`` what a file is, ``directory`` whose it is, ``writer`` and ``journal``
how events get in, ``reader`` how they get out, ``disk`` how a producer keeps its own and sends what dead processes
left. Imported only by producers that have a ``spool_dir``.
"""

from spendgauge.producers.spool.disk import DiskSpools, prepare
from spendgauge.producers.spool.journal import Journal

__all__ = ["DiskSpools", "Journal", "prepare"]
