"""Who is a call for, and what for, without every function passing it on?

    with usage_context(user_id="user-7", feature="triage"):
        answer(question)  # every event emitted in here, at any depth, carries both

It is a context variable: each thread and each asyncio task has its own, and a task starts with its creator's.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final
from uuid import UUID

from spendgauge.producers.notices import Notices
from spendgauge.schemas import DIMENSIONS, SystemClock

__all__ = ["as_written", "dimension_fields", "over", "usage_context", "within"]

_MAX_TAGS: Final = 16
_MAX_TAG_NAME: Final = 64
_MAX_CHARACTERS: Final = 256

_around: ContextVar[Mapping[str, Any] | None] = ContextVar("spendgauge_usage_context", default=None)
_notices: Final = Notices(SystemClock().monotonic)


@contextmanager
def usage_context(*, tags: Mapping[str, str] | None = None, **dimensions: str | None) -> Iterator[None]:
    """Give every event that is emitted inside the block these dimensions and tags, unless it has its own.

    Blocks nest: the inner one wins, name by name. None counts as not given; integers and UUIDs are written as text. A
    value that no event could hold (longer than 256 characters, say) is left out and logged, so that it costs a
    dimension and never the event. Raises ``TypeError`` for a name that is no dimension.
    """
    outer = _around.get()
    _around.set(_joined(outer or {}, dimension_fields(tags, dimensions)))
    try:
        yield
    finally:
        _around.set(outer)  # no token: a generator may be closed in another context, where a token would raise


def dimension_fields(tags: Mapping[str, str] | None, dimensions: Mapping[str, str | None]) -> dict[str, Any]:
    """Make an event's fields of tags and dimensions, without what no event could hold.

    Raises ``TypeError`` for a name that is no dimension.
    """
    unknown = sorted(dimensions.keys() - set(DIMENSIONS))
    if unknown:
        raise TypeError(f"{unknown[0]} is no dimension of a usage event; use one of {', '.join(DIMENSIONS)}, or tags")
    fields: dict[str, Any] = _readable(dimensions)
    if tags:
        fields["tags"] = _readable({name: value for name, value in tags.items() if _is_tag_name(name)})
    return fields


def within(fields: dict[str, Any]) -> dict[str, Any]:
    """Put what the contexts around say under an event's own fields."""
    around = _around.get()
    return fields if around is None else _joined(around, fields)


def over(defaults: dict[str, Any]) -> dict[str, Any]:
    """Put what the contexts around say over someone's defaults."""
    around = _around.get()
    return defaults if around is None else _joined(defaults, around)


def as_written(value: Any) -> Any:
    """Give a value of a dimension as events have it: integers and UUIDs as text, anything else as it is."""
    return str(value) if isinstance(value, int | UUID) else value


def _joined(lower: Mapping[str, Any], upper: Mapping[str, Any]) -> dict[str, Any]:
    """Lay fields over others; tags are joined name by name, the upper ones first, while there is room."""
    joined = {**lower, **{name: value for name, value in upper.items() if value is not None}}
    below, above = lower.get("tags"), upper.get("tags")
    if isinstance(below, Mapping) and isinstance(above, Mapping):
        tags = dict(above)
        for name, value in below.items():
            if len(tags) < _MAX_TAGS:
                tags.setdefault(name, value)
        joined["tags"] = tags
    return joined


def _readable(values: Mapping[str, Any]) -> dict[str, str]:
    """Keep the values that an event can hold, at most sixteen."""
    texts = {name: _text(value) for name, value in values.items() if value is not None}
    kept = {name: text for name, text in texts.items() if text is not None}
    for name in texts.keys() - kept.keys():
        _notices.report("a value of usage_context cannot be held by an event and was left out", name=name)
    return dict(list(kept.items())[:_MAX_TAGS])


def _text(value: object) -> str | None:
    text = as_written(value)
    if not isinstance(text, str) or len(text) > _MAX_CHARACTERS:
        return None
    return text if text.isascii() or text.isprintable() or _can_be_written(text) else None


def _can_be_written(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair, as in JSON that was cut
        return False
    return True


def _is_tag_name(name: object) -> bool:
    fits = isinstance(name, str) and 0 < len(name) <= _MAX_TAG_NAME
    if not fits:
        _notices.report("the name of a tag of usage_context is not of 1 to 64 characters; it was left out")
    return fits
