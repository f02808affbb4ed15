"""Which patterns name a key? Found without a scan, however many there are: by series and by the places they name."""

from collections.abc import Iterable, Iterator
from operator import itemgetter
from typing import Generic, TypeVar

from spendgauge.streams.ledger.account import AccountKey

__all__ = ["ANY", "Patterns"]

ANY = "*"
"""Stands for each value that is given."""

T = TypeVar("T")

_Places = tuple[int, ...]
_Found = dict[tuple[str, ...], list[tuple[int, T]]]
"""What is there for the values at some places, each with its number."""


class Patterns(Generic[T]):
    """What was put under patterns, to be found by keys, or by other patterns."""

    def __init__(self, items: Iterable[tuple[AccountKey, T]]) -> None:
        """``items``: a pattern and what is found by it."""
        self._shapes: dict[tuple[str, int], dict[_Places, _Found[T]]] = {}
        self._narrowed: dict[tuple[str, int, _Places, _Places], _Found[T]] = {}
        """Of patterns that name some places, by the values at fewer of them."""
        for number, ((series, values), item) in enumerate(items):
            named = tuple(place for place, value in enumerate(values) if value != ANY)
            shape = self._shapes.setdefault((series, len(values)), {}).setdefault(named, {})
            shape.setdefault(_at(named, values), []).append((number, item))

    def of(self, key: AccountKey) -> list[T]:
        """Give what names a key, in the order it was put in; what is not given (empty) is no ``*``."""
        series, values = key
        found: list[tuple[int, T]] = []
        for named, by_values in self._shapes.get((series, len(values)), {}).items():
            there = by_values.get(_at(named, values))
            if there and all(value or place in named for place, value in enumerate(values)):
                found += there
        return [item for _, item in sorted(found, key=itemgetter(0))]

    def near(self, pattern: AccountKey) -> Iterator[T]:
        """Give what names the same values as a pattern wherever both name one."""
        series, values = pattern
        for named in self._shapes.get((series, len(values)), {}):
            both = tuple(place for place in named if values[place] != ANY)
            for _, item in self._by(series, len(values), named, both).get(_at(both, values), ()):
                yield item

    def _by(self, series: str, length: int, named: _Places, both: _Places) -> _Found[T]:
        shape = self._shapes[series, length][named]
        if both == named:
            return shape
        found = self._narrowed.get((series, length, named, both))
        if found is None:
            found = self._narrowed[series, length, named, both] = {}
            for values, items in shape.items():
                by_place = dict(zip(named, values, strict=True))
                found.setdefault(tuple(by_place[place] for place in both), []).extend(items)
        return found


def _at(places: _Places, values: tuple[str, ...]) -> tuple[str, ...]:
    return tuple([values[place] for place in places])
