"""What is judged of a minute? What each watched key cost, and how many tokens a model without a price wrote."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from spendgauge.streams.alerting.minutes import RecentMinutes
from spendgauge.streams.spikes import SpikeKey
from spendgauge.streams.spikes.decay import Integers

__all__ = ["MEASURES", "NAMED", "RULES", "WATCHED", "Amounts", "amounts"]

WATCHED: Final = ("total", "team", "provider+model", "feature", "agent", "user_id", "api_key_id")
"""The series whose keys are judged, where the plan has them with panes that a minute is a multiple of."""

NAMED: Final = ("feature+model", "session_id")
"""Those whose keys are not judged, but named where they rose with one that is."""

RULES: Final = ("spike", "token_spike")
"""What is judged: money, and the output tokens of models without a price."""

MEASURES: Final = ("requests", "unpriced", "output_tokens", "cost_picodollars")
"""What of a line this takes."""


@dataclass(frozen=True)
class Amounts:
    """What some keys did in a minute: picodollars (or output tokens), in how many requests.

    Never below zero: money that is given back is no traffic. Taken for some, a refund of 500 USD would make the usual
    swing so wide that a runaway is none beside it for a day.
    """

    keys: list[SpikeKey]
    amounts: Integers
    requests: Integers


def amounts(minutes: RecentMinutes, minute: int, *, again: bool = False) -> dict[str, Amounts]:
    """Say what each key that is judged did in a minute, by rule.

    ``again``: to correct what was said before, so models that have a price by now are named, with no tokens.
    """
    sums = minutes.sums(minute, minute)
    numbers = sums["number"].to_numpy()
    free = ((sums["unpriced"] > 0) & (sums["cost_picodollars"] == 0)).to_numpy()
    tokens: Integers = np.where(free, sums["output_tokens"].to_numpy(), 0)
    models = minutes.numbers.of(numbers, ["provider+model"]) & (free | again)
    return {
        RULES[0]: _of(minutes, sums, sums["cost_picodollars"].to_numpy(), minutes.numbers.of(numbers, WATCHED)),
        RULES[1]: _of(minutes, sums, tokens, models),
    }


def _of(minutes: RecentMinutes, sums: pl.DataFrame, own: Integers, wanted: npt.NDArray[np.bool_]) -> Amounts:
    found = np.flatnonzero(wanted)
    keys = [minutes.numbers.key(number) for number in sums["number"].to_numpy()[found].tolist()]
    return Amounts(keys, np.maximum(own[found], 0), sums["requests"].to_numpy()[found])
