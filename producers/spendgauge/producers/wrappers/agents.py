"""How is a run of the Claude Agent SDK counted, while its messages pass?

async for message in track_messages(query(prompt=...), producer=producer, feature="triage"):
    ...
"""

from collections.abc import AsyncIterator, Mapping
from typing import Any, Final, TypeVar

from spendgauge.producers.adapters import ClaudeAgentUsage, with_own
from spendgauge.producers.adapters.reading import field
from spendgauge.producers.context import dimension_fields, over
from spendgauge.producers.emitter import UsageEmitter
from spendgauge.producers.notices import Notices
from spendgauge.schemas import SystemClock

__all__ = ["track_messages"]

_Message = TypeVar("_Message")
_notices: Final = Notices(SystemClock().monotonic)


async def track_messages(
    messages: AsyncIterator[_Message],
    *,
    producer: UsageEmitter,
    usage: ClaudeAgentUsage | None = None,
    tags: Mapping[str, str] | None = None,
    **dimensions: str | None,
) -> AsyncIterator[_Message]:
    """Pass on the messages of ``query()`` or ``client.receive_response()``; each result becomes events, one a model.

    A client that stays open, or a session that is resumed, reports running totals: give the same ``usage`` each time.
    """
    usage = usage or ClaudeAgentUsage()
    own = dimension_fields(tags, dimensions)
    try:
        async for message in messages:
            if field(message, "num_turns") is not None:  # only a result has them
                _emit(message, usage, producer, own)
            yield message
    finally:
        close = getattr(messages, "aclose", None)
        if close is not None:
            await close()


def _emit(result: object, usage: ClaudeAgentUsage, producer: UsageEmitter, own: dict[str, Any]) -> None:
    try:
        for fields in usage.add(result):
            producer.emit(**with_own(fields, **over(own)))
    except Exception as error:  # noqa: BLE001 - nothing is raised into the caller
        _notices.report("a result could not be read", error=type(error).__name__)
