"""Which time is a question about? A half-open period, [since, until), on the clock of the callers."""

from dataclasses import dataclass
from typing import Final

__all__ = ["ALWAYS", "DAY_MS", "HOUR_MS", "Period", "last_days"]

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 86_400_000


@dataclass(frozen=True)
class Period:
    """[since_ms, until_ms), milliseconds since 1970 UTC; None is open."""

    since_ms: int | None = None
    until_ms: int | None = None

    def condition(self, column: str) -> tuple[str, dict[str, int]]:
        """Write the period as a SQL condition on a ``DateTime64`` column, and its parameters."""
        bounds = {"since_ms": (">=", self.since_ms), "until_ms": ("<", self.until_ms)}
        given = {name: value for name, (_, value) in bounds.items() if value is not None}
        tests = [f"{column} {bounds[name][0]} fromUnixTimestamp64Milli({{{name}:Int64}}, 'UTC')" for name in given]
        return " AND ".join(tests) or "1", given

    def whole_hours(self) -> "Period":
        """Widen the beginning and narrow the end to whole hours."""
        since, until = (
            bound if bound is None else bound // HOUR_MS * HOUR_MS for bound in (self.since_ms, self.until_ms)
        )
        return Period(since, until)


ALWAYS: Final = Period()


def last_days(days: float, *, now_ms: int) -> Period:
    """Give the period of so many days before now, open to the future."""
    return Period(now_ms - round(days * DAY_MS))
