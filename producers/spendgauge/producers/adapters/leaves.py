"""How do a provider's counts become disjoint leaves, and what if they do not add up?

The rules, for every provider:

- A part is never more than its whole: parts are taken from the whole in a fixed order, each at most what is left, so no
  leaf is negative and the leaves still add up to the whole. No leaf is more than an event can hold. Where that cut
  something, the fault is ``capped``.
- A provider's own total is kept as ``reported_total_tokens``. Where it is not the sum of the leaves, the fault is
  ``total_differs``.
- Faults do not stop an event: they stand in its tag ``usage_check``, where they are seen and counted.
"""

from collections.abc import Mapping
from typing import Any, Final

from spendgauge.producers.adapters.reading import Counts, identifier
from spendgauge.schemas.events import LEAVES, MAX_TOKENS

__all__ = [
    "TAG",
    "TOKEN_LEAVES",
    "EventFields",
    "cache_writes",
    "failure_fields",
    "input_leaves",
    "output_leaves",
    "usage_fields",
    "who",
    "with_own",
]

EventFields = dict[str, Any]
"""Fields of a ``UsageEvent``, ready for ``emit(**fields)``. Leaves of zero are left out, but for input and output."""

TAG: Final = "usage_check"
TOKEN_LEAVES: Final = tuple(name for name in LEAVES if name.endswith("_tokens"))
_MAX_TAGS: Final = 16
_MOST: Final = {"web_search_requests": 1_000_000}


def input_leaves(
    whole: int, counts: Counts, *, read: int, write: tuple[int, int] = (0, 0), audio: int = 0
) -> EventFields:
    """Split an input that includes its parts: cache reads, then writes (5 minutes, 1 hour), then uncached audio."""
    left, leaves = whole, {}
    parts = {
        "cache_read_tokens": read,
        "cache_write_1h_tokens": write[1],
        "cache_write_5m_tokens": write[0],
        "input_audio_tokens": audio,
    }
    for name, part in parts.items():
        leaves[name] = _capped(part, left, counts)
        left -= leaves[name]
    return {"input_tokens": left, **leaves}


def output_leaves(whole: int, counts: Counts, *, audio: int = 0, reasoning: int = 0) -> EventFields:
    """Split an output that includes its parts; reasoning stays within the output of text."""
    audio = _capped(audio, whole, counts)
    return {
        "output_tokens": whole - audio,
        "output_audio_tokens": audio,
        "reasoning_tokens": _capped(reasoning, whole - audio, counts),
    }


def cache_writes(whole: int | None, counts: Counts, *, five_minutes: int, one_hour: int) -> tuple[int, int]:
    """Split cache writes by how long they are kept: (5 minutes, 1 hour).

    What the split leaves out was written for 5 minutes, the default. A split without a whole is believed as it is.
    """
    if whole is None:
        return five_minutes, one_hour
    one_hour = _capped(one_hour, whole, counts)
    _capped(five_minutes, whole - one_hour, counts)
    return whole - one_hour, one_hour


def _capped(part: int, most: int, counts: Counts) -> int:
    if part > most:
        counts.faults.add("capped")
    return min(part, most)


def who(provider: str, model: object, request_model: str = "") -> EventFields:
    """Name provider and model: the response's, else the one asked for, else ``unknown`` (unpriced, but counted)."""
    asked = identifier(request_model)
    return {"provider": provider, "model": identifier(model) or asked or "unknown", "request_model": asked}


def failure_fields(status: str, error_type: object = None, **others: Any) -> EventFields:
    """Put together the fields of a call that failed before anything was counted."""
    return usage_fields(Counts(), {}, status=status, error_type=identifier(error_type), **others)


def usage_fields(counts: Counts, leaves: Mapping[str, int], *, total: int | None = None, **others: Any) -> EventFields:
    """Put an event's fields together: the leaves, the provider's total, and whatever else is not empty.

    ``total`` is compared with the sum of the leaves; faults become the tag ``usage_check``.
    """
    leaves = {name: _capped(count, _MOST.get(name, MAX_TOKENS), counts) for name, count in leaves.items()}
    if total is not None and total != sum(leaves.get(name, 0) for name in TOKEN_LEAVES):
        counts.faults.add("total_differs")
    always = {"input_tokens": leaves.get("input_tokens", 0), "output_tokens": leaves.get("output_tokens", 0)}
    fields = {name: value for name, value in others.items() if value not in ("", None)}
    fields |= {name: count for name, count in leaves.items() if count} | always
    if total is not None:
        fields["reported_total_tokens"] = total
    if counts.faults:
        fields["tags"] = {TAG: ",".join(sorted(counts.faults))}
    return fields


def with_own(fields: EventFields, **own: Any) -> EventFields:
    """Add a caller's own fields to an adapter's; the caller's win, and tags of both are kept while there is room."""
    tags = {**(own.pop("tags", None) or {})}
    for name, value in fields.get("tags", {}).items():
        if len(tags) < _MAX_TAGS:
            tags.setdefault(name, value)
    joined = fields | {name: value for name, value in own.items() if value is not None}
    return joined | {"tags": tags} if tags else joined
