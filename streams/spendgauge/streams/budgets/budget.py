"""Who may spend how much before somebody is told? One ``[[budget]]``."""

from functools import cached_property
from typing import Annotated, Self

from pydantic import Field, model_validator

from spendgauge.schemas.money import picodollars
from spendgauge.streams.budgets.scope import Scope, UsdAmount

__all__ = ["Budget"]


class Budget(Scope):
    """One ``[[budget]]``: for whom, how much, and from when to when."""

    usd: UsdAmount
    lines: tuple[Annotated[int, Field(ge=1, le=1000, strict=True)], ...] = (50, 80, 100)
    """Per cent of the budget at which something is said."""

    @cached_property
    def amount(self) -> int:
        """Picodollars."""
        return picodollars(self.usd)

    @model_validator(mode="after")
    def _rising(self) -> Self:
        if list(self.lines) != sorted(set(self.lines)):
            raise ValueError(f"lines {list(self.lines)} must rise, each once, such as [50, 80, 100]")
        return self
