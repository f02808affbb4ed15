"""What is on ``usage.rejected``?

A line that is not a valid usage event, whole, with the reason and where it stood. One bad line never rejects
its neighbours.
"""

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from spendgauge.schemas.fields import Base64, Total
from spendgauge.schemas.wire import WireModel

__all__ = ["MAX_DETAIL_CHARACTERS", "MAX_REJECTED_BYTES", "REJECTED_SCHEMA", "RejectReason", "RejectedEvent"]

REJECTED_SCHEMA: Final = "spendgauge.rejected/1"

MAX_REJECTED_BYTES: Final = 256 * 1024
"""How much is kept of what is rejected: in base64 it must fit a Kafka message, which brokers limit to 1 MiB."""

MAX_DETAIL_CHARACTERS: Final = 500
"""A detail says what is wrong, and is no second copy of it."""

RejectReason = Literal[
    "invalid_json", "invalid_event", "too_old", "in_the_future", "too_large", "empty_record", "unreadable"
]
"""Why, each a count of its own:

- ``invalid_json``: the line is not one JSON value in UTF-8;
- ``invalid_event``: it is JSON, and not a usage event;
- ``too_old``, ``in_the_future``: a usage event whose ``occurred_at`` is too far from the record's timestamp;
- ``too_large``: the line exceeds MAX_EVENT_BYTES, or the record MAX_RECORD_BYTES;
- ``empty_record``: a record without a value, or with blank lines only;
- ``unreadable``: the record's header names another schema than spendgauge.usage/1.
"""


class _Numbered(BaseModel):
    """What of a line says which event it was to be; the bounds are a usage event's."""

    model_config = ConfigDict(strict=True)

    source: Annotated[str, Field(min_length=1, max_length=256)]
    seq: Annotated[int, Field(ge=0, le=2**62)]


class RejectedEvent(WireModel):
    """One rejected line, or one whole record (line 0), with the original bytes."""

    stream: str = Field(description="As in a contribution: topic id and block size.")
    topic: str = Field(description="Where the record stood.")
    partition: int = Field(ge=0, le=2**31 - 1, description="Of the topic.")
    offset: int = Field(ge=0, le=2**63 - 1, description="Of the record.")
    line: int = Field(
        ge=0, le=2**31 - 1, description="The line's number within the record, from 0; 0 too for a whole record."
    )
    received_at_ms: Total = Field(description="The record's broker timestamp, milliseconds since 1970 UTC.")
    reason: RejectReason = Field(description="What kind of wrong it is.")
    detail: str = Field(max_length=MAX_DETAIL_CHARACTERS, description="A sentence: what is wrong, with which value.")
    key: Base64 | None = Field(default=None, description="The record's key.")
    value: Base64 = Field(
        max_length=MAX_REJECTED_BYTES, description="The original bytes; of more than 256 KiB, the first 256 KiB."
    )
    headers: tuple[tuple[str, Base64 | None], ...] = Field(default=(), description="The record's headers.")

    @property
    def number(self) -> tuple[str, int] | None:
        """Which number of which source was used for it; None where that cannot be read."""
        try:
            found = _Numbered.model_validate_json(self.value)
        except ValidationError:
            return None
        return found.source, found.seq
