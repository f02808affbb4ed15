"""How is an event written? As one line of compact JSON with the defaults left out."""

from spendgauge.schemas.events import MAX_EVENT_BYTES, UsageEvent

__all__ = ["event_line"]


def event_line(event: UsageEvent) -> bytes:
    """Write the event as one line of UTF-8 JSON, without the newline.

    ``UsageEvent.model_validate_json`` reads back an equal event. A field that holds its default is left out, so a
    usual line has 250 to 450 bytes.

    Raises ``ValueError`` where the line is longer than ``MAX_EVENT_BYTES``: consumers would reject it.
    """
    line = event.__pydantic_serializer__.to_json(event, exclude_defaults=True)
    if len(line) > MAX_EVENT_BYTES:
        raise ValueError(
            f"event {event.event_id} has {len(line)} bytes as JSON, and at most {MAX_EVENT_BYTES} are accepted; "
            "shorten its names and tags"
        )
    return line
