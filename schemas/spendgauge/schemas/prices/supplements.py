"""What do we know that genai-prices does not say?

A packaged data file, each entry with its source and date: shares of the standard price for service tiers, the
one-hour cache write where it is missing, models that are free, names of providers.
"""

import tomllib
from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from fnmatch import fnmatchcase
from functools import cached_property
from hashlib import sha256
from importlib.resources import files
from typing import TypeVar

from pydantic import BaseModel, ConfigDict

from spendgauge.schemas.prices.units import TOKEN_PRICES

__all__ = ["Supplements", "file_version"]


def file_version(name: str, content: bytes) -> str:
    """Name a price file and its content: ``overrides.toml@1a2b3c4d``."""
    return f"{name}@{sha256(content).hexdigest()[:8]}"


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str
    checked: date


class _Alias(_Entry):
    name: str
    provider: str


class _Rule(_Entry):
    provider: str
    model: str

    def fits(self, provider_id: str, model_id: str) -> bool:
        return fnmatchcase(provider_id, self.provider) and fnmatchcase(model_id.lower(), self.model)


_RuleT = TypeVar("_RuleT", bound=_Rule)


class _Tier(_Rule):
    service_tier: str
    multiplier: Decimal
    prices: tuple[str, ...] = TOKEN_PRICES


class _Ratio(_Rule):
    price: str
    times: Decimal
    of: str
    beside: str


class Supplements(BaseModel):
    """The packaged additions. Names are the catalogue's ids; the first entry that fits is used."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: str
    alias: tuple[_Alias, ...]
    tier: tuple[_Tier, ...]
    ratio: tuple[_Ratio, ...]
    free: tuple[_Rule, ...]

    @classmethod
    def load(cls) -> "Supplements":
        """Read the packaged file."""
        content = (files(__package__) / "data" / "supplements.toml").read_bytes()
        return cls(version=file_version("supplements.toml", content), **tomllib.loads(content.decode()))

    @cached_property
    def aliases(self) -> dict[str, str]:
        """Provider names and the catalogue's ids for them."""
        return {alias.name: alias.provider for alias in self.alias}

    def completed(self, provider_id: str, model_id: str, prices: dict[str, Decimal]) -> dict[str, Decimal]:
        """Add what follows from the catalogue's prices: free models, and prices that are a multiple of another."""
        if not prices and _first(self.free, provider_id, model_id):
            return {"input": Decimal(0), "output": Decimal(0)}
        ratio = _first(self.ratio, provider_id, model_id)
        if ratio is None or ratio.price in prices or not {ratio.of, ratio.beside} <= prices.keys():
            return prices
        return {**prices, ratio.price: prices[ratio.of] * ratio.times}

    def tier_share(self, provider_id: str, model_id: str, service_tier: str) -> dict[str, Decimal] | None:
        """Say what each price is multiplied by in this tier; None where that is not known."""
        known = _first((t for t in self.tier if t.service_tier == service_tier), provider_id, model_id)
        return dict.fromkeys(known.prices, known.multiplier) if known else None


def _first(rules: Iterable[_RuleT], provider_id: str, model_id: str) -> _RuleT | None:
    return next((rule for rule in rules if rule.fits(provider_id, model_id)), None)
