"""Who judges? The one place that names all judges: whoever adds one adds it here."""

from collections.abc import Sequence

from spendgauge.schemas.prices.freshness import price_data
from spendgauge.streams.alerting.judge import SpikeJudge
from spendgauge.streams.budgets import BudgetJudge
from spendgauge.streams.judging.judge import Judge
from spendgauge.streams.rules.judge import RuleJudge

__all__ = ["make_judges"]


def make_judges() -> Sequence[Judge]:
    """Make all judges that spendgauge has."""
    return SpikeJudge(), BudgetJudge(), RuleJudge(prices=price_data())
