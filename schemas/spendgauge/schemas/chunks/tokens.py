"""Where does a JSON token end, and what does it say? Compiled functions over bytes.

Every line ends in a newline, which no token goes beyond: so nothing is read behind the end. A position of -1 says
that what stands there is not what is wanted, or that only pydantic knows it.
"""

from typing import Any, Final

import numpy as np

from spendgauge.schemas.compiled import Bytes, compiled, signed, unsigned

__all__ = [
    "decimal",
    "digits_end",
    "hexadecimal",
    "integer",
    "is_same",
    "null_end",
    "number_end",
    "skip",
    "string",
    "tags_end",
    "word",
]

_TAB: Final = 9
_RETURN: Final = 13
_SPACE: Final = 32
_QUOTE: Final = 34
_COMMA: Final = 44
_MINUS: Final = 45
_POINT: Final = 46
_ZERO: Final = 48
_COLON: Final = 58
_BACKSLASH: Final = 92
_L: Final = 108
_U: Final = 117
_OPEN: Final = 123
_CLOSE: Final = 125
_MAX_DIGITS: Final = 18
_NONE: Final = (0, 0, -1)

_HEXADECIMAL: Final = np.full(256, -1)
_HEXADECIMAL[np.frombuffer(b"0123456789abcdef", np.uint8)] = np.arange(16)
_HEXADECIMAL[np.frombuffer(b"ABCDEF", np.uint8)] = np.arange(10, 16)
_IS_PLAIN: Final = np.zeros(256, np.bool_)
"""Whether a byte in a string stands for itself: ASCII but quotes, backslashes and control characters."""
_IS_PLAIN[_SPACE:128] = True
_IS_PLAIN[[_QUOTE, _BACKSLASH]] = False

_MASKS: Final = np.array([2 ** (8 * size) - 1 for size in range(9)], np.uint64)


@compiled
def word(data: Bytes, at: int, size: int) -> Any:
    """Read up to eight bytes as one number, the first one lowest; the processor does that in one step."""
    place, value = unsigned(at), unsigned(0)
    for byte in range(8):
        value |= unsigned(data[place + unsigned(byte)]) << unsigned(8 * byte)
    return value & _MASKS[size]


@compiled
def skip(data: Bytes, at: int) -> int:
    """Go over white space."""
    while data[at] == _SPACE or data[at] == _TAB or data[at] == _RETURN:
        at += 1
    return at


@compiled
def is_same(one: Bytes, at: int, other: Bytes, there: int, size: int) -> bool:
    """Say whether the same bytes stand in both places."""
    for place in range(size):  # noqa: SIM110 - compiled code has no all()
        if one[at + place] != other[there + place]:
            return False
    return True


@compiled
def null_end(data: Bytes, at: int) -> int:
    """Go over ``null``."""
    is_null = data[at + 1] == _U and data[at + 2] == _L and data[at + 3] == _L
    return at + 4 if is_null else -1


@compiled
def integer(data: Bytes, at: int) -> tuple[int, int]:
    """Read a whole number; return it and where the next token begins."""
    negative = data[at] == _MINUS
    begin = at + 1 if negative else at
    at = digits_end(data, begin)
    size = at - begin
    if size == 0 or size > _MAX_DIGITS or (size > 1 and data[begin] == _ZERO):
        return 0, -1
    value = decimal(data, begin, at)
    return -value if negative else value, at


@compiled
def digits_end(data: Bytes, at: int) -> int:
    """Go over digits, if there are any."""
    while _ZERO <= data[at] <= _ZERO + 9:
        at += 1
    return at


@compiled
def decimal(data: Bytes, begin: int, end: int) -> int:
    """Read digits; -1 where there is anything else."""
    value = 0
    for at in range(begin, end):
        digit = data[at] - _ZERO
        if digit < 0 or digit > 9:
            return -1
        value = value * 10 + digit
    return value


@compiled
def number_end(data: Bytes, at: int) -> int:
    """Go over a number without an exponent."""
    begin = at + 1 if data[at] == _MINUS else at
    at = digits_end(data, begin)
    if at == begin or (at - begin > 1 and data[begin] == _ZERO):
        return -1
    if data[at] != _POINT:
        return at
    end = digits_end(data, at + 1)
    return end if end > at + 1 else -1


@compiled
def tags_end(data: Bytes, at: int) -> int:
    """Go over an object of strings without escapes."""
    if data[at] != _OPEN:
        return -1
    at = skip(data, at + 1)
    if data[at] == _CLOSE:
        return at + 1
    while True:
        for closing in (_COLON, _COMMA):
            _, end, after = string(data, at)
            if end + 1 != after:
                return -1
            at = skip(data, after)
            if closing == _COMMA and data[at] == _CLOSE:
                return at + 1
            if data[at] != closing:
                return -1
            at = skip(data, at + 1)


@compiled
def string(data: Bytes, at: int) -> tuple[int, int, int]:
    """Read a string."""
    if data[at] != _QUOTE:
        return _NONE
    begin = at + 1
    at = begin
    while True:
        at = _plain_end(data, at)
        if data[at] == _QUOTE:
            return begin, at, at + 1
        if data[at] == _BACKSLASH:
            return _escaped(data, begin, at)
        size = _sequence(data, at)
        if size == 0:
            return _NONE
        at += size


@compiled
def _plain_end(data: Bytes, at: int) -> int:
    """Go over what stands for itself; by an unsigned index, for a signed one might count from the end."""
    place, one = unsigned(at), unsigned(1)
    while _IS_PLAIN[data[place]]:
        place += one
    end: int = signed(place)
    return end


@compiled
def _sequence(data: Bytes, at: int) -> int:
    """Return how many bytes the character has, which is not ASCII; 0 where it is not UTF-8.

    *Source*: The Unicode Standard, table 3-7: shortest forms only, no surrogates, nothing beyond U+10FFFF.
    """
    first, second = data[at], data[at + 1]  # the first may also be a control character
    size = 2 if 0xC2 <= first <= 0xDF else 3 if 0xE0 <= first <= 0xEF else 4 if 0xF0 <= first <= 0xF4 else 0
    if (first == 0xE0 and second < 0xA0) or (first == 0xED and second > 0x9F):
        return 0
    if (first == 0xF0 and second < 0x90) or (first == 0xF4 and second > 0x8F):
        return 0
    for place in range(at + 1, at + size):
        if data[place] >> 6 != 0b10:
            return 0
    return size


@compiled
def _escaped(data: Bytes, begin: int, at: int) -> tuple[int, int, int]:
    """Read on where a string has its first escape; what it means takes its place, and is never longer."""
    end = at
    while data[at] != _QUOTE:
        if data[at] < _SPACE:
            return _NONE
        if data[at] == _BACKSLASH:
            end, at = _unescaped(data, end, at)
            if at < 0:
                return _NONE
        else:
            size = 1 if data[at] < 128 else _sequence(data, at)
            if size == 0:
                return _NONE
            for place in range(size):
                data[end + place] = data[at + place]
            end, at = end + size, at + size
    return begin, end, at + 1


@compiled
def _unescaped(data: Bytes, end: int, at: int) -> tuple[int, int]:
    """Write the character of one escape at ``end``; return where the text ends now, and where it is read on."""
    letter = data[at + 1]
    if letter == _U:
        return _coded(data, end, at + 2)
    meaning = 0
    for known, character in ((34, 34), (92, 92), (47, 47), (98, 8), (102, 12), (110, 10), (114, 13), (116, 9)):
        if letter == known:
            meaning = character
    if meaning == 0:
        return 0, -1
    data[end] = meaning
    return end + 1, at + 2


@compiled
def _coded(data: Bytes, end: int, at: int) -> tuple[int, int]:
    """Write the character of four hexadecimal digits in UTF-8; surrogates are left to pydantic."""
    code = 0
    for place in range(at, at + 4):
        digit = hexadecimal(data[place])
        if digit < 0:
            return 0, -1
        code = code * 16 + digit
    if 0xD800 <= code <= 0xDFFF:
        return 0, -1
    if code < 0x80:
        data[end] = code
        return end + 1, at + 4
    if code < 0x800:
        data[end], data[end + 1] = 0xC0 | code >> 6, 0x80 | code & 0x3F
        return end + 2, at + 4
    data[end], data[end + 1], data[end + 2] = 0xE0 | code >> 12, 0x80 | code >> 6 & 0x3F, 0x80 | code & 0x3F
    return end + 3, at + 4


@compiled
def hexadecimal(byte: int) -> int:
    """Read a digit; -1 where it is none."""
    digit: int = _HEXADECIMAL[byte]
    return digit
