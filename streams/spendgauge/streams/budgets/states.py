"""What is kept of what was said? Entries of ``cost.watch``, ``["budget","<name>","<series>",[<key>]]``.

Each holds what was said of one budget of one key and, until it is written again, the alerts that said it: neither is
there without the other, so whoever takes over sends what was kept and not sent, and says nothing twice. The entry
``["quotas"]`` names the quotas that ``cost.quotas`` was told of, so that those which are gone can be removed.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Final, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from spendgauge.schemas.alerts import Alert, SentSeverity
from spendgauge.schemas.wire import compact_json
from spendgauge.streams.budgets.budget import Budget
from spendgauge.streams.budgets.lines import Reached
from spendgauge.streams.budgets.watch import BudgetRule, Fire, Watched
from spendgauge.streams.judging.models import KeptModel
from spendgauge.streams.ledger import AccountKey

__all__ = [
    "QUOTAS_KEY",
    "KeptFire",
    "KeptQuotas",
    "KeptWatch",
    "StateKey",
    "as_stamped",
    "keep",
    "read_quotas",
    "read_states",
    "stamp",
    "state_key",
]

QUOTAS_KEY: Final = b'["quotas"]'

StateKey = tuple[str, AccountKey]
"""A budget's name and a key."""


class KeptFire(KeptModel):
    """An alarm that is up."""

    rule: BudgetRule
    line: int = 0
    since: int
    severity: SentSeverity
    cause: tuple[int, int] | None = None


class KeptWatch(KeptModel):
    """What was said of one budget of one key."""

    stamp: str = Field(description="The budget as it was then: another one begins anew.")
    judged: int = Field(description="The minute that it was said in, since 1970 UTC.")
    period_start: int
    line: int = 0
    anew: int = Field(default=0, description="Since when it is judged anew: an edit ended what was up before.")
    fires: tuple[KeptFire, ...] = ()
    alerts: tuple[Alert, ...] = Field(default=(), description="What was said last; to be sent if it was not.")

    @property
    def watched(self) -> Watched:
        """What to go on from."""
        fires = {(fire.rule, fire.line): Fire(fire.since, fire.severity, fire.cause) for fire in self.fires}
        return Watched(Reached(self.period_start, self.line), fires, self.anew)


class KeptQuotas(KeptModel):
    """Which quotas were told."""

    names: tuple[str, ...] = ()


_KEY: Final[TypeAdapter[tuple[Literal["budget"], str, str, tuple[str, ...]]]] = TypeAdapter(
    tuple[Literal["budget"], str, str, tuple[str, ...]], config=ConfigDict(strict=True)
)


def stamp(budget: Budget) -> str:
    """Write down a budget: what is said of it holds for this one only, whatever its lines."""
    return budget.model_dump_json(exclude={"name", "lines"}, exclude_defaults=True)


def as_stamped(name: str, text: str) -> Budget | None:
    """Read a budget that was written down; None: another version wrote it."""
    try:
        return Budget.model_validate({**json.loads(text), "name": name})
    except ValueError:
        return None


def keep(budget: Budget, watched: Watched, *, judged: int, alerts: Iterable[Alert]) -> KeptWatch:
    """Write what was said."""
    return KeptWatch(
        stamp=stamp(budget),
        judged=judged,
        period_start=watched.reached.period_start,
        line=watched.reached.line,
        anew=watched.anew,
        fires=tuple(
            KeptFire(rule=rule, line=line, since=fire.since, severity=fire.severity, cause=fire.cause)
            for (rule, line), fire in watched.fires.items()
        ),
        alerts=tuple(alerts),
    )


def state_key(name: StateKey) -> bytes:
    """Write the key of an entry."""
    budget, (series, key) = name
    return compact_json(["budget", budget, series, key]).encode()


def read_states(kept: Mapping[bytes, bytes]) -> dict[StateKey, KeptWatch]:
    """Read what is a budget's; what cannot be read was written by another version."""
    found: dict[StateKey, KeptWatch] = {}
    for raw, value in kept.items():
        if not raw.startswith(b'["budget",'):
            continue
        try:
            _, name, series, key = _KEY.validate_json(raw)
            found[name, (series, key)] = KeptWatch.model_validate_json(value)
        except ValidationError:
            continue
    return found


def read_quotas(kept: Mapping[bytes, bytes]) -> tuple[str, ...]:
    """Read which quotas were told."""
    try:
        return KeptQuotas.model_validate_json(kept.get(QUOTAS_KEY, b"{}")).names
    except ValidationError:
        return ()
