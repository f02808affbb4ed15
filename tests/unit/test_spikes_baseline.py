"""What is usual, after minutes that were seen and minutes that were folded?"""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spendgauge.streams.spikes import SpikeParameters
from spendgauge.streams.spikes.baseline import Baseline
from spendgauge.streams.spikes.decay import Decay
from spendgauge.streams.spikes.state import Rows, row_dtype

_law = settings(deadline=None, max_examples=40)
_PARAMETERS = SpikeParameters(
    fast_half_life_minutes=20,
    slow_half_life_minutes=50,
    record_half_life_minutes=80,
    old_record_half_life_minutes=100,
)
_NAMES = ("fast_mean", "fast_variance", "slow_mean", "slow_requests", "record", "old_record", "next_record")
_windows = st.lists(st.integers(0, 10**14), min_size=1, max_size=60)


def _absorbed(windows: list[int]) -> Rows:
    rows, baseline = np.zeros(1, dtype=row_dtype(_PARAMETERS)), Baseline(_PARAMETERS)
    for minute, window in enumerate(windows):
        value, rows["minute"] = np.array([float(window)]), minute
        baseline.absorb(rows, window=value, requests=value / 1e12, late=value)
    return rows


@_law
@given(_windows, st.integers(0, 400))
def test_folding_is_stepping(windows: list[int], idle: int) -> None:
    """Idle minutes in one step are what they are one by one, young keys and old ones."""
    stepped, folded = _absorbed(windows + [0] * idle), _absorbed(windows)
    Baseline(_PARAMETERS).fold(folded, np.array([idle]))
    assert folded["seen"] == stepped["seen"]
    for name in _NAMES:
        assert folded[name][0] == pytest.approx(stepped[name][0], rel=1e-9, abs=1e-6), name


@_law
@given(_windows)
def test_the_mean_and_the_variance_are_what_they_are_called(windows: list[int]) -> None:
    """They are the weighted mean and variance by definition, the weights of a key's first minutes being alike."""
    weights: list[float] = []
    decay = Decay(_PARAMETERS.fast_half_life_minutes)
    for number in range(1, len(windows) + 1):
        weight = max(1 - decay.keep, 1 / number)
        weights = [(1 - weight) * other for other in weights] + [weight]
    mean = sum(w * x for w, x in zip(weights, windows, strict=True))
    variance = sum(w * (x - mean) ** 2 for w, x in zip(weights, windows, strict=True))
    rows = _absorbed(windows)
    assert sum(weights) == pytest.approx(1)
    assert rows["fast_mean"][0] == pytest.approx(mean, rel=1e-9, abs=1e-3)
    assert rows["fast_variance"][0] == pytest.approx(variance, rel=1e-6, abs=mean * mean * 1e-12 + 1)


@_law
@given(_windows, st.integers(0, 10**6))
def test_a_variance_is_never_negative(windows: list[int], idle: int) -> None:
    """Neither steps nor folds subtract from a larger number, so no rounding turns a variance around."""
    rows = _absorbed(windows)
    assert rows["fast_variance"][0] >= 0
    Baseline(_PARAMETERS).fold(rows, np.array([idle]))
    assert rows["fast_variance"][0] >= 0


@_law
@given(st.lists(st.integers(0, 5000), min_size=1, max_size=9))
def test_a_power_is_the_same_in_every_lane(minutes: list[int]) -> None:
    """A key's decay does not depend on which keys lie beside it, and is right to fourteen digits."""
    decay = Decay(360)
    together = decay.power(np.array(minutes))
    assert [decay.power(np.array([m]))[0] for m in minutes] == together.tolist()
    exact = [float(Fraction(decay.keep) ** m) for m in minutes if m < 200]
    assert exact == pytest.approx([p for p, m in zip(together, minutes, strict=True) if m < 200], rel=1e-13)


def test_a_half_life_is_half() -> None:
    """After one half-life half is left, after ten a 1024th, after a century nothing, and no error."""
    decay = Decay(1440)
    assert decay.power(np.array([0, 1440, 14_400, 10**11])) == pytest.approx([1, 0.5, 1 / 1024, 0])


def test_a_decay_has_the_same_bits_everywhere() -> None:
    """To the bit: a processor or library that finds others would raise other alarms, and fails here."""
    assert [Decay(minutes).keep.hex() for minutes in (360, 1440, 2880)] == [
        "0x1.ff03e0282170fp-1",
        "0x1.ffc0ec62fed35p-1",
        "0x1.ffe07538c58acp-1",
    ]
    assert float(Decay(360).power(np.array([12_345]))[0]).hex() == "0x1.a248487c19042p-35"
