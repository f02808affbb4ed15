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
    name = ".".join(str(part)[:64] for part in fault["loc"]) or "the event"
    if fault["type"] == "extra_forbidden":
        return f"{name} is not a field of a usage event"
    if fault["type"] == "missing":
        return f"{name} must be given"
    given, message = fault["input"], fault["msg"].removeprefix("Value error, ")
    if isinstance(given, str) and len(given) > _MAX_QUOTED:
        message = message.replace(repr(given), f"a text of {len(given)} characters")
    if message[1:2].islower():
        message = message[0].lower() + message[1:]
    shown = f" {given}" if type(given) in (int, float, bool) else ""
    return f"{name}{shown}: {message}"
