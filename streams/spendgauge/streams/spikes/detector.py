"""Which keys spike in this minute? All keys of a worker at once, each minute judged before it is absorbed.

A key is **awake** while any of its last minutes holds something or its alarm is not settled: then every minute is a
step. Else it **sleeps**, and nothing is done until its next event, when all the minutes between are folded at once.
Which of the two is a matter of its row alone, so that the same minutes give the same alarms to the last bit, however
they are divided among calls, workers and restarts.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from spendgauge.schemas.alerts import SEVERITIES, Severity
from spendgauge.streams.spikes.alarms import (
    ESCALATED,
    RAISED,
    RESOLVED,
    advance,
    begin,
    excess_since_onset,
    finish,
)
from spendgauge.streams.spikes.baseline import Baseline
from spendgauge.streams.spikes.decay import Integers
from spendgauge.streams.spikes.lanes import Lanes, SpikeKey
from spendgauge.streams.spikes.parameters import Limits, SpikeParameters
from spendgauge.streams.spikes.scoring import is_high, levels, score, usual
from spendgauge.streams.spikes.state import MAX_MINUTE_AMOUNT, Rows, is_awake, pack, unpack

__all__ = ["SpikeDetector", "SpikeKey", "SpikeStep"]

StepState = Literal["raised", "escalated", "resolved"]

_STATES: Final[dict[int, StepState]] = {RAISED: "raised", ESCALATED: "escalated", RESOLVED: "resolved"}
_BLOCK: Final = 4096
"""Rows at a time: about a megabyte, which a processor keeps at hand."""


@dataclass(frozen=True)
class SpikeStep:
    """One step in the life of one key's alarm; amounts as the detector got them, in picodollars or tokens."""

    key: SpikeKey
    minute: int
    """The closed minute that decided, minutes since 1970 UTC."""
    state: StepState
    severity: Severity
    onset: int
    """The minute it began in."""
    usual: int
    """What a window usually cost when the alarm was raised; 0 for a key of less than an hour."""
    seen: int
    """What this window cost."""
    since_onset: int
    """What was spent above the usual since onset."""
    usual_requests: float
    """In a window, now."""
    seen_requests: int
    """In this window."""


class SpikeDetector:
    """Judges the closed minutes of any number of keys."""

    def __init__(
        self, parameters: SpikeParameters | None = None, *, limits_of: Callable[[SpikeKey], Limits] | None = None
    ) -> None:
        """Begin without keys; ``limits_of`` says what a key must exceed (default: the parameters, no budget)."""
        self.parameters = parameters or SpikeParameters()
        same = self.parameters.limits()
        self._lanes = Lanes(self.parameters, limits_of=limits_of or (lambda _key: same))
        self._baseline = Baseline(self.parameters)
        self._closed = -1

    def __len__(self) -> int:
        """Say how many keys are known."""
        return len(self._lanes)

    def close(
        self, minute: int, keys: Sequence[SpikeKey], costs: Sequence[int] | Integers, requests: Sequence[int] | Integers
    ) -> list[SpikeStep]:
        """Judge a minute: what each key with any event in it has cost, and in how many requests.

        Minutes come in order, each once with all its keys; one in which nothing happened may be left out. A minute that
        a key has seen already changes nothing for it, so that a restored detector may be given the last minutes again.

        *Shape*: three sequences of one length; a key that is named twice has cost both. Steps are in the order of
        (minute, key).
        """
        lanes = self._lanes.find(keys)
        amounts, counts = self._dense(lanes, _bounded(costs)), self._dense(lanes, np.asarray(requests, dtype=np.int64))
        steps = self._rest(minute - 1)
        due = self._lanes.awake.copy()
        due[lanes] = True
        due &= (self._lanes.rows["minute"] < minute) | (self._lanes.rows["seen"] == 0)
        steps += self._step(np.flatnonzero(due), minute, amounts, counts)
        self._closed = max(self._closed, minute)
        return sorted(steps, key=lambda step: (step.minute, step.key))

    def told(self, minute: int, keys: Sequence[SpikeKey]) -> Integers:
        """Say what each of these keys has cost in a closed minute as far as it was told; 0 of a minute too long ago."""
        lanes = self._lanes.known(keys)
        back = self._lanes.rows["minute"][lanes] - minute
        length = self.parameters.kept_minutes
        held = (lanes >= 0) & (back >= 0) & (back < length)
        costs: Integers = self._lanes.rows["costs"][lanes, np.where(held, length - 1 - back, 0)]
        return np.where(held, costs, 0)

    def correct(self, key: SpikeKey, minute: int, *, cost: int, requests: int) -> None:
        """Say what a closed minute has cost after all, because events came late or were adjusted.

        The total, not the difference: saying it twice is saying it once. Windows from the next one on are the
        corrected ones, and so is what was spent since onset; an alarm of which less than half is left is resolved with
        the next minute. What the means have absorbed stays (a minute is about 1 % of the faster one), and a minute that
        has left the row (after 15) changes nothing: the rates have it, no alarm can be about it.
        """
        if minute > self._closed:
            raise ValueError(f"minute {minute} is not closed yet, the last one is {self._closed}; give it to close()")
        lane = int(self._lanes.find([key])[0])
        row = self._lanes.rows[lane : lane + 1]
        if self._lanes.awake[lane] and row["minute"][0] < self._closed:
            raise ValueError(f"{key} was restored as of minute {row['minute'][0]}; close a minute before correcting it")
        self._wake(row, self._closed + 1)
        row["minute"] = np.maximum(row["minute"], self._closed)
        row["seen"] = np.maximum(row["seen"], 1)
        back = int(row["minute"][0]) - minute
        if back < self.parameters.kept_minutes:
            _replace(row, back, int(_bounded([cost])[0]), requests)
            self._lanes.awake[lane] = True

    def reload(self, limits_of: Callable[[SpikeKey], Limits]) -> None:
        """Take other limits from now on, as when budgets change."""
        self._lanes.reload(limits_of)

    def snapshot(self, *, since: int = -1, part: slice = slice(None)) -> Iterator[tuple[SpikeKey, bytes]]:
        """Give the state of each key that was touched after the minute ``since``; of a part of them: every so many."""
        for lane in self._lanes.touched(since, part):
            yield self._lanes.key(lane), pack(self._lanes.rows[lane])

    def state_of(self, key: SpikeKey) -> bytes:
        """Give the state of a key that is known."""
        (lane,) = self._lanes.known([key])
        return pack(self._lanes.rows[lane])

    def restore(self, key: SpikeKey, state: bytes) -> int:
        """Take a key's state from a snapshot; say which minute is the last one in it.

        Raises ``SpendgaugeError`` where it is none of this version and these parameters.
        """
        row = unpack(state, self.parameters)
        lane = int(self._lanes.find([key])[0])
        self._lanes.rows[lane] = row
        self._lanes.awake[lane] = is_awake(self._lanes.rows[lane : lane + 1])[0]
        return int(row["minute"])

    def forget(self, minute: int) -> list[SpikeKey]:
        """Drop the keys that by this minute were silent for so long that they begin anew anyway; name them."""
        return self._lanes.drop(before=minute - self.parameters.forget_minutes)

    def _dense(self, lanes: Integers, values: Integers) -> Integers:
        dense = np.zeros(len(self._lanes.rows), dtype=np.int64)
        np.add.at(dense, lanes, values)
        return dense

    def _rest(self, until: int) -> list[SpikeStep]:
        """Step the keys that are awake through the minutes in which nothing happened."""
        rows, awake = self._lanes.rows, self._lanes.awake
        nothing = np.zeros(len(rows), dtype=np.int64)
        steps = []
        while len(late := np.flatnonzero(awake & (rows["minute"] < until))):
            first = int(rows["minute"][late].min()) + 1
            steps += self._step(late[rows["minute"][late] < first], first, nothing, nothing)
        return steps

    def _step(self, lanes: Integers, minute: int, amounts: Integers, counts: Integers) -> list[SpikeStep]:
        """Judge and absorb one minute of these lanes, which have not seen it."""
        steps = []
        for start in range(0, len(lanes), _BLOCK):
            block = lanes[start : start + _BLOCK]
            rows = self._lanes.rows[block]
            self._enter(rows, minute, amounts[block], counts[block])
            steps += self._judge(rows, block)
            self._lanes.rows[block] = rows
            self._lanes.awake[block] = is_awake(rows)
        return steps

    def _enter(self, rows: Rows, minute: int, amounts: Integers, counts: Integers) -> None:
        """Let the rows' last minutes end with this one."""
        self._wake(rows, minute)
        rows["minute"] = minute
        for name, values in (("costs", amounts), ("requests", counts)):
            kept = rows[name]
            kept[:, :-1] = kept[:, 1:]
            kept[:, -1] = values

    def _wake(self, rows: Rows, minute: int) -> None:
        """Fold what lies between the rows and this minute; begin anew where it is too long."""
        idle = np.where(rows["seen"] > 0, minute - 1 - rows["minute"], 0)
        rows[idle >= self.parameters.forget_minutes] = np.zeros(1, dtype=rows.dtype)
        asleep = np.flatnonzero((idle > 0) & (rows["seen"] > 0))
        if len(asleep):
            folded = rows[asleep]
            self._baseline.fold(folded, idle[asleep])
            rows[asleep] = folded

    def _judge(self, rows: Rows, lanes: Integers) -> list[SpikeStep]:
        parameters, limits = self.parameters, self._lanes.limits[lanes]
        window = rows["costs"][:, -parameters.window_minutes :].sum(axis=1)
        signal, normal = window.astype(np.float64), usual(rows, parameters)
        scores = score(rows, signal, parameters, cap=limits["cap"])
        excess = window - normal
        unusual = (scores >= 1) | (rows["level"] > 0)
        worth = levels(unusual, excess, floor=limits["floor"], page=limits["page"])
        high = is_high(rows, normal, parameters)
        codes = advance(rows, scores, worth, excess=excess, high=high, parameters=parameters)
        raised = np.flatnonzero(codes == RAISED)
        begin(rows, raised, usual=normal, window=window, high=high, parameters=parameters)
        steps = [self._told(rows[i], lanes[i], codes[i], int(window[i])) for i in np.flatnonzero(codes)]
        finish(rows, np.flatnonzero(codes == RESOLVED), parameters)
        length = parameters.window_minutes
        late = rows["costs"][:, -2 * length : -length].sum(axis=1).astype(np.float64)
        requests = rows["requests"].sum(axis=1).astype(np.float64)
        self._baseline.absorb(rows, window=signal, requests=requests, late=late)
        return steps

    def _told(self, row: np.void, lane: int, code: int, seen: int) -> SpikeStep:
        return SpikeStep(
            key=self._lanes.key(lane),
            minute=int(row["minute"]),
            state=_STATES[code],
            severity=SEVERITIES[row["level"] - 1],
            onset=int(row["onset"]),
            usual=int(row["usual"]),
            seen=seen,
            since_onset=excess_since_onset(row, self.parameters),
            usual_requests=float(row["slow_requests"]),
            seen_requests=int(row["requests"].sum()),
        )


def _bounded(amounts: Sequence[int] | Integers) -> Integers:
    """Take what no minute costs for the most that one may."""
    try:
        return np.clip(np.array(amounts, dtype=np.int64), -MAX_MINUTE_AMOUNT, MAX_MINUTE_AMOUNT)
    except OverflowError:
        return np.array([min(max(a, -MAX_MINUTE_AMOUNT), MAX_MINUTE_AMOUNT) for a in amounts], dtype=np.int64)


def _replace(row: Rows, back: int, cost: int, requests: int) -> None:
    """Write another total into a minute that lies so far back in the row."""
    costs, counts = row["costs"][0], row["requests"][0]
    change = cost - int(costs[-1 - back])
    costs[-1 - back] = cost
    if back < len(counts):
        counts[-1 - back] = requests
    if row["level"][0] and row["minute"][0] - back >= row["onset"][0]:
        row["spent"] += change
        row["corrected"] |= change < 0
