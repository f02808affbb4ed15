"""Which kinds of rules are there, and which rules are on without being written?"""

from collections.abc import Mapping
from typing import Final

from spendgauge.streams.rules.error_rate import ErrorRate
from spendgauge.streams.rules.metering_stalled import MeteringStalled
from spendgauge.streams.rules.no_data import NoData
from spendgauge.streams.rules.price_age import PriceAge
from spendgauge.streams.rules.rule import Rule
from spendgauge.streams.rules.threshold import Threshold
from spendgauge.streams.rules.unpriced import Unpriced

__all__ = ["BUILT_IN", "KINDS"]

KINDS: Final[Mapping[str, type[Rule]]] = {
    rule.kind: rule for rule in (Threshold, ErrorRate, Unpriced, NoData, PriceAge, MeteringStalled)
}
"""By the name that ``rules.toml`` has for each."""

BUILT_IN: Final[tuple[Rule, ...]] = (
    Unpriced(name="unpriced"),
    PriceAge(name="price_age"),
    MeteringStalled(name="metering_stalled"),
)
"""These hold without a file; a rule of the file replaces its namesake."""
