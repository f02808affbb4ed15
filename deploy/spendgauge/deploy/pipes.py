"""What if our reader has had enough, as in ``spendgauge sql ... | head``? We are done, and all is well."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["until_enough"]


@contextmanager
def until_enough() -> Iterator[None]:
    """Write to stdout until the block ends, or until nobody reads it any more."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())  # for what Python still holds, and writes when it ends
        os.close(nowhere)
