"""Which keys have an account? Those that anything configured asks for; ``*`` stands for each value that is given."""

from collections.abc import Iterable

from spendgauge.streams.ledger.account import AccountKey
from spendgauge.streams.ledger.patterns import ANY, Patterns

__all__ = ["Covers"]


class Covers:
    """A set of patterns, and what is left out of it."""

    def __init__(self, patterns: Iterable[AccountKey] = (), *, without: Iterable[AccountKey] = ()) -> None:
        """``patterns``: series, and a value or ``*`` for each dimension."""
        self.patterns = frozenset(patterns)
        self.series = frozenset(series for series, _ in self.patterns)
        self._named = Patterns((one, one) for one in self.patterns)
        self._left_out = Patterns((one, one) for one in without)

    def __contains__(self, key: AccountKey) -> bool:
        """Whether a key is covered."""
        return bool(self._named.of(key)) and not self._left_out.of(key)

    def meet(self, other: "Covers") -> "Covers":
        """Cover what both sets of patterns name."""
        return Covers(both for a in self.patterns for b in other._named.near(a) if (both := _meet(a, b)))

    def beyond(self, other: "Covers") -> "Covers":
        """Cover what these patterns name and the others do not."""
        return Covers((one for one in self.patterns if not other._named.of(one)), without=other.patterns)


def _meet(a: AccountKey, b: AccountKey) -> AccountKey | None:
    """Name the keys that both name, of two patterns that are near each other; None: there are none."""
    both = [y if x == ANY else x for x, y in zip(a[1], b[1], strict=True)]
    none = any("" in pair and ANY in pair for pair in zip(a[1], b[1], strict=True))
    return None if none else (a[0], tuple(both))
