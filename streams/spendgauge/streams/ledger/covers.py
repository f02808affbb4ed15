"""Which keys have an account? Those that anything configured asks for; ``*`` stands for each value that is given."""

from collections.abc import Collection, Iterable

from spendgauge.streams.ledger.account import AccountKey

__all__ = ["Covers", "matches"]


def matches(pattern: AccountKey, key: AccountKey) -> bool:
    """Whether a key is one of those that a pattern names; what is not given (empty) is no ``*``."""
    if pattern[0] != key[0] or len(pattern[1]) != len(key[1]):
        return False
    return all(ours == theirs or (ours == "*" and theirs) for ours, theirs in zip(pattern[1], key[1], strict=True))


class Covers:
    """A set of patterns."""

    def __init__(self, patterns: Iterable[AccountKey]) -> None:
        """``patterns``: series, and a value or ``*`` for each dimension."""
        self.patterns = frozenset(patterns)
        self.series: Collection[str] = frozenset(series for series, _ in self.patterns)

    def __contains__(self, key: AccountKey) -> bool:
        """Whether a key is covered."""
        return any(matches(pattern, key) for pattern in self.patterns)
