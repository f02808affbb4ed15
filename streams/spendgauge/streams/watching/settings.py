"""How is a watcher configured?"""

from pathlib import Path

from pydantic import Field

from spendgauge.streams.settings import MemberSettings, WorkerSettings

__all__ = ["WatcherSettings"]


class WatcherSettings(MemberSettings):
    """What one watcher needs to know; read from ``SPENDGAUGE_*``."""

    watch_group: str = Field(
        default="spendgauge-watch",
        min_length=1,
        description="The consumer group. Watchers of one group share the partitions; all of them write to the same "
        "cost.watch, so two groups on one topic prefix take it from each other again and again.",
    )
    rates_group: str = Field(
        default=str(WorkerSettings.model_fields["rates_group"].default),
        min_length=1,
        description="The rates workers' group: while it is behind, minutes wait for it. Another one than theirs: they "
        "wait for ever.",
    )
    budgets: Path | None = Field(
        default=None, description="A TOML file of budgets and quotas; read again when it changes. None: there are none."
    )
    rules: Path | None = Field(
        default=None, description="A TOML file of rules; read again when it changes. None: the built-in ones."
    )
    tick_seconds: float = Field(
        default=0.25,
        gt=0,
        le=10,
        description="How often it is looked whether a minute is over. Larger: later alerts.",
    )
    hold_back_seconds: float = Field(
        default=2.0,
        ge=0,
        le=600,
        description="How long after its end a minute is judged. Smaller: the last events of a minute are not rated yet "
        "and are told as corrections. Larger: later alerts.",
    )
