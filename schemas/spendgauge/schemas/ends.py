"""How does a source say that it ends? By a line behind its events, with the number that it would have used next.

A gap is seen by the event that jumps over it, so what is lost at a source's end would be missed by nobody. The end
makes it a gap like any other: all below ``next_seq`` was sent, or will be. It is a line of ``usage.events``, in the
same partition as the source's events and behind them, and it is no event: nothing is stored of it, nothing is rejected.
Said again it changes nothing.
"""

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from spendgauge.schemas.fields import Milliseconds

__all__ = ["END_SCHEMA", "SourceEnd"]

END_SCHEMA: Final = "spendgauge.end/1"


class SourceEnd(BaseModel):
    """The last word of a source: how many events it has numbered."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, serialize_by_alias=True)

    schema_name: Literal["spendgauge.end/1"] = Field(
        alias="schema", description="Tells the line from a usage event, which has no such field."
    )
    source: Annotated[str, Field(min_length=1, max_length=256)] = Field(description="As in a usage event.")
    next_seq: int = Field(
        ge=0, le=2**62 + 1, description="The number that its next event would have had: it has used all below."
    )
    closed_at: Milliseconds = Field(description="When it ended, on its own clock, UTC.")
