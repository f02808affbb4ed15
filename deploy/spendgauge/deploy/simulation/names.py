"""Who makes the simulated calls? Hosts, customers, users, sessions, keys and the things worked on.

A session's names stay the same for all its calls. They depend on the run: another run is another day of other
sessions, for the same customers and users.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import polars as pl

from spendgauge.deploy.simulation.sessions import Ints, attribute
from spendgauge.deploy.simulation.world import World

__all__ = ["name_sessions", "pick"]

_USERS_PER_TENANT: Final = 60
_SESSIONS_PER_ENTITY: Final = 4
"""A submission goes through several agents, a ticket through several hands."""


def pick(values: Sequence[str], index: Ints) -> pl.Series:
    """Look up a text for each index."""
    return pl.Series(values, dtype=pl.String).gather(index)


def name_sessions(rng: np.random.Generator, world: World, workload: Ints) -> pl.DataFrame:
    """Name sessions, a row each, given their workloads' indices."""
    count = len(workload)
    tenant = _few_have_most(rng, count, len(world.tenants))
    user = _few_have_most(rng, count, _USERS_PER_TENANT)
    instance = (rng.random(count) * attribute(world, "instances")[workload]).astype(np.int64)
    services = pick(attribute(world, "service").tolist(), workload)
    tenants = pick(world.tenants, tenant)
    people = attribute(world, "hours")[workload] != "night"
    talks = attribute(world, "turns")[workload] > 1
    table = pl.DataFrame(
        {"service": services, "instance": instance, "tenant": tenants, "user": user + 1, "people": people}
    ).with_columns(
        pl.Series("session", _tokens_of(rng, count), dtype=pl.String), pl.Series("talks", talks, dtype=pl.Boolean)
    )
    return table.select(
        pl.format("{}-{}", "service", "instance").alias("host"),
        "tenant",
        pl.when("people").then(pl.format("{}/user-{}", "tenant", "user")).otherwise(pl.lit("")).alias("user_id"),
        pl.when("talks").then(pl.format("{}-{}", "service", "session")).otherwise(pl.lit("")).alias("session_id"),
        pl.format("key-{}-{}", "service", pl.col("instance") % 2).alias("api_key_id"),
        pl.Series("entity_id", _entities(rng, world, workload), dtype=pl.String),
    )


def _few_have_most(rng: np.random.Generator, count: int, choices: int) -> Ints:
    """Draw indices below ``choices``, the low ones far more often."""
    return np.asarray(rng.random(count) ** 2.5 * choices, dtype=np.int64)


def _tokens_of(rng: np.random.Generator, count: int) -> list[str]:
    return [f"{number:012x}" for number in rng.integers(0, 2**48, size=count).tolist()]


def _entities(rng: np.random.Generator, world: World, workload: Ints) -> list[str]:
    """Name what each session is for: of each kind there are a quarter as many things as sessions, or it is nothing."""
    prefixes, kind = np.unique(attribute(world, "entity")[workload], return_inverse=True)
    things = np.bincount(kind, minlength=len(prefixes)) // _SESSIONS_PER_ENTITY + 1
    names = _tokens_of(rng, int(things.max(initial=0)))
    chosen = (rng.random(len(workload)) * things[kind]).astype(np.int64).tolist()
    return [
        f"{prefix}-{names[at][:8]}" if prefix else ""
        for prefix, at in zip(prefixes[kind].tolist(), chosen, strict=True)
    ]
