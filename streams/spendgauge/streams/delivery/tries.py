"""What came of an attempt, and how long is waited after a failure? Longer each time, and not for all the same; pure."""

from dataclasses import dataclass
from typing import Final, Literal

__all__ = ["GIVE_UP_MS", "Outcome", "pause_ms"]

_FIRST_MS: Final = 1_000
_LONGEST_MS: Final = 60_000
"""One attempt a minute loads nobody, and a page waits no longer when the channel works again."""

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
    perhaps: bool = False
    """Whether a message that failed may have arrived all the same: nobody answered in time."""


def pause_ms(failures: int, *, chance: float, asked_seconds: float | None = None) -> int:
    """Wait twice as long each time, 1 s to 1 min, of that between half and all; never less than was asked for.

    *Units*: ``chance`` is in [0, 1). *Source*: Amazon Builders' Library, "Timeouts, retries and backoff with jitter".
    """
    wait_ms = min(_FIRST_MS << min(failures - 1, 20), _LONGEST_MS) * (1 + chance) / 2
    asked_ms = min((asked_seconds or 0) * 1000, _MOST_ASKED_MS)
    return round(max(wait_ms, asked_ms))
