"""Which agent runs away in a simulated day, when, and how fast does it spend?

One session of one agent that does not stop: many calls, placed so that each minute of it costs the same. The calls
themselves are drawn as all others are; only their times follow from their prices.
"""

import re
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Final, Self

import numpy as np
import polars as pl

from spendgauge.deploy.simulation.sessions import DAY_MS, Sessions
from spendgauge.deploy.simulation.turns import ERROR, unfold
from spendgauge.deploy.simulation.world import Workload, World, load_world
from spendgauge.schemas.errors import ConfigurationError
from spendgauge.schemas.money import PICODOLLARS_PER_USD, picodollars

if TYPE_CHECKING:
    from spendgauge.schemas.prices import PriceBook

__all__ = ["Runaway", "RunawayCalls", "draw_runaway_calls"]

_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_USUAL: Final = ("6", "5m", "10m")
"""USD a minute, after, for: enough for a page within two minutes, also of an agent that nobody knows yet."""

_LONGEST_CONTEXT: Final = 60_000
_FIRST_CALLS: Final = 256
_MOST_CALLS: Final = 1_000_000
_MOST_USD: Final = 10_000
_MS_A_MINUTE: Final = 60_000


@dataclass(frozen=True)
class Runaway:
    """What ``--runaway AGENT[:USD_A_MINUTE[:AFTER[:FOR]]]`` asks for."""

    agent: str
    picodollars_per_minute: int
    after_seconds: int
    for_seconds: int

    @classmethod
    def parse(cls, text: str, *, span_seconds: int = DAY_MS // 1000) -> Self:
        """Read the option; it must be over within the traffic's span.

        Raises ``ConfigurationError`` with one sentence.
        """
        agent, *given = (part.strip() for part in text.split(":"))
        if len(given) > len(_USUAL):
            raise ConfigurationError(f"--runaway {text!r} has too many parts; write AGENT:USD_A_MINUTE:AFTER:FOR")
        usd, after, lasting = (*given, *_USUAL[len(given) :])
        found = cls(_known(agent), _amount(usd), _seconds(after), _seconds(lasting))
        if found.for_seconds == 0 or found.after_seconds + found.for_seconds > span_seconds:
            raise ConfigurationError(
                f"--runaway {text!r} lasts {lasting} from {after} on, and must last some time and be over within "
                f"{span_seconds // 3600}h"
            )
        return found

    @property
    def workload(self) -> Workload:
        """What the agent usually does, in one conversation of many small calls rather than few large ones."""
        found = next(one for one in load_world().workloads if one.agent == self.agent)
        limit = min(found.context_limit, _LONGEST_CONTEXT)
        return replace(found, turns=max(found.turns, 2.0), context_limit=limit)


@dataclass(frozen=True)
class RunawayCalls:
    """What the agent does: the rows of ``unfold``, in the order of time, of the only workload of a world."""

    world: World
    calls: pl.DataFrame

    @classmethod
    def none(cls) -> Self:
        """Nobody runs away."""
        world = load_world()
        whole, broken = np.array([], np.int64), np.array([], np.float64)
        nothing = Sessions(whole, broken, turns=whole, gap_seconds=broken)
        return cls(world, unfold(np.random.default_rng(0), world, nothing))

    def of_day(self, day: int) -> Self:
        """Give those of the day with this number, 0 or more, in its own time."""
        at = pl.col("at_ms") - day * DAY_MS
        return replace(self, calls=self.calls.filter(at.is_between(0, DAY_MS - 1)).with_columns(at))


def draw_runaway_calls(runaway: Runaway, *, seed: int, book: "PriceBook", at_ms: int) -> RunawayCalls:
    """Draw the calls; the seed decides them. ``at_ms``: when the prices hold that they are placed by.

    Raises ``ConfigurationError`` where the agent's model has no price, or its calls are too cheap for the amount.
    """
    world = World((runaway.workload,), load_world().tenants)
    total = runaway.picodollars_per_minute * runaway.for_seconds // 60
    count = _FIRST_CALLS
    while (calls := _spending(runaway, world, count=count, seed=seed, book=book, at_ms=at_ms))["spent"][-1] < total:
        count *= 4
        if count > _MOST_CALLS:
            raise ConfigurationError(
                f"--runaway {runaway.agent!r} would make more than {_MOST_CALLS:,} calls to spend "
                f"{total // PICODOLLARS_PER_USD:,} USD; let it spend less"
            )
    passed = pl.col("spent").cast(pl.Int128) * _MS_A_MINUTE // runaway.picodollars_per_minute
    at = runaway.after_seconds * 1000 + passed.cast(pl.Int64)
    return RunawayCalls(world, calls.filter(pl.col("spent") < total).with_columns(at_ms=at).drop("spent"))


def _spending(runaway: Runaway, world: World, *, count: int, seed: int, book: "PriceBook", at_ms: int) -> pl.DataFrame:
    """Draw so many calls, and what they have cost together, each included."""
    rng = np.random.default_rng([seed, *runaway.agent.encode()])
    workload = world.workloads[0]
    one = Sessions(np.array([0]), np.array([0.0]), np.array([count]), np.array([workload.gap_seconds]))
    calls = unfold(rng, world, one)
    priced = book.price(
        calls.with_columns(
            provider=pl.lit(workload.provider),
            model=pl.lit(workload.model),
            service_tier=pl.lit(workload.service_tier),
            occurred_at_ms=pl.lit(at_ms, pl.Int64),
            kind=pl.lit("usage"),
            status=pl.when(pl.col("status") == ERROR).then(pl.lit("error")).otherwise(pl.lit("ok")),
        )
    )
    if priced["cost_picodollars"].null_count():
        raise ConfigurationError(
            f"--runaway {runaway.agent!r} calls {workload.model}, which has no known price; name one of "
            f"{', '.join(sorted(_agents() - {runaway.agent}))}"
        )
    return calls.with_columns(priced["cost_picodollars"].cum_sum().alias("spent"))


def _agents() -> set[str]:
    return {workload.agent for workload in load_world().workloads if workload.agent}


def _known(agent: str) -> str:
    if agent not in _agents():
        raise ConfigurationError(f"--runaway {agent!r} is no agent of the simulation: {', '.join(sorted(_agents()))}")
    return agent


def _amount(text: str) -> int:
    try:
        usd = Decimal(text)
    except InvalidOperation:
        usd = Decimal(0)
    if not (usd.is_finite() and Decimal("0.01") <= usd <= _MOST_USD):
        raise ConfigurationError(f"--runaway spends {text!r} USD a minute, and must spend 0.01 to {_MOST_USD:,}")
    return picodollars(round(usd, 12))


def _seconds(text: str) -> int:
    """Read a sum of durations, such as ``90s``, ``5m`` or ``10d14h``."""
    if not re.fullmatch(r"(\d{1,6}[smhd])+", text):
        raise ConfigurationError(f"--runaway says {text!r} for a time; write 90s, 5m, 2h or 1d12h")
    return sum(int(number) * _SECONDS[unit] for number, unit in re.findall(r"(\d+)([smhd])", text))
