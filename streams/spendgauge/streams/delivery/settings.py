"""How is the notifier configured?"""

from pathlib import Path

from pydantic import Field

from spendgauge.schemas.settings import KafkaSettings, MonitorSettings

__all__ = ["NotifierSettings"]


class NotifierSettings(KafkaSettings, MonitorSettings):
    """What a notifier needs to know; read from ``SPENDGAUGE_*``."""

    channels: Path | None = Field(
        default=None, description="A TOML file of the channels; it is read again when it changes."
    )
    notifier_group: str = Field(
        default="spendgauge-notify",
        min_length=1,
        description="The consumer group. One notifier of a group sends, the others wait to take over.",
    )
    session_timeout_seconds: int = Field(
        default=10,
        ge=1,
        le=300,
        description="A notifier that is silent for so long has died, and another takes over. Shorter: a pause looks "
        "like a death. Longer: a death delays alerts for longer.",
    )
    late_minutes: int = Field(
        default=60,
        ge=1,
        le=525_600,
        description="What was up for longer before it could be told is told as such, and since when. Shorter: what a "
        "channel missed for a moment is called late. Longer: old alerts look like news.",
    )
