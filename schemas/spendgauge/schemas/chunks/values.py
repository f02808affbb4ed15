"""Which id, time, amount or name is it? Compiled functions over the bytes of one string."""

from typing import Final

from spendgauge.schemas.chunks.tokens import decimal, digits_end, hexadecimal, word
from spendgauge.schemas.compiled import Bytes, compiled, signed

__all__ = ["is_id", "length_of", "milliseconds", "picodollars", "view_of"]

_PLUS: Final = 43
_MINUS: Final = 45
_POINT: Final = 46
_ZERO: Final = 48
_COLON: Final = 58
_T: Final = 84
_Z: Final = 90
_INLINE: Final = 12
_ID_BYTES: Final = 36
_PICO_DIGITS: Final = 12


@compiled
def view_of(data: Bytes, begin: int, end: int) -> tuple[int, int]:
    """Write a string view: the size and the first four bytes; then the others, or where in the data all begin."""
    size = end - begin
    head = signed(word(data, begin, min(size, 4)))
    rest = begin << 32 if size > _INLINE else signed(word(data, begin + 4, max(size - 4, 0)))
    return head << 32 | size, rest


@compiled
def length_of(data: Bytes, begin: int, end: int) -> int:
    """Count characters."""
    count = 0
    for at in range(begin, end):
        count += data[at] >> 6 != 0b10
    return count


@compiled
def is_id(data: Bytes, begin: int, end: int) -> bool:
    """Say whether it is a UUID but not the nil one, and write it in lower case."""
    if end - begin != _ID_BYTES:
        return False
    all_digits = 0
    for first, last in ((0, 8), (9, 13), (14, 18), (19, 23), (24, 36)):
        if last < _ID_BYTES and data[begin + last] != _MINUS:
            return False
        for at in range(begin + first, begin + last):
            digit = hexadecimal(data[at])
            all_digits |= digit
            data[at] |= 0x20 * (digit > 9)
    return all_digits > 0  # below it where one was no digit


@compiled
def milliseconds(data: Bytes, begin: int, end: int) -> int:
    """Read an RFC 3339 time as milliseconds since 1970 UTC, cut to whole ones; -1 where it is none after 1970."""
    if end - begin < 20 or not _has_marks(data, begin):
        return -1
    year, month, day = (
        decimal(data, begin, begin + 4),
        decimal(data, begin + 5, begin + 7),
        decimal(data, begin + 8, begin + 10),
    )
    hour, minute, second = (
        decimal(data, begin + 11, begin + 13),
        decimal(data, begin + 14, begin + 16),
        decimal(data, begin + 17, begin + 19),
    )
    if year < 1970 or not 1 <= month <= 12 or not 1 <= day <= _days_of(year, month):
        return -1
    if not 0 <= hour <= 23 or not 0 <= minute <= 59 or not 0 <= second <= 59:
        return -1
    zone, fraction = begin + 19, 0
    if data[zone] == _POINT:
        zone = digits_end(data, begin + 20)
        if not 1 <= zone - begin - 20 <= 9:
            return -1
        fraction = decimal(data, begin + 20, min(zone, begin + 23))
        for _ in range(zone - begin - 20, 3):
            fraction *= 10
    known, east_minutes = _zone(data, zone, end)
    if not known:
        return -1
    minutes = (_days(year, month, day) * 24 + hour) * 60 + minute - east_minutes
    return (minutes * 60 + second) * 1000 + fraction


@compiled
def _has_marks(data: Bytes, begin: int) -> bool:
    """Say whether the marks of ``2026-01-31T12:00:00`` stand where they should."""
    is_date: bool = data[begin + 4] == _MINUS and data[begin + 7] == _MINUS and data[begin + 10] == _T
    is_time: bool = data[begin + 13] == _COLON and data[begin + 16] == _COLON
    return is_date and is_time


@compiled
def _zone(data: Bytes, at: int, end: int) -> tuple[bool, int]:
    """Read ``Z`` or ``+05:30``; say whether it is one, and how many minutes it is east of UTC."""
    if data[at] == _Z:
        return at + 1 == end, 0
    if at + 6 != end or data[at + 3] != _COLON or (data[at] != _PLUS and data[at] != _MINUS):
        return False, 0
    hours, minutes = decimal(data, at + 1, at + 3), decimal(data, at + 4, at + 6)
    east = hours * 60 + minutes
    return 0 <= hours <= 23 and 0 <= minutes <= 59, east if data[at] == _PLUS else -east


@compiled
def _days_of(year: int, month: int) -> int:
    """Count the days of a month."""
    if month == 2:
        return 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    return 30 if month in (4, 6, 9, 11) else 31


@compiled
def _days(year: int, month: int, day: int) -> int:
    """Count the days since 1970.

    *Source*: the Gregorian calendar; years are counted from March, so that the leap day is a year's last.
    """
    march_year, march_month = (year, month - 3) if month > 2 else (year - 1, month + 9)
    leaps = march_year // 4 - march_year // 100 + march_year // 400
    return march_year * 365 + leaps + (153 * march_month + 2) // 5 + day - 719469


@compiled
def picodollars(data: Bytes, begin: int, end: int) -> tuple[bool, int]:
    """Read an amount in USD; say whether it is one, and return it in picodollars."""
    first = begin + 1 if data[begin] == _MINUS else begin
    point = digits_end(data, first)
    decimals = end - point - 1
    if not 1 <= point - first <= 6 or (point != end and data[point] != _POINT):
        return False, 0
    if point != end and (decimals < 1 or decimals > _PICO_DIGITS or digits_end(data, point + 1) != end):
        return False, 0
    value = decimal(data, first, point)
    for place in range(_PICO_DIGITS):
        digit = data[point + 1 + place] - _ZERO if place < decimals else 0
        value = value * 10 + digit
    return True, -value if first > begin else value
