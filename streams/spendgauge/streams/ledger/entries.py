"""What is kept of a ledger? Entries of ``cost.watch``; a key is compact JSON, and there are three kinds:

* ``["ledger"]``: a ``KeptLedger``: up to which block of each source of lines nothing can change any more, and how far
  the partition was judged.
* ``["ledger","<series>",[<key>],<day>,<hour>]``: a ``KeptHour``, its minutes *and* the contributions that are in them.
  Both are one record, so what is counted and what is known to be counted never differ.
* ``["ledger","<series>",[<key>],<day>]``: a ``KeptDay``, the hours of a past day, packed.

A day is packed in rounds. The hours that were kept in an earlier round are in it; those of its own round came later and
are added. So it does not matter which of them are removed when a worker dies.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Final

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from spendgauge.schemas.wire import compact_json
from spendgauge.streams.judging.models import KeptModel
from spendgauge.streams.ledger.account import DAY_HOURS, DAY_SECONDS, AccountKey
from spendgauge.streams.ledger.sums import QUARTER_SECONDS, Sums

__all__ = [
    "LEDGER_KEY",
    "KeptBlock",
    "KeptDay",
    "KeptFold",
    "KeptHour",
    "KeptLedger",
    "LedgerEntries",
    "day_key",
    "hour_key",
    "read_ledger",
]

LEDGER_KEY: Final = b'["ledger"]'

_Stretch = tuple[int, int, int]


class KeptFold(KeptModel):
    """Up to where the lines of one source partition are folded into the sums."""

    stream: str
    partition: int
    block: int


class KeptLedger(KeptModel):
    """How far one partition is."""

    closed: int | None = Field(default=None, description="The last minute that was judged.")
    covers: tuple[tuple[str, tuple[str, ...]], ...] = Field(
        default=(), description="The keys that are counted: series and values, * for each."
    )
    folded: tuple[KeptFold, ...] = Field(
        default=(),
        description="All entries have all lines of these blocks and of those before; they are not read again.",
    )


class KeptBlock(KeptModel):
    """What one block has added to an hour."""

    stream: str
    partition: int
    block: int
    panes: tuple[tuple[int, int, int, int], ...] = Field(description="Second in the hour, rank, picodollars, tokens.")


class KeptHour(KeptModel):
    """An hour that may change."""

    round: int = 0
    minutes: tuple[_Stretch, ...] = Field(default=(), description="Second in the hour, picodollars, tokens.")
    blocks: tuple[KeptBlock, ...] = ()


class KeptDay(KeptModel):
    """A packed day."""

    round: Annotated[int, Field(ge=1)]
    quarters: tuple[_Stretch, ...] = Field(description="Number in the day, picodollars, tokens.")

    def sums(self) -> Sums:
        """Add it up."""
        told = ((quarter * QUARTER_SECONDS, cost, tokens) for quarter, cost, tokens in self.quarters)
        return Sums(told, seconds=DAY_SECONDS)


@dataclass(frozen=True)
class LedgerEntries:
    """What is kept of one partition."""

    ledger: KeptLedger | None = None
    hours: Mapping[tuple[AccountKey, int], KeptHour] = field(default_factory=dict)
    """By key and hour since 1970 UTC, those that are in no packed day."""
    days: Mapping[tuple[AccountKey, int], KeptDay] = field(default_factory=dict)
    obsolete: tuple[bytes, ...] = ()
    """Keys of hours that are in a packed day, and were not removed."""


_KEY: Final[TypeAdapter[tuple[str, str, tuple[str, ...], int] | tuple[str, str, tuple[str, ...], int, int]]] = (
    TypeAdapter(
        tuple[str, str, tuple[str, ...], int] | tuple[str, str, tuple[str, ...], int, int],
        config=ConfigDict(strict=True),
    )
)


def day_key(key: AccountKey, day: int) -> bytes:
    """Write the key of a day."""
    return compact_json(["ledger", key[0], key[1], day]).encode()


def hour_key(key: AccountKey, hour: int) -> bytes:
    """Write the key of an hour, counted since 1970 UTC."""
    return compact_json(["ledger", key[0], key[1], *divmod(hour, DAY_HOURS)]).encode()


def read_ledger(kept: Mapping[bytes, bytes]) -> LedgerEntries:
    """Read what is a ledger's; what cannot be read was written by another version."""
    hours: dict[tuple[AccountKey, int], KeptHour] = {}
    days: dict[tuple[AccountKey, int], KeptDay] = {}
    for raw, value in kept.items():
        if not raw.startswith(b'["ledger",'):
            continue
        try:
            _, series, key, day, *hour = _KEY.validate_json(raw)
            if hour:
                hours[(series, key), day * DAY_HOURS + hour[0]] = KeptHour.model_validate_json(value)
            else:
                days[(series, key), day] = KeptDay.model_validate_json(value)
        except ValidationError:
            continue
    packed = {at for at, hour in hours.items() if _round_of(at, days) > hour.round}
    left = {at: hour for at, hour in hours.items() if at not in packed}
    return LedgerEntries(_read_own(kept.get(LEDGER_KEY)), left, days, tuple(hour_key(*at) for at in sorted(packed)))


def _round_of(at: tuple[AccountKey, int], days: Mapping[tuple[AccountKey, int], KeptDay]) -> int:
    day = days.get((at[0], at[1] // DAY_HOURS))
    return day.round if day else 0


def _read_own(value: bytes | None) -> KeptLedger | None:
    try:
        return None if value is None else KeptLedger.model_validate_json(value)
    except ValidationError:
        return None
