"""What does the simulated company run? Workloads, read from the table that ships beside this module."""

import tomllib
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any, Final

__all__ = ["HOURS", "Workload", "World", "load_world"]

HOURS: Final = {
    "office": (2, 1, 1, 1, 1, 2, 4, 8, 14, 20, 22, 19, 15, 19, 23, 24, 21, 16, 11, 8, 6, 5, 4, 3),
    "night": (20, 22, 24, 22, 18, 10, 4, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 3, 5, 8, 12, 16),
    "flat": (9, 8, 8, 7, 7, 8, 9, 10, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 10, 10, 9),
}
"""How load spreads over the hours of a day, each hour relative to the others. Half of the tenants of a real service
have no daily rhythm."""


@dataclass(frozen=True)
class Workload:
    """One service's feature on one model; ``*_tokens``, ``turns`` and ``gap_seconds`` are medians."""

    service: str
    feature: str
    provider: str
    model: str
    share: float
    first_tokens: float
    output_tokens: float
    instances: int = 1
    team: str = ""
    environment: str = "production"
    agent: str = ""
    request_model: str = ""
    operation: str = "chat"
    service_tier: str = "standard"
    usage_convention: str = "exclusive"
    hours: str = "office"
    turns: float = 1.0
    turns_sigma: float = 0.0
    gap_seconds: float = 10.0
    first_sigma: float = 0.6
    growth_tokens: float = 0.0
    growth_sigma: float = 0.9
    context_limit: int = 200_000
    output_sigma: float = 0.9
    cache_seconds: int = 0
    reasoning_share: float = 0.0
    audio_tokens: float = 0.0
    searches: float = 0.0
    quality: float = 0.0
    errors: float = 0.008
    entity: str = ""
    runaway: bool = False


@dataclass(frozen=True)
class World:
    """All workloads and the customers they serve."""

    workloads: tuple[Workload, ...]
    tenants: tuple[str, ...] = field(default=("acme",))

    @property
    def runaway(self) -> int:
        """The index of the workload whose agent runs away once in the day."""
        return next(index for index, workload in enumerate(self.workloads) if workload.runaway)


def load_world() -> World:
    """Read ``simulation.toml``."""
    table: dict[str, Any] = tomllib.loads(files(__package__).joinpath("simulation.toml").read_text("utf-8"))
    return World(tuple(Workload(**row) for row in table["workload"]), tuple(table["tenants"]))
