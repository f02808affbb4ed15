"""Has metering itself stopped? Events are sent, and for minutes nobody has rated any: no other rule sees that."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Final

import polars as pl
from pydantic import Field

from spendgauge.schemas.moments import utc_time
from spendgauge.streams.rules.rule import LEVELS_SCHEMA, Line, Rule, Seen, level

__all__ = ["MeteringStalled"]

_TENTH_MS: Final = 6_000


class MeteringStalled(Rule):
    """``warn`` and ``page`` are minutes in which records of a partition wait and none is rated. Built in; said once."""

    kind: ClassVar[str] = "metering_stalled"
    deployment_wide: ClassVar[bool] = True

    page: Line = Decimal(5)
    resolve_minutes: Annotated[int, Field(ge=1, le=1440, strict=True)] = 1
    cooldown_minutes: Annotated[int, Field(ge=0, le=10_080, strict=True)] = 10

    @property
    def by_clock(self) -> bool:
        """No minute of events ends while nothing is rated."""
        return True

    @property
    def places(self) -> int:
        """Tenths of a minute."""
        return 1

    def judge(self, seen: Seen) -> pl.DataFrame:
        """Compare with the lines how long the worst partition stands."""
        worst = max(seen.standstills, key=lambda one: (one.stood_ms, -one.partition), default=None)
        if worst is None or worst.stood_ms < _TENTH_MS:
            return LEVELS_SCHEMA.to_frame()
        warn, page = self.lines
        stuck = [one for one in seen.standstills if one.stood_ms // _TENTH_MS >= (warn or page or 0)]
        row = {
            "key": "[]",
            "tenths": worst.stood_ms // _TENTH_MS,
            "onset": worst.since_ms // 60_000,
            "since_ms": worst.since_ms,
            "waiting": sum(one.waiting for one in stuck),
            "partitions": len(stuck),
        }
        return pl.DataFrame([row]).with_columns(level(pl.col("tenths"), warn=warn, page=page))

    def say(self, _who: str, row: Mapping[str, Any]) -> str:
        """Say since when, how much waits, what that means, and what to do."""
        since = utc_time(row["since_ms"])
        where, waiting = _counted(row["partitions"], "partition"), _counted(row["waiting"], "record")
        return (
            f"Metering has stopped: since {since:%Y-%m-%d %H:%M:%S} UTC nothing in {where} of usage.events was rated, "
            f"and at least {waiting} wait; no spike, budget, rule or quota knows what they cost. Start the "
            "rates workers, or see in their log and /readyz why they stand still; nothing is lost as long as Kafka "
            "keeps it."
        )

    def over(self, _who: str) -> str:
        """Say what happens with what has waited."""
        return "Metering goes on: what is sent is rated again, and what has waited is judged as it comes."


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'s' * (number != 1)}"
