"""Which keys have an account? Those that anything configured asks for; ``*`` stands for each value that is given."""

from collections.abc import Iterable

from spendgauge.streams.ledger.account import AccountKey

__all__ = ["Covers", "matches"]


def matches(pattern: AccountKey, key: AccountKey) -> bool:
    """Whether a key is one of those that a pattern names; what is not given (empty) is no ``*``."""
    if pattern[0] != key[0] or len(pattern[1]) != len(key[1]):
        return False
    return all(ours == theirs or (ours == "*" and theirs) for ours, theirs in zip(pattern[1], key[1], strict=True))


class Covers:
    """A set of patterns, and what is left out of it."""

    def __init__(self, patterns: Iterable[AccountKey] = (), *, without: Iterable[AccountKey] = ()) -> None:
        """``patterns``: series, and a value or ``*`` for each dimension."""
        self.patterns = frozenset(patterns)
        self.series = frozenset(series for series, _ in self.patterns)
        self._without = frozenset(without)

    def __contains__(self, key: AccountKey) -> bool:
        """Whether a key is covered."""
        return _any(self.patterns, key) and not _any(self._without, key)

    def meet(self, other: "Covers") -> "Covers":
        """Cover what both sets of patterns name."""
        return Covers(both for a in self.patterns for b in other.patterns if (both := _meet(a, b)))

    def beyond(self, other: "Covers") -> "Covers":
        """Cover what these patterns name and the others do not."""
        new = [one for one in self.patterns if not any(matches(pattern, one) for pattern in other.patterns)]
        return Covers(new, without=other.patterns)


def _any(patterns: Iterable[AccountKey], key: AccountKey) -> bool:
    return any(matches(pattern, key) for pattern in patterns)


def _meet(a: AccountKey, b: AccountKey) -> AccountKey | None:
    if a[0] != b[0] or len(a[1]) != len(b[1]):
        return None
    both = [x if y in {"*", x} else y if x == "*" and y else None for x, y in zip(a[1], b[1], strict=True)]
    values = tuple(value for value in both if value is not None)
    return (a[0], values) if len(values) == len(both) else None
