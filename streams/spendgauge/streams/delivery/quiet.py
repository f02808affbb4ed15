"""When does a channel want to be left alone? Between two times of day, by the clocks of a place."""

from datetime import datetime, time
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from spendgauge.schemas.fields import TimeZone

__all__ = ["QuietHours"]


def _time_of_day(value: Any) -> time:
    try:
        return datetime.strptime(value, "%H:%M").time()  # noqa: DTZ007 - a time of day has no zone of its own
    except (TypeError, ValueError):
        raise ValueError('write a time of day such as "22:00"') from None


class QuietHours(BaseModel):
    """``quiet = { from = "22:00", until = "07:00", time_zone = "Europe/Zurich" }``: [from, until)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    begin: Annotated[time, BeforeValidator(_time_of_day), Field(alias="from")]
    until: Annotated[time, BeforeValidator(_time_of_day)]
    time_zone: TimeZone = "UTC"

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.begin == self.until:
            raise ValueError('from and until are the same; for pages only, at any hour, write min_severity = "page"')
        return self

    def hold(self, now_ms: int) -> bool:
        """Whether it is quiet now.

        The clock on the wall decides: an hour that it skips is never quiet, one that it repeats is quiet twice.
        """
        at = datetime.fromtimestamp(now_ms / 1000, ZoneInfo(self.time_zone)).time()
        if self.begin < self.until:
            return self.begin <= at < self.until
        return at >= self.begin or at < self.until
