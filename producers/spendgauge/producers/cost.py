"""What does one call cost? To the picodollar what the worker and the sink will say of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pydantic import Field, ValidationError

from spendgauge.producers.invalid import InvalidEventError, reason_for
from spendgauge.producers.tariffs import load_tariff
from spendgauge.schemas import SystemClock, UsageEvent
from spendgauge.schemas.moments import utc_time
from spendgauge.schemas.money import usd
from spendgauge.schemas.prices import Billable
from spendgauge.schemas.settings import EnvironmentSettings

if TYPE_CHECKING:
    from spendgauge.schemas.prices import Tariff

__all__ = ["CallCost", "Usage", "calculate_cost"]

Usage = Mapping[str, Any] | UsageEvent
"""Fields of a ``UsageEvent``, as ``emit`` takes them and adapters give them; or an event."""

_ANY_ID: Final = "00000000-0000-7000-8000-000000000001"


class _Environment(EnvironmentSettings):
    prices: Path | None = Field(default=None, description="A TOML file of your own prices, over the catalogue's.")


@dataclass(frozen=True, slots=True)
class CallCost:
    """What a call costs, and who says so; or why nobody knows."""

    usd: Decimal | None
    """Exact, with twelve decimals. None: unpriced, which is not zero."""
    price_version: str = ""
    """What priced it, as each row of the table has it; empty where unpriced."""
    unpriced_because: str = ""


def calculate_cost(
    model: str | None,
    usage: Usage | Sequence[Usage],
    *,
    provider: str | None = None,
    at: datetime | None = None,
    service_tier: str | None = None,
    prices: Path | str | None = None,
) -> CallCost:
    """Price one call: what it used, in disjoint leaves, at a model's prices.

    What is given wins over what the usage says itself; ``calculate_cost(None, usage)`` takes all from it. A list, as
    adapters give it, is one call: its sum, unpriced where one part is. ``provider``: by default the usage's own, or
    found by the model's name. ``at``: by default the usage's own time, or now. ``prices``: your price file, by default
    the one that ``SPENDGAUGE_PRICES`` names. The first call reads the prices, once for the process.

    Raises ``InvalidEventError`` where the usage breaks a rule of ``UsageEvent``, such as a field that it does not
    have, and ``PriceFileError`` where the price file cannot be used.
    """
    tariff = load_tariff(Path(prices) if prices is not None else _Environment.from_environment().prices)
    given = {"model": model, "provider": provider, "occurred_at": at, "service_tier": service_tier}
    return _sum(tariff, [Billable.of(_event(part, _known(given), tariff)) for part in _parts(usage)])


def _sum(tariff: "Tariff", parts: list[Billable]) -> CallCost:
    if not parts:
        return CallCost(None, unpriced_because="there is no usage to price")
    total, versions = 0, dict[str, None]()
    for part in parts:
        cost = tariff.cost(part)
        if cost is None:
            return CallCost(None, unpriced_because=tariff.unpriced_because(part))
        total += cost
        versions[tariff.price_version(part)] = None
    return CallCost(usd(total), ", ".join(versions))


def _parts(usage: Usage | Sequence[Usage]) -> list[Usage]:
    parts = list(usage) if isinstance(usage, list | tuple) else [usage]
    wrong = next((part for part in parts if not isinstance(part, Mapping | UsageEvent)), None)
    if wrong is not None:
        raise InvalidEventError(
            f"a {type(wrong).__name__} is no usage: give fields such as input_tokens, or what an adapter makes of the "
            "provider's answer, as in calculate_cost(None, anthropic_events(message))"
        )
    return parts  # type: ignore[return-value] # checked above, which mypy does not follow


def _event(usage: Usage, given: dict[str, Any], tariff: "Tariff") -> UsageEvent:
    own = _known(usage.model_dump(exclude_defaults=True) if isinstance(usage, UsageEvent) else usage)
    fields = {"event_id": _ANY_ID, "occurred_at": utc_time(SystemClock().now_ms())} | own | given
    if given.keys() >= {"model"} and own.get("model", given["model"]) != given["model"]:
        fields["provider"] = given.get("provider")  # another model than the usage's own: its provider says nothing
    if not fields.get("provider"):
        model = str(fields.get("model", ""))
        fields |= dict(zip(("provider", "model"), tariff.names(model) or ("unknown", model), strict=True))
    try:
        return UsageEvent.model_validate(fields)
    except ValidationError as error:
        raise InvalidEventError(reason_for(error)) from None


def _known(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what is None, which SDKs write where they do not know."""
    return {name: value for name, value in fields.items() if value is not None}
