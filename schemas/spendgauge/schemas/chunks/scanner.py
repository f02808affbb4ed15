"""Is a line a usage event, and what are its values? A scanner that reads each byte once.

It applies the model's rules on the way, as ``layout`` has them. What it accepts, pydantic accepts with the same values;
what it does not know (a number of more than 18 digits, a name given twice, a pair of surrogates) it leaves, and
pydantic decides. No rule is a constant here: what was compiled is kept, and would not notice another one.
"""

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from spendgauge.schemas.chunks.tokens import integer, is_same, null_end, number_end, skip, string, tags_end, word
from spendgauge.schemas.chunks.values import is_id, length_of, milliseconds, picodollars, view_of
from spendgauge.schemas.compiled import Bytes, Numbers, compiled, inlined, kept

__all__ = [
    "CHOICE",
    "ID",
    "INTEGER",
    "NUMBER",
    "TAGS",
    "TEXT",
    "TIME",
    "USD",
    "Columns",
    "Fields",
    "Records",
    "Roles",
    "name_hash",
    "scan",
]

TEXT, CHOICE, ID, TIME, USD, INTEGER, NUMBER, TAGS = range(8)
"""How a field's value is written."""

NAME_WORDS: Final = 3
"""A name and the quote behind it take no more than so many words of eight bytes."""

READ_BEYOND: Final = 8 * NAME_WORDS
"""How many bytes must stand behind the last record, newlines: they may be looked at, together with those before."""

_NEWLINE: Final = 10
_SPACE: Final = 32
_QUOTE: Final = 34
_COMMA: Final = 44
_COLON: Final = 58
_N: Final = 110
_OPEN: Final = 123
_CLOSE: Final = 125
_ID_BYTES: Final = 36


RULE: Final = np.dtype(
    [
        ("kind", np.int64),
        ("slot", np.int64),  # its column among those of its type
        ("nullable", np.int64),
        ("low", np.int64),  # the least value, or length in characters
        ("high", np.int64),
        ("first_choice", np.int64),
        ("end_of_choices", np.int64),
        ("name_size", np.int64),
    ]
)
"""What the scanner knows of a field."""


class Roles(NamedTuple):
    """The columns that are compared with each other; ``seq`` is the field itself."""

    occurred_at: int
    reasoning: int
    output: int
    seq: int
    source: int
    kind: int
    event_id: int
    adjusts: int


class Fields(NamedTuple):
    """The model's rules, one entry a field."""

    rules: npt.NDArray[np.void]
    """As ``RULE`` has it."""
    names: npt.NDArray[np.uint64]
    """[field, word, 2]: each name and the quote behind it as words, and which bits of them count."""
    by_hash: Numbers
    """The field whose name has this hash, or -1."""
    choices: Numbers
    """The string views of all choices."""
    required: int
    """One bit for each field that must be given."""
    default_texts: Numbers
    default_numbers: Numbers
    signed: Numbers
    """The columns of numbers that only an adjustment may have below zero."""
    roles: Roles


class Records(NamedTuple):
    """What is to be read."""

    data: Bytes
    """All records, each with a newline behind it, and ``READ_BEYOND`` more behind the last. Escapes and upper case are
    resolved in place."""
    ends: Numbers
    """Where each record ends, its newline included."""
    times_ms: Numbers
    """When each was received."""
    limits: Numbers
    """The most bytes of a line, the most milliseconds before and after ``times_ms``."""


class Columns(NamedTuple):
    """What was read; its arrays have room for as many rows as there are lines."""

    texts: Numbers
    """Arrow's string views: [column, row, 2]."""
    numbers: Numbers
    """[column, row]."""
    given: Numbers
    """One bit for each field that has a value."""
    place: Numbers
    line: Numbers
    follower: Numbers
    """Which field came after each field the last time: a guess that is nearly always right."""
    left_place: Numbers
    left_line: Numbers
    """The lines that were left to pydantic."""


@kept
def scan(records: Records, fields: Fields, columns: Columns) -> tuple[int, int]:
    """Read all lines; return how many rows there are, and how many lines were left."""
    data = records.data
    row = left = begin = 0
    for place in range(len(records.ends)):
        line = 0
        while begin < records.ends[place]:
            end = _line_end(data, begin)
            at = skip(data, begin)
            if at < end:
                fits = end - begin <= records.limits[0] and _event(data, at, row, fields, columns) == end
                if fits and _is_timely(columns.numbers[fields.roles.occurred_at, row], place, records):
                    columns.place[row], columns.line[row] = place, line
                    row += 1
                else:
                    columns.left_place[left], columns.left_line[left] = place, line
                    left += 1
            begin, line = end + 1, line + 1
    return row, left


@compiled
def _line_end(data: Bytes, at: int) -> int:
    while data[at] != _NEWLINE:
        at += 1
    return at


@compiled
def _is_timely(time_ms: int, place: int, records: Records) -> bool:
    late_ms = records.times_ms[place] - time_ms
    is_timely: bool = -records.limits[2] <= late_ms <= records.limits[1]
    return is_timely


@inlined
def _event(data: Bytes, at: int, row: int, fields: Fields, columns: Columns) -> int:
    """Read one object into a row; return where the line ends."""
    if data[at] != _OPEN:
        return -1
    _set_defaults(row, fields, columns)
    seen = given = field = 0
    while data[at] != _CLOSE:
        before = field
        field, at = _name(data, skip(data, at + 1), columns.follower[before], fields)
        if at < 0 or seen >> field & 1:
            return -1
        columns.follower[before] = field
        seen |= 1 << field
        rule = fields.rules[field]
        if data[at] == _N and rule.nullable:
            at = null_end(data, at)
        else:
            given |= 1 << field
            at = _value(data, at, row, rule, fields, columns)
        if at < 0:
            return -1
        at = skip(data, at)
        if data[at] != _COMMA and data[at] != _CLOSE:
            return -1
    if seen & fields.required != fields.required or not _is_consistent(data, row, given, fields, columns):
        return -1
    columns.given[row] = given
    return skip(data, at + 1)


@inlined
def _set_defaults(row: int, fields: Fields, columns: Columns) -> None:
    for slot in range(len(fields.default_texts)):
        columns.texts[slot, row, 0] = fields.default_texts[slot, 0]
        columns.texts[slot, row, 1] = fields.default_texts[slot, 1]
    for slot in range(len(fields.default_numbers)):
        columns.numbers[slot, row] = fields.default_numbers[slot]


@inlined
def _name(data: Bytes, at: int, guess: int, fields: Fields) -> tuple[int, int]:
    """Read a name and its colon; return the field and where its value begins."""
    if data[at] != _QUOTE:
        return 0, -1
    field = guess
    if not _is_named(data, at + 1, fields.names[guess]):
        end = at + 1
        while data[end] != _QUOTE and data[end] >= _SPACE:
            end += 1
        field = fields.by_hash[name_hash(data, at + 1, end) & (len(fields.by_hash) - 1)]
        if field < 0 or not _is_named(data, at + 1, fields.names[field]):
            return 0, -1
    at = skip(data, at + fields.rules[field].name_size + 2)
    return field, skip(data, at + 1) if data[at] == _COLON else -1


@compiled
def _is_named(data: Bytes, at: int, name: npt.NDArray[np.uint64]) -> bool:
    """Compare a name and the quote behind it, a word at a time."""
    for place in range(NAME_WORDS):  # noqa: SIM110 - compiled code has no all()
        if word(data, at + 8 * place, 8) & name[place, 1] != name[place, 0]:
            return False
    return True


@compiled
def name_hash(data: Bytes, begin: int, end: int) -> int:
    """Hash a name so that those of the model have different hashes modulo a power of two."""
    size = end - begin
    value: int = size * 37 + data[begin] * 37**2 + data[end - 1] * 37**3 + data[begin + size * 3 // 5] * 37**4
    return value


@inlined
def _is_consistent(data: Bytes, row: int, given: int, fields: Fields, columns: Columns) -> bool:
    """Apply the rules that hold between fields."""
    roles, texts, numbers = fields.roles, columns.texts, columns.numbers
    if given >> roles.seq & 1 and texts[roles.source, row, 0] == 0:
        return False
    adjusts = texts[roles.adjusts, row, 0] != 0
    if texts[roles.kind, row, 0] != fields.default_texts[roles.kind, 0]:
        own, other = texts[roles.event_id, row, 1] >> 32, texts[roles.adjusts, row, 1] >> 32
        return adjusts and not is_same(data, own, data, other, _ID_BYTES)
    for column in fields.signed:
        if numbers[column, row] < 0:
            return False
    holds: bool = not adjusts and numbers[roles.reasoning, row] <= numbers[roles.output, row]
    return holds


@inlined
def _value(data: Bytes, at: int, row: int, rule: Any, fields: Fields, columns: Columns) -> int:
    """Read a field's value into its column; return where the next token begins."""
    if rule.kind == INTEGER:
        value, at = integer(data, at)
        columns.numbers[rule.slot, row] = value
        return at if rule.low <= value <= rule.high else -1
    if rule.kind == NUMBER:
        begin, at = at, number_end(data, at)
        end = at
    elif rule.kind == TAGS:
        begin, at = at, tags_end(data, at)
        end = at
    else:
        begin, end, at = string(data, at)
    if at < 0:
        return -1
    if rule.kind == TIME:
        value = milliseconds(data, begin, end)
        columns.numbers[rule.slot, row] = value
        return at if rule.low <= value < rule.high else -1
    if rule.kind == USD:
        fits, value = picodollars(data, begin, end)
        columns.numbers[rule.slot, row] = value
        return at if fits else -1
    if rule.kind == ID and not is_id(data, begin, end):
        return -1
    view = view_of(data, begin, end)
    columns.texts[rule.slot, row, 0], columns.texts[rule.slot, row, 1] = view
    return at if _is_allowed(data, begin, end, view, rule, fields.choices) else -1


@inlined
def _is_allowed(data: Bytes, begin: int, end: int, view: tuple[int, int], rule: Any, choices: Numbers) -> bool:
    """Apply the rules for a text or a choice."""
    if rule.kind == TEXT:
        size = end - begin
        fits: bool = rule.low <= size and (size <= rule.high or length_of(data, begin, end) <= rule.high)
        return fits
    if rule.kind == CHOICE:
        for choice in range(rule.first_choice, rule.end_of_choices):
            if choices[choice, 0] == view[0] and choices[choice, 1] == view[1]:
                return True
        return False
    return True
