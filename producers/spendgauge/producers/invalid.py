"""Why is an event refused? One sentence that names the field, and never repeats text that a caller put in by mistake.

A prompt passed in an unknown field must not end up in a log: values are quoted only
where they are numbers or short and in a field of their own.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError

from spendgauge.schemas import SpendgaugeError

__all__ = ["InvalidEventError", "InvalidRow", "reason_for"]

_MAX_NAMED: Final = 3
_MAX_CHARS: Final = 400
_MAX_QUOTED: Final = 40
_MAY_HOLD_TEXT: Final = (str, bytes, list, tuple, dict, set)


class InvalidEventError(SpendgaugeError):
    """An event breaks a rule of ``UsageEvent``."""


@dataclass(frozen=True, slots=True)
class InvalidRow:
    """A row that was not sent: where it stood in what was given, and why."""

    index: int
    reason: str
    fields: Mapping[str, Any] | bytes


def reason_for(error: ValidationError) -> str:
    """Say in one sentence what is wrong with an event; the first three faults are named."""
    faults = error.errors(include_url=False, include_context=False)
    named = "; ".join(_sentence(fault) for fault in faults[:_MAX_NAMED])
    more = len(faults) - _MAX_NAMED
    return named[:_MAX_CHARS] + (f"; and {more} more" if more > 0 else "")


def _sentence(fault: Any) -> str:
    name = str(fault["loc"][0])[:64] if fault["loc"] else "the event"
    if fault["type"] == "extra_forbidden":
        return f"{name} is not a field of a usage event"
    if fault["type"] == "missing":
        return f"{name} must be given"
    given, message = fault["input"], fault["msg"].removeprefix("Value error, ")
    if isinstance(given, _MAY_HOLD_TEXT) and not (isinstance(given, str) and len(given) <= _MAX_QUOTED):
        _, _, rule = message.rpartition(" is not ")
        message = f"a {type(given).__name__} of length {len(given)} is not {rule}" if rule != message else message
    if message[1:2].islower():
        message = message[0].lower() + message[1:]
    return f"{name}{_shown(given)}: {message}"


def _shown(given: Any) -> str:
    if type(given) is int and given.bit_length() > 128:
        return f" of {given.bit_length()} bits"  # Python refuses to write very long integers
    return f" {given}" if type(given) in (int, float, bool) else ""
