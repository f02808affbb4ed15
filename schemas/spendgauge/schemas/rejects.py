"""What is on ``usage.rejected``?

A line that is not a valid usage event, whole, with the reason and where it stood. One bad line never rejects
its neighbours.
"""

from typing import Annotated, Final, Literal

from pydantic import Base64Bytes, BaseModel, ConfigDict, Field

__all__ = ["REJECTED_SCHEMA", "RejectReason", "RejectedEvent"]

REJECTED_SCHEMA: Final = "spendgauge.rejected/1"

RejectReason = Literal[
    "invalid_json", "invalid_event", "too_old", "in_the_future", "too_large", "empty_record", "unreadable"
]


class RejectedEvent(BaseModel):
    """One rejected line (or one whole record: line 0 and its complete value), with the original bytes."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    stream: str = Field(description="As in RateContribution.")
    topic: str
    partition: Annotated[int, Field(ge=0)]
    offset: Annotated[int, Field(ge=0)]
    line: Annotated[int, Field(ge=0)] = Field(description="The line's number within the record, from 0.")
    received_at_ms: int = Field(description="The record's broker timestamp, milliseconds since 1970 UTC.")
    reason: RejectReason
    detail: str = Field(description="A sentence: what is wrong, with which value.")
    key: Base64Bytes | None = Field(description="The record's key.")
    value: Base64Bytes = Field(description="The line's original bytes.")
    headers: tuple[tuple[str, Base64Bytes | None], ...] = ()
