"""When is a message that did not get through tried again? Later each time, and not all at once; pure."""

from dataclasses import dataclass
from typing import Final, Literal

__all__ = ["GIVE_UP_MS", "Outcome", "Try", "after_failure"]

_FIRST_MS: Final = 1_000
_LONGEST_MS: Final = 300_000
_MOST_ASKED_MS: Final = 3_600_000
"""Where a service asks for more time than this, it is asked again all the same."""

GIVE_UP_MS: Final = 86_400_000
"""When nobody heard it for a day, that an incident is over is not told any more. That it is up is, until it is over."""


@dataclass(frozen=True)
class Outcome:
    """What came of one attempt."""

    fate: Literal["sent", "refused", "failed"]
    """``refused``: to say it again would not help. ``failed``: it may."""
    reason: str = ""
    """Part of a sentence, without any secret."""
    retry_after_seconds: float | None = None
    """How long the service wants to be left alone."""


@dataclass(frozen=True)
class Try:
    """How often a message was tried, and when it may be again."""

    attempts: int
    not_before_ms: int
    begun_ms: int


def after_failure(before: Try | None, *, now_ms: int, chance: float, asked_seconds: float | None = None) -> Try:
    """Wait twice as long each time, 1 s to 5 min, of that between half and all; never less than was asked for.

    *Units*: ``chance`` is in [0, 1). *Source*: Amazon Builders' Library, "Timeouts, retries and backoff with jitter".
    """
    attempts = before.attempts + 1 if before else 1
    wait_ms = min(_FIRST_MS * 2 ** min(attempts - 1, 20), _LONGEST_MS) * (1 + chance) / 2
    asked_ms = min((asked_seconds or 0) * 1000, _MOST_ASKED_MS)
    return Try(attempts, now_ms + round(max(wait_ms, asked_ms)), before.begun_ms if before else now_ms)
