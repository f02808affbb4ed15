"""What is known of a key? One row of fixed size, the same bytes in memory and in a compacted topic.

Rows lie in one array, so that a hundred thousand keys are a few array operations and not as many objects.
"""

from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt

from spendgauge.schemas.errors import SpendgaugeError
from spendgauge.streams.spikes.parameters import SpikeParameters

__all__ = ["MAX_MINUTE_AMOUNT", "Rows", "is_awake", "pack", "row_dtype", "unpack"]

Rows = npt.NDArray[np.void]

MAX_MINUTE_AMOUNT: Final = 10**17
"""100,000 USD a minute: more is taken for this, so that sums over a row and over a long alarm fit 64 bits."""

_VERSION: Final = b"\x01"


@cache
def row_dtype(parameters: SpikeParameters) -> np.dtype[np.void]:
    """Lay out a row; little-endian on every machine. A row of zeros is a key that nobody has seen."""
    return np.dtype(
        [
            ("minute", "<i8"),  # the last one that is in all of this
            ("seen", "<i8"),  # minutes since the first event, idle ones too
            ("costs", "<i8", (parameters.kept_minutes,)),  # of the last minutes, the oldest first
            ("requests", "<i4", (parameters.window_minutes,)),
            ("fast_mean", "<f8"),
            ("fast_variance", "<f8"),
            ("slow_mean", "<f8"),
            ("slow_requests", "<f8"),
            ("record", "<f8"),
            ("old_record", "<f8"),  # as it was half an hour ago, or longer
            ("next_record", "<f8"),  # the old one from the next half hour on
            ("level", "u1"),  # of the alarm: 0 none, 1 info, 2 warn, 3 page
            ("previous", "u1"),  # what the minute before was worth
            ("calm", "u1"),  # minutes since it last was not
            ("corrected", "?"),  # something since the onset was taken back
            ("quiet_level", "u1"),
            ("quiet_until", "<i8"),  # the cooldown's last minute
            ("onset", "<i8"),
            ("usual", "<i8"),  # when the alarm was raised
            ("excess", "<i8"),  # when the alarm was raised
            ("spent", "<i8"),  # since onset
        ]
    )


def is_awake(rows: Rows) -> npt.NDArray[np.bool_]:
    """Say of which rows the next minute must be looked at even if nothing happens in it."""
    held = rows["costs"].any(axis=1) | rows["requests"].any(axis=1)
    awake: npt.NDArray[np.bool_] = held | (rows["level"] > 0) | (rows["previous"] > 0)
    return awake


def pack(row: np.void) -> bytes:
    """Write a row for a topic or a table."""
    return _VERSION + row.tobytes()


def unpack(data: bytes, parameters: SpikeParameters) -> np.void:
    """Read a row that ``pack`` wrote.

    Raises ``SpendgaugeError`` where it was written by another version, or for other windows.
    """
    dtype = row_dtype(parameters)
    if data[:1] != _VERSION or len(data) != 1 + dtype.itemsize:
        raise SpendgaugeError(
            f"{len(data)} bytes beginning with {data[:1]!r} are not a key's state of this version "
            f"({1 + dtype.itemsize} bytes beginning with {_VERSION!r}); delete it, the key begins anew."
        )
    row: np.void = np.frombuffer(data, dtype, offset=1)[0]
    return row
