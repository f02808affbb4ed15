"""How is a guard configured? As the producer of the same service, and by what it is to do when it does not know."""

from typing import Literal

from pydantic import Field

from spendgauge.producers.settings import ProducerSettings

__all__ = ["QuotaSettings"]


class QuotaSettings(ProducerSettings):
    """What a guard does at a limit, and how long it trusts what it knows.

    ``service``, ``dimensions`` and the pseudonyms must be those of the producer, whose events a check foretells.
    """

    quota_mode: Literal["refuse", "warn"] = Field(
        default="refuse",
        description="What happens at a hard limit. warn: the call is let pass, logged and told on cost.refusals: "
        "limits can be tried before they stop anybody.",
    )
    quota_unknown: Literal["allow", "refuse"] = Field(
        default="allow",
        description="What happens while nobody knows what is spent: nothing was read yet, or what is known "
        "is older than quota_stale_seconds. allow: what is known still counts, the rest as nothing. refuse: no call is "
        "made, so an outage of Kafka, of the rates workers or of the watcher stops the service.",
    )
    quota_processes: int = Field(
        default=1,
        ge=1,
        le=10_000,
        description="How many processes spend the same quotas at a time: each holds at most this part of what is left, "
        "so that together they overshoot less. Too many: refusals while something is left.",
    )
    quota_stale_seconds: float = Field(
        default=60.0,
        ge=1,
        le=86_400,
        description="How old the oldest of the watcher's clocks may be; it writes them every ten seconds. Short: a "
        "watcher or a rates worker that restarts is an outage. Long: an outage is noticed late.",
    )
    quota_settle_seconds: float = Field(
        default=10.0,
        ge=0,
        le=3600,
        description="How long after a call its event is surely in Kafka, and how far apart the clocks are: its cost is "
        "held until the watcher has counted all events up to then. Short: what is under way is forgotten, and calls "
        "slip through. Long: it counts twice for as long.",
    )
    quota_hold_seconds: float = Field(
        default=900.0,
        ge=1,
        le=86_400,
        description="Longest that the cost of a call is held where the watcher says nothing. Long: memory in an "
        "outage, some 100 bytes a key and second with calls. Short: what is spent in an outage is forgotten sooner.",
    )
