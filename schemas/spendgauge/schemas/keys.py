"""How is a key named in a sentence?"""

from collections.abc import Sequence
from typing import Final

__all__ = ["named_key"]

_MOST: Final = 200


def named_key(series: str, key: Sequence[str]) -> str:
    """Name a key of a series: ``feature 'chat', model 'gpt-5'``; cut where it is long."""
    if series == "total":
        return "Everything together"
    names = series.split("+")
    fits = len(names) == len(key)
    pairs = (f"{name} {value!r}" for name, value in zip(names, key, strict=False))
    named = ", ".join(pairs) if fits else " ".join([series, *key])
    return named if len(named) <= _MOST else f"{named[:_MOST]}..."
