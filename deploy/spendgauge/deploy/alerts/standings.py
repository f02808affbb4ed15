"""How do the quotas stand? What ``cost.quotas`` says of each limit, and of everybody who has spent of it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from spendgauge.deploy.tail.lines import key_words, moment, rfc3339
from spendgauge.schemas import ConfigurationError, KafkaSettings
from spendgauge.schemas.compacted import read_compacted
from spendgauge.schemas.money import usd_rounded
from spendgauge.schemas.quotas import QuotaLimit, QuotaStanding, amount_of, amount_text, read_quota

__all__ = ["Row", "as_json", "as_text", "read_quotas"]

_MOST_SHOWN: Final = 20
_TITLES: Final = ("QUOTA", "WHOSE", "SPENT", "SOFT", "HARD", "RESETS (UTC)", "STATE")
_AMOUNTS: Final = slice(2, 5)
_WIDEST: Final = 36


@dataclass(frozen=True)
class Row:
    """A limit, and who has spent how much of it; nobody (None): no key has spent anything yet."""

    limit: QuotaLimit
    standing: QuotaStanding | None
    now_ms: int

    @property
    def spent(self) -> int:
        """In picodollars or tokens; nothing once its period is over."""
        return amount_of(self.standing.spent, self.limit.unit) if self.standing and not self._is_over else 0

    @property
    def state(self) -> str:
        """The highest limit that is reached: ok, soft or hard."""
        return self.standing.state if self.standing and not self._is_over else "ok"

    @property
    def resets_at_ms(self) -> int | None:
        """When its period ends, as far as that was said; None: not said, or a rolling one."""
        standing = self.standing
        return None if standing is None or standing.resets_at is None else standing.resets_at * 1000

    @property
    def per_mille(self) -> int:
        """How much of the lowest limit that it has not reached, or else of the highest, is spent."""
        limits = sorted(amount_of(text, self.limit.unit) for text in (self.limit.soft, self.limit.hard) if text)
        nearest = next((limit for limit in limits if limit > self.spent), limits[-1])
        return self.spent * 1000 // max(nearest, 1)

    @property
    def _is_over(self) -> bool:
        return self.resets_at_ms is not None and self.resets_at_ms <= self.now_ms


def read_quotas(settings: KafkaSettings, *, now_ms: int, name: str | None = None) -> list[Row]:
    """Read all quotas, or one: those that have reached a limit first, then those nearest to one.

    Raises ``UnavailableError`` where the broker does not answer, ``ConfigurationError`` where there is no such quota.
    """
    found = [read_quota(value) for value in read_compacted(settings, settings.topics.quotas).values()]
    limits = {one.name: one for one in found if isinstance(one, QuotaLimit)}
    if name is not None and name not in limits:
        known = ", ".join(sorted(limits)) or "none"
        raise ConfigurationError(f"there is no quota {name!r}; there are: {known}")
    wanted = limits if name is None else {name: limits[name]}
    standings = [one for one in found if isinstance(one, QuotaStanding) and one.name in wanted]
    begun = {one.name for one in standings}
    rows = [Row(wanted[one.name], one, now_ms) for one in standings]
    rows += [Row(limit, None, now_ms) for limit in wanted.values() if limit.name not in begun]
    return sorted(rows, key=_order)


def as_text(rows: Sequence[Row]) -> Iterator[str]:
    """Show quotas to people."""
    if not rows:
        yield "there are no quotas; write some into budgets.toml"
        return
    lines = [_TITLES, *(_cells(row) for row in rows[:_MOST_SHOWN])]
    widths = [min(max(map(len, column)), _WIDEST) for column in zip(*lines, strict=True)]
    for line in lines:
        yield "  ".join(_padded(line, widths)).rstrip()
    if len(rows) > _MOST_SHOWN:
        yield f"and {len(rows) - _MOST_SHOWN:,} more; --json lists all"


def as_json(row: Row) -> dict[str, Any]:
    """Give all that is known; amounts as exact texts, times as RFC 3339."""
    limit, resets = row.limit, row.resets_at_ms
    return {
        "quota": limit.name,
        "series": limit.series,
        "key": row.standing.key if row.standing else limit.key,
        "unit": limit.unit,
        "spent": amount_text(row.spent, limit.unit),
        "soft": limit.soft,
        "hard": limit.hard,
        "period": limit.period,
        "resets_at": None if resets is None else rfc3339(resets),
        "state": row.state,
    }


def _cells(row: Row) -> tuple[str, ...]:
    limit, resets = row.limit, row.resets_at_ms
    amounts = (_amount(amount_text(row.spent, limit.unit)), _amount(limit.soft), _amount(limit.hard))
    when = "rolling" if limit.period == "rolling" else "" if resets is None else moment(resets)
    return limit.name, _whose(row), *amounts, when, row.state


def _padded(cells: Sequence[str], widths: Sequence[int]) -> Iterator[str]:
    right = range(len(cells))[_AMOUNTS]
    for place, (cell, width) in enumerate(zip(cells, widths, strict=True)):
        shown = cell if len(cell) <= width else f"{cell[: width - 3]}..."
        yield shown.rjust(width) if place in right else shown.ljust(width)


def _order(row: Row) -> tuple[int, int, str, tuple[str, ...]]:
    key = row.standing.key if row.standing else ()
    return -("ok", "soft", "hard").index(row.state), -row.per_mille, row.limit.name, key


def _whose(row: Row) -> str:
    return key_words(row.limit.series, row.standing.key if row.standing else row.limit.key)


def _amount(text: str | None) -> str:
    """Write an amount for people: USD, or whole tokens."""
    if text is None:
        return "-"
    return usd_rounded(Decimal(text)) if "." in text else f"{int(text):,}"
