"""Which of our service tiers did a provider bill a call in?"""

from typing import Final

from spendgauge.producers.adapters.reading import Counts

__all__ = ["service_tier"]

_TIERS: Final = {
    # ours, and the names that Anthropic, OpenAI and Bedrock share with them
    "standard": "standard",
    "batch": "batch",
    "flex": "flex",
    "priority": "priority",
    # OpenAI: "auto" is a request's word; "scale" is capacity bought beforehand; "fast" is shown as "priority"
    "auto": "standard",
    "default": "standard",
    "scale": "standard",
    "fast": "priority",
    # Bedrock: capacity bought beforehand
    "reserved": "standard",
    # Google: service tiers and traffic types
    "unspecified": "standard",
    "traffic_type_unspecified": "standard",
    "on_demand": "standard",
    "on_demand_flex": "flex",
    "on_demand_priority": "priority",
    "provisioned_throughput": "standard",
}


def service_tier(value: object, counts: Counts) -> str:
    """Translate the tier that a response names; one that is not known counts as standard, with the fault ``tier``."""
    tier = _TIERS.get(value.lower()) if isinstance(value, str) else None
    if value is not None and tier is None:
        counts.faults.add("tier")
    return tier or ""
