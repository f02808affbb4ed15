"""What does a provider that we play answer, and what does it say that it used?

A reply is either one JSON body or the events of a stream. Its counts follow from the request by a rule that anybody can
work out: a token is a word.
"""

from dataclasses import dataclass, field
from itertools import count
from typing import Any

__all__ = ["Reply", "next_number", "said", "words"]

SENTENCE = ["the", "quick", "brown", "fox", "jumps", "over", "the", "lazy", "dog", "and", "runs", "away"]

_numbers = count(1)


@dataclass(frozen=True)
class Reply:
    """What is answered: a body, or the events of a stream by name (empty where the protocol has none)."""

    usage: dict[str, Any]
    body: dict[str, Any] = field(default_factory=dict)
    events: tuple[tuple[str, dict[str, Any]], ...] = ()
    last: str = ""
    """What ends a stream, such as OpenAI's ``[DONE]``."""


def next_number() -> int:
    """Give a number that no other answer of this process has."""
    return next(_numbers)


def said(limit: object) -> list[str]:
    """Say a sentence of at most ``limit`` words; twelve where there is no limit."""
    return SENTENCE[: limit if isinstance(limit, int) else len(SENTENCE)]


def words(value: Any) -> int:
    """Count the words of a prompt in whatever shape it comes: a text, or texts within lists and objects."""
    if isinstance(value, str):
        return len(value.split())
    if isinstance(value, list):
        return sum(map(words, value))
    if isinstance(value, dict):
        return sum(words(value[name]) for name in ("content", "text", "input") if name in value)
    return 0
