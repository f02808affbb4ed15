"""What does each call of a simulated session use? Contexts that grow and are cached, answers, pauses, failures.

Pure arithmetic over a random generator. The shapes follow real traces: a coding agent starts at some 25,000 tokens
and grows by some 400 a call up to its limit, where the context is compacted; most pauses are short, a few are long
enough for the cache to expire; answers are lognormal with a heavy tail.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from spendgauge.deploy.simulation.sessions import Floats, Ints, Sessions, attribute
from spendgauge.deploy.simulation.world import World

__all__ = ["CANCELLED", "ERROR", "OK", "unfold"]

OK, ERROR, CANCELLED = 0, 1, 2

_CANCELLED_RATE: Final = 0.004
_LONG_PAUSES: Final = 0.02
_LONG_PAUSE_FACTOR: Final = 60.0
_OUTPUT_LIMIT: Final = 64_000
_CACHE_GRAIN: Final = 128
"""Providers that cache on their own do so in steps of 128 tokens."""
_FRESH_TOKENS: Final = 4
"""What stands after the last cache mark of a prompt."""

_Booleans = NDArray[np.bool_]


@dataclass(frozen=True)
class _Calls:
    """Where each call stands: its workload, whether it opens its session, and the row at which its session opens."""

    world: World
    workload: Ints
    opening: _Booleans
    first: Ints

    def __len__(self) -> int:
        return len(self.workload)

    def of(self, name: str) -> NDArray[Any]:
        """Look up each call's workload's attribute."""
        return attribute(self.world, name)[self.workload]


def unfold(rng: np.random.Generator, world: World, sessions: Sessions) -> pl.DataFrame:
    """Unfold sessions into their calls: a row a call, all numbers, a session's calls together and in order.

    ``session`` and ``workload`` are indices, ``at_ms`` is the answer's end within the day, ``status`` is ``OK``,
    ``ERROR`` or ``CANCELLED``; token counts and latencies are named as in an event.
    """
    session = np.repeat(np.arange(len(sessions.turns)), sessions.turns)
    first = np.repeat(np.cumsum(sessions.turns) - sessions.turns, sessions.turns)
    calls = _Calls(world, sessions.workload[session], np.arange(len(session)) == first, first)
    gaps = _gaps(rng, calls, sessions.gap_seconds[session])
    context = _contexts(rng, calls)
    status = _statuses(rng, calls)
    repeats = np.concatenate([[False], status == ERROR])[:-1] & ~calls.opening
    columns: dict[str, NDArray[Any]] = {
        "session": session,
        "workload": calls.workload,
        "at_ms": (sessions.start_ms[session] + _running_sum(gaps, first) * 1000).astype(np.int64),
        "status": status,
        "attempt": np.where(repeats, 2, 1),
        **_as_delivered(
            rng, {**_prompt(calls, context, np.where(repeats, np.inf, gaps)), **_answer(rng, calls)}, status
        ),
    }
    columns |= _latencies(rng, columns["output_tokens"], context)
    return pl.DataFrame(columns).with_columns(quality_score=_quality(rng, calls))


def _lognormal(rng: np.random.Generator, median: NDArray[Any], sigma: NDArray[Any] | float) -> Floats:
    return np.asarray(median * np.exp(sigma * rng.standard_normal(len(median))), dtype=np.float64)


def _running_sum(values: Floats, first: Ints) -> Floats:
    """Sum within each session, up to and with each call."""
    total = np.cumsum(values)
    return np.asarray(total - total[first] + values[first], dtype=np.float64)


def _gaps(rng: np.random.Generator, calls: _Calls, median: Floats) -> Floats:
    """Draw the seconds since the session's previous call; 0 for its first."""
    gaps = _lognormal(rng, median, 1.0)
    gaps = np.where(rng.random(len(gaps)) < _LONG_PAUSES, gaps * _LONG_PAUSE_FACTOR, gaps)
    return np.where(calls.opening, 0.0, gaps)


def _contexts(rng: np.random.Generator, calls: _Calls) -> Ints:
    """Let each session's prompt grow from its first size; at the limit it is compacted and grows again."""
    limit = calls.of("context_limit")
    start = _lognormal(rng, calls.of("first_tokens"), calls.of("first_sigma"))
    start = np.clip(start, 1, limit * 0.6)[calls.first]
    growth = np.where(calls.opening, 0.0, _lognormal(rng, calls.of("growth_tokens"), calls.of("growth_sigma")))
    grown = _running_sum(growth, calls.first)
    return np.asarray(start + grown % (limit - start), dtype=np.int64)


def _prompt(calls: _Calls, context: Ints, gaps: Floats) -> dict[str, Ints]:
    """Split each prompt into disjoint leaves: what the cache still holds, what is written to it, the rest.

    ``gaps`` is the age of the cached prompt in seconds; a failed call has left nothing in the cache.
    """
    explicit = calls.of("usage_convention") == "exclusive"
    lifetime = calls.of("cache_seconds")
    before = np.where(calls.opening, 0, np.concatenate([[0], context])[:-1])
    alive = (gaps < lifetime) & (before <= context)
    held = np.where(explicit, before, before // _CACHE_GRAIN * _CACHE_GRAIN)
    cachable = np.maximum(context - _FRESH_TOKENS, 0)
    read = np.where(alive, np.minimum(held, cachable), 0)
    written = np.where(explicit & (lifetime > 0), cachable - read, 0)
    return {
        "input_tokens": context - read - written,
        "cache_read_tokens": read,
        "cache_write_5m_tokens": np.where(lifetime == 3600, 0, written),
        "cache_write_1h_tokens": np.where(lifetime == 3600, written, 0),
    }


def _answer(rng: np.random.Generator, calls: _Calls) -> dict[str, Ints]:
    output = _lognormal(rng, calls.of("output_tokens"), calls.of("output_sigma"))
    output = np.clip(np.rint(output), 0, _OUTPUT_LIMIT)
    audio = _lognormal(rng, calls.of("audio_tokens"), 0.8)
    answer = {
        "output_tokens": output,
        "input_audio_tokens": audio,
        "output_audio_tokens": audio * 0.6,
        "reasoning_tokens": calls.of("reasoning_share") * rng.random(len(calls)) * output,
        "web_search_requests": rng.poisson(calls.of("searches")),
    }
    return {name: counts.astype(np.int64) for name, counts in answer.items()}


def _statuses(rng: np.random.Generator, calls: _Calls) -> Ints:
    drawn, failing = rng.random(len(calls)), calls.of("errors")
    return np.where(drawn < failing, ERROR, np.where(drawn < failing + _CANCELLED_RATE, CANCELLED, OK))


def _as_delivered(rng: np.random.Generator, counts: dict[str, Ints], status: Ints) -> dict[str, Ints]:
    """A failed call uses nothing; a cancelled one is billed for what had been written until then."""
    fraction = np.where(status == CANCELLED, rng.random(len(status)), 1.0)
    cut_short = {"output_tokens", "output_audio_tokens", "reasoning_tokens"}
    return {
        name: np.where(status == ERROR, 0, (drawn * fraction).astype(np.int64) if name in cut_short else drawn)
        for name, drawn in counts.items()
    }


def _latencies(rng: np.random.Generator, output: Ints, context: Ints) -> dict[str, Ints]:
    """Draw the time to the whole answer and to its first token."""
    ttft = _lognormal(rng, 420 + context / 60, 0.4)
    rest = output * _lognormal(rng, np.full(len(output), 11.0), 0.3)
    return {"latency_ms": np.rint(ttft + rest).astype(np.int64), "ttft_ms": np.rint(ttft).astype(np.int64)}


def _quality(rng: np.random.Generator, calls: _Calls) -> pl.Series:
    """Draw a score where the workload is scored, null elsewhere."""
    usual = calls.of("quality")
    drawn = np.clip(usual + 0.08 * rng.standard_normal(len(calls)), 0, 1).round(2)
    return pl.Series(np.where(usual > 0, drawn, np.nan), nan_to_null=True)
