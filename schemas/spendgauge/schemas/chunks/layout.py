"""How are the model's rules laid out for the scanner? As arrays, one entry a field."""

from itertools import count
from typing import Final

import numpy as np
import numpy.typing as npt

from spendgauge.schemas.chunks import scanner
from spendgauge.schemas.chunks.rules import RULES, SIGNED, FieldRule
from spendgauge.schemas.chunks.slow import MAX_FUTURE_MS, MAX_PAST_MS
from spendgauge.schemas.compiled import Numbers, interpreted
from spendgauge.schemas.events import MAX_EVENT_BYTES
from spendgauge.schemas.fields import EARLIEST, LATEST

__all__ = ["FIELDS", "LIMITS", "NO_TAGS", "NUMBERS", "TEXTS"]

NO_TAGS: Final = "{}"
"""What stands in the column of tags where an event has none."""

_KINDS: Final = {
    **dict.fromkeys(("event_id", "adjusts"), scanner.ID),
    **dict.fromkeys(("occurred_at", "started_at"), scanner.TIME),
    "reported_cost_usd": scanner.USD,
}
_KINDS_BY_TYPE: Final = {
    "string": scanner.TEXT,
    "integer": scanner.INTEGER,
    "number": scanner.NUMBER,
    "object": scanner.TAGS,
}


def _kind(rule: FieldRule) -> int:
    return _KINDS.get(rule.name) or (scanner.CHOICE if rule.choices else _KINDS_BY_TYPE[rule.kind])


def _is_number(rule: FieldRule) -> bool:
    return _kind(rule) in {scanner.TIME, scanner.USD, scanner.INTEGER}


TEXTS: Final = tuple(name for name, rule in RULES.items() if not _is_number(rule))
"""The fields that are read as text, in the order of their columns."""

NUMBERS: Final = tuple(name for name, rule in RULES.items() if _is_number(rule))
"""The fields that are read as whole numbers, in the order of their columns."""

LIMITS: Final = np.array([MAX_EVENT_BYTES, MAX_PAST_MS, MAX_FUTURE_MS])


def _view(text: str) -> tuple[int, int]:
    """Write a short text as a string view holds it."""
    data = text.encode()
    if len(data) > 12:
        raise AssertionError(f"{text!r} does not fit into a string view itself")
    padded = len(data).to_bytes(4, "little") + data.ljust(12, b"\0")
    return int.from_bytes(padded[:8], "little", signed=True), int.from_bytes(padded[8:], "little", signed=True)


def _bounds(rule: FieldRule) -> tuple[int, int]:
    """Return the least and the greatest value or length; for times the end is open."""
    if _kind(rule) == scanner.TIME:
        return int(EARLIEST.timestamp()) * 1000, int(LATEST.timestamp()) * 1000
    if rule.kind == "integer" and rule.minimum is not None and rule.maximum is not None:
        return int(rule.minimum), int(rule.maximum)
    return rule.min_length, rule.max_length or 0


def _hashes(names: list[bytes]) -> Numbers:
    """Build the smallest table in which each name has a place of its own."""
    name_hash = interpreted(scanner.name_hash)
    for bits in count(6):
        found = {name_hash(name, 0, len(name)) % 2**bits: number for number, name in enumerate(names)}
        if len(found) == len(names):
            table = np.full(2**bits, -1)
            table[list(found)] = list(found.values())
            return table
    raise AssertionError("two fields have one name")


def _rules(columns: dict[str, int]) -> npt.NDArray[np.void]:
    """Describe each field; ``columns``: each one's column among those of its type."""
    rules = np.zeros(len(RULES), scanner.RULE)
    choice_at = 0
    for number, rule in enumerate(RULES.values()):
        low, high = _bounds(rule)
        choices_end, name_size = choice_at + len(rule.choices), len(rule.name.encode())
        described = (
            _kind(rule),
            columns[rule.name],
            rule.nullable,
            low,
            high,
            choice_at,
            choices_end,
            name_size,
        )
        rules[number] = described
        choice_at = choices_end
    return rules


def _name_words(names: list[bytes]) -> npt.NDArray[np.uint64]:
    """Write each name and the quote behind it as words and their masks."""
    size = 8 * scanner.NAME_WORDS
    quoted = [name + b'"' for name in names]
    texts = b"".join(name.ljust(size, b"\0") for name in quoted)
    masks = b"".join((b"\xff" * len(name)).ljust(size, b"\0") for name in quoted)
    if len(texts) != len(names) * size:
        raise AssertionError(f"a field's name has more than {size - 1} bytes")
    return np.stack([np.frombuffer(part, "<u8").reshape(len(names), -1) for part in (texts, masks)], axis=2)


def _fields() -> scanner.Fields:
    columns = {name: slot for group in (TEXTS, NUMBERS) for slot, name in enumerate(group)}
    names = [name.encode() for name in RULES]
    return scanner.Fields(
        rules=_rules(columns),
        names=_name_words(names),
        by_hash=_hashes(names),
        choices=np.array([_view(choice) for rule in RULES.values() for choice in rule.choices]),
        required=sum(int(rule.required) << number for number, rule in enumerate(RULES.values())),
        default_texts=np.array([_view(NO_TAGS if name == "tags" else RULES[name].default or "") for name in TEXTS]),
        default_numbers=np.array([RULES[name].default or 0 for name in NUMBERS]),
        signed=np.array([columns[name] for name in (*SIGNED, "reported_cost_usd")]),
        roles=scanner.Roles(
            occurred_at=columns["occurred_at"],
            reasoning=columns["reasoning_tokens"],
            output=columns["output_tokens"],
            seq=list(RULES).index("seq"),
            source=columns["source"],
            kind=columns["kind"],
            event_id=columns["event_id"],
            adjusts=columns["adjusts"],
        ),
    )


FIELDS: Final = _fields()
