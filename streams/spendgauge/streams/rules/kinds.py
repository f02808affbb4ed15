"""Which kinds of rules are there, and which rules are on without being written?"""

from collections.abc import Collection, Mapping
from typing import Final

from spendgauge.streams.rules.error_rate import ErrorRate
from spendgauge.streams.rules.no_data import NoData
from spendgauge.streams.rules.price_age import PriceAge
from spendgauge.streams.rules.rule import Rule
from spendgauge.streams.rules.threshold import Threshold
from spendgauge.streams.rules.unpriced import Unpriced

__all__ = ["KINDS", "built_in"]

KINDS: Final[Mapping[str, type[Rule]]] = {
    rule.kind: rule for rule in (Threshold, ErrorRate, Unpriced, NoData, PriceAge)
}
"""By the name that ``rules.toml`` has for each."""


def built_in(series: Collection[str]) -> tuple[Rule, ...]:
    """List the rules that hold without a file, where these series are told; one of the file replaces its namesake."""
    models = next((name for name in ("provider+model", "total") if name in series), None)
    unpriced = () if models is None else (Unpriced(name="unpriced", series=models),)
    return *unpriced, PriceAge(name="price_age")
