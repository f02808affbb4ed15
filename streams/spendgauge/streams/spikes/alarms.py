"""When is an unusual minute an alarm, when is it worse, and when is it over?

                  2 minutes            2 minutes, worth more
    none ────────────────────▶ firing ────────────────────▶ firing, more severe
      ▲     (not in cooldown)    │
      └── cooldown ◀─────────────┘ calm for 10 minutes, or what caused it was taken back

An alarm that is up gets worse by what it costs, which need not be unusual anew: the record is the spike's own by then.
It is calm when its score is low and more than half of its excess is gone: the score alone falls within minutes,
because a spike widens the variance and sets the record that it is measured by. What stays high becomes usual within a
day or two, and is over then. A window that is unusual by one minute alone raises nothing: a single costly call stays in
the window for five minutes, and is not a spike for that.
"""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from spendgauge.streams.spikes.decay import Floats, Integers
from spendgauge.streams.spikes.parameters import SpikeParameters
from spendgauge.streams.spikes.state import Rows

__all__ = ["ESCALATED", "RAISED", "RESOLVED", "advance", "begin", "excess_since_onset", "finish"]

RAISED: Final = 1
ESCALATED: Final = 2
RESOLVED: Final = 3

_Bytes = npt.NDArray[np.uint8]

_MOST_SPENT: Final = 8 * 10**18
"""What is spent since onset stops counting there (8 million USD), rather than turn negative in 64 bits."""


def advance(
    rows: Rows,
    scores: Floats,
    worth: _Bytes,
    *,
    excess: Integers,
    high: npt.NDArray[np.bool_],
    parameters: SpikeParameters,
) -> _Bytes:
    """Move each row's alarm on by its minute, in place, and say what happened: 0, or one of the steps above.

    ``worth``: the level of the minute; ``excess``: of its window, above what is usual by now; ``high``: which
    minutes of the rows are. A resolved row keeps its level until ``finish``.
    """
    length = parameters.window_minutes
    wide = high[:, -length:].sum(axis=1) >= min(parameters.high_minutes, length)
    confirmed = np.where(wide, np.minimum(rows["previous"], worth), 0)
    firing = rows["level"] > 0
    rows["spent"] = np.where(firing, np.minimum(rows["spent"], _MOST_SPENT) + rows["costs"][:, -1], 0)
    quiet = (rows["minute"] <= rows["quiet_until"]) & (confirmed <= rows["quiet_level"])
    raised = ~firing & (confirmed > 0) & ~quiet
    escalated = firing & (confirmed > rows["level"])
    gone = 2 * excess < rows["excess"]
    rows["calm"] = np.where(firing & gone & (scores < parameters.resolve_score), rows["calm"] + 1, 0)
    resolved = firing & ~escalated & ((rows["calm"] >= parameters.resolve_minutes) | _taken_back(rows, parameters))
    rows["previous"] = worth
    rows["level"] = np.where(raised | escalated, confirmed, rows["level"])
    steps: _Bytes = np.select([raised, escalated, resolved], [RAISED, ESCALATED, RESOLVED]).astype(np.uint8)
    return steps


def begin(
    rows: Rows,
    raised: Integers,
    *,
    usual: Integers,
    window: Integers,
    high: npt.NDArray[np.bool_],
    parameters: SpikeParameters,
) -> None:
    """Note of the rows with these indexes where the alarm began, and what it exceeded.

    The onset is the first high minute since the window began that was unusual first; there are two at least.
    """
    first = parameters.kept_minutes - 1 - parameters.window_minutes
    for index in raised:
        costs = rows["costs"][index]
        onset = first + int(np.argmax(high[index, first:]))
        rows["onset"][index] = rows["minute"][index] - (parameters.kept_minutes - 1 - onset)
        rows["usual"][index] = usual[index]
        rows["excess"][index] = window[index] - usual[index]
        rows["spent"][index] = costs[onset:].sum()


def finish(rows: Rows, resolved: Integers, parameters: SpikeParameters) -> None:
    """Forget the alarms of the rows with these indexes, and begin their cooldown.

    What was said is known: the old record takes the spike in at once, or its second wave would be a climb.
    """
    rows["old_record"][resolved] = np.maximum(rows["old_record"][resolved], rows["record"][resolved])
    rows["quiet_until"][resolved] = rows["minute"][resolved] + parameters.cooldown_minutes
    rows["quiet_level"][resolved] = rows["level"][resolved]
    for name in ("level", "calm", "corrected", "onset", "usual", "excess", "spent"):
        rows[name][resolved] = 0


def excess_since_onset(row: Any, parameters: SpikeParameters) -> int:
    """Say what a firing row has spent above what is usual since its onset."""
    minutes = int(row["minute"]) - int(row["onset"]) + 1
    return int(row["spent"]) - int(row["usual"]) * minutes // parameters.window_minutes


def _taken_back(rows: Rows, parameters: SpikeParameters) -> npt.NDArray[np.bool_]:
    """Find the alarms of which a correction has left less than half."""
    found = np.zeros(len(rows), dtype=np.bool_)
    for index in np.flatnonzero(rows["corrected"] & (rows["level"] > 0)):
        found[index] = 2 * excess_since_onset(rows[index], parameters) < rows["excess"][index]
    return found
