"""How does a series of numbers look in a terminal? As bars of eighths of a character."""

from collections.abc import Sequence
from typing import Final

__all__ = ["bars", "spread"]

_EIGHTHS: Final = " ▁▂▃▄▅▆▇█"


def bars(values: Sequence[float], *, height: int) -> list[str]:
    """Draw one bar a value, as ``height`` lines of text, the top line first; the largest value fills the height.

    A value above zero is never drawn as nothing. *shape*: lines have as many characters as there are values.
    """
    top = max(values, default=0)
    levels = [max(round(value / top * height * 8), 1) if value > 0 else 0 for value in values] if top > 0 else []
    return [
        "".join(_EIGHTHS[min(max(level - 8 * row, 0), 8)] for level in levels or [0] * len(values))
        for row in reversed(range(height))
    ]


def spread(points: Sequence[tuple[int, float]], *, start: int, end: int, columns: int) -> list[float]:
    """Add up points (position, value) in equal parts of [start, end), and give the mean per unit of position.

    *shape*: ``columns`` numbers; a point outside counts nowhere.
    """
    sums = [0.0] * columns
    width = (end - start) / columns
    for position, value in points:
        if start <= position < end:
            sums[min(int((position - start) / width), columns - 1)] += value
    return [total / width for total in sums]
