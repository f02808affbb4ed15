"""Which limits does a call fall under? Found without a scan, however many there are.

Limits of one dimension are found by its value, those for each value of it are a list. Limits of several are found, of
each series, by each set of places for which limits name a value.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from spendgauge.producers.quotas.pending import Pending
from spendgauge.schemas.quotas import QuotaLimit, amount_of

__all__ = ["Index", "Matches", "Quota", "Standing"]

_Key = tuple[str, ...]
_Places = tuple[int, ...]
_ANY = "*"


class Standing(NamedTuple):
    """What one key has spent."""

    spent: int
    period_start_ms: int
    resets_at_ms: int | None
    as_of_ms: int
    partition: int

    def is_over(self, over_ms: int) -> bool:
        """Whether it says as much as none does: its period ended up to then, or a rolling one has forgotten all."""
        return not self.spent if self.resets_at_ms is None else self.resets_at_ms <= over_ms


class Quota:
    """One limit, with what is spent and held of it."""

    __slots__ = ("hard", "limit", "lowest", "pending", "soft", "standings", "unit", "warned")

    def __init__(self, limit: QuotaLimit, standings: dict[_Key, Standing], pending: dict[_Key, Pending]) -> None:
        self.limit, self.unit = limit, limit.unit
        self.soft = None if limit.soft is None else amount_of(limit.soft, limit.unit)
        self.hard = None if limit.hard is None else amount_of(limit.hard, limit.unit)
        self.lowest = min(amount for amount in (self.soft, self.hard) if amount is not None)
        """Of its limits: below it nothing is to be said."""
        self.standings = standings
        self.pending = pending
        self.warned: dict[_Key, int] = {}
        """Until when nobody is told again that a key is beyond the soft limit."""


Matches = list[tuple[Quota, _Key]]


class _Single(NamedTuple):
    """The limits of a series of one dimension."""

    dimension: str
    of_each: list[Quota]
    by_value: dict[str, list[Quota]]


class _Several(NamedTuple):
    """The limits of a series of several dimensions that name values at the same places."""

    dimensions: _Key
    named: _Places
    free: _Places
    by_values: dict[_Key, list[Quota]]


class Index:
    """Limits, put where calls find them."""

    def __init__(self, quotas: Iterable[Quota]) -> None:
        self._total: Matches = []
        self._singles: dict[str, _Single] = {}
        self._several: dict[tuple[_Key, _Places], _Several] = {}
        for quota in quotas:
            self._add(quota)

    def matching(self, who: Mapping[str, str]) -> Matches:
        """Find them, each with the key that the call falls under it as; what is not given has no limit for each."""
        found, get = self._total.copy(), who.get
        for dimension, of_each, by_value in self._singles.values():
            value = get(dimension, "")
            if value:
                for quota in of_each:
                    found.append((quota, (value,)))
            if by_value:
                for quota in by_value.get(value, ()):
                    found.append((quota, (value,)))
        for dimensions, named, free, by_values in self._several.values():
            key = tuple([get(dimension, "") for dimension in dimensions])
            if "" not in key or "" not in [key[place] for place in free]:
                for quota in by_values.get(tuple([key[place] for place in named]), ()):
                    found.append((quota, key))
        return found

    def _add(self, quota: Quota) -> None:
        series, key = quota.limit.series, quota.limit.key
        if series == "total":
            self._total.append((quota, ()))
        elif len(key) == 1:
            single = self._singles.setdefault(series, _Single(series, [], {}))
            (single.of_each if key[0] == _ANY else single.by_value.setdefault(key[0], [])).append(quota)
        else:
            named = tuple(place for place, value in enumerate(key) if value != _ANY)
            free = tuple(place for place, value in enumerate(key) if value == _ANY)
            dimensions = tuple(series.split("+"))
            several = self._several.setdefault((dimensions, named), _Several(dimensions, named, free, {}))
            several.by_values.setdefault(tuple(key[place] for place in named), []).append(quota)
