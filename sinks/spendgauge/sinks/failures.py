"""Whose fault is a failed INSERT: a row's, the batch's size, or neither?

Only a row's fault may cost that row its place in the table. Everything else is waited out, however long it takes:
ClickHouse is down, busy, out of disk, not migrated, or the login is wrong. Rows that are not at fault are never
dead-lettered.

*Source*: ``src/Common/ErrorCodes.cpp`` of ClickHouse 26.9.
"""

from enum import Enum
from typing import Final

from clickhouse_connect.driver.exceptions import Error

__all__ = ["Fault", "fault_of"]

_ROWS: Final = frozenset(
    (
        6,  # CANNOT_PARSE_TEXT
        26,  # CANNOT_PARSE_QUOTED_STRING
        27,  # CANNOT_PARSE_INPUT_ASSERTION_FAILED
        38,  # CANNOT_PARSE_DATE
        41,  # CANNOT_PARSE_DATETIME
        69,  # ARGUMENT_OUT_OF_BOUND
        70,  # CANNOT_CONVERT_TYPE
        72,  # CANNOT_PARSE_NUMBER
        117,  # INCORRECT_DATA
        131,  # TOO_LARGE_STRING_SIZE
        321,  # VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE
        349,  # CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN
        376,  # CANNOT_PARSE_UUID
        407,  # DECIMAL_OVERFLOW
        469,  # VIOLATED_CONSTRAINT
    )
)
_SIZES: Final = frozenset(
    (
        241,  # MEMORY_LIMIT_EXCEEDED
        307,  # TOO_MANY_BYTES
    )
)


class Fault(Enum):
    """Whose fault a failed INSERT is."""

    ROW = "a row cannot be stored: find it"
    SIZE = "too much at once: send less"
    OTHER = "not the rows' fault: wait"


def fault_of(error: Error) -> Fault:
    """Judge by the server's error code; a transport's failure has none."""
    if error.code in _ROWS:
        return Fault.ROW
    return Fault.SIZE if error.code in _SIZES else Fault.OTHER
