"""What do adjustments, which may take amounts below zero, do to alerts? Through the judges that run live."""

from collections.abc import Sequence

import pytest
from tests.complaints import CENT, TOTAL, USD, Costs, Town, Use, steps

from spendgauge.streams.alerting.judge import SpikeJudge
from spendgauge.streams.judging import Judge
from spendgauge.streams.spikes import SpikeKey

PLANNER: SpikeKey = ("agent", ("planner",))
USUAL: Costs = {PLANNER: 20 * CENT, TOTAL: 50 * CENT}
HOT: Costs = {PLANNER: Use(3 * USD, 60), TOTAL: Use(3 * USD + 30 * CENT, 70)}
REFUND: Costs = {PLANNER: Use(-500 * USD, 0), TOTAL: Use(-500 * USD, 0)}


def _judges() -> Sequence[Judge]:
    return [SpikeJudge()]


@pytest.fixture(scope="module")
def past() -> Town:
    """Four hours of steady traffic."""
    town = Town(_judges)
    town.pass_by(USUAL, minutes=240, at_once=True)
    return town


@pytest.mark.parametrize("later", [1, 60])
def test_a_refund_does_not_blind_the_detector(past: Town, later: int) -> None:
    """500 USD that are given back in one minute: a runaway of 3 USD a minute is found as soon as without, and the
    usual traffic after them is no spike."""
    town = past.again()
    town.pass_by(REFUND)
    town.pass_by(USUAL, minutes=later, at_once=True)
    assert town.sent == []
    begin = town.minute
    town.pass_by(HOT, minutes=2)
    assert steps(town.sent, rule="spike", key=PLANNER) == [("raised", "page")]
    assert town.sent[0].evaluated_at == (begin + 2) * 60


def test_a_refund_of_a_runaway_ends_it_and_claims_nothing_below_zero(past: Town) -> None:
    """What is given back while an alarm is up makes it end no later, and its end names what was above the usual."""
    town = past.again()
    town.pass_by(HOT, minutes=5)
    town.pass_by(REFUND)
    town.pass_by(USUAL, minutes=20, at_once=True)
    assert steps(town.sent, rule="spike", key=PLANNER) == [("raised", "page"), ("resolved", "page")]
    assert all(not alert.since_onset_usd.startswith("-") and "-" not in alert.message for alert in town.sent)
