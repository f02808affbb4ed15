"""What do counts mean that somebody between the provider and us has passed on?

LiteLLM and OpenTelemetry say that an input includes its cached parts. Some versions and instrumentations pass
Anthropic's own counts on all the same, which do not. Nobody says which, so the numbers have to.
"""

from spendgauge.producers.adapters.leaves import EventFields, input_leaves, output_leaves
from spendgauge.producers.adapters.reading import Counts

__all__ = ["relayed_leaves"]


def relayed_leaves(
    counts: Counts,
    *,
    whole: tuple[int, int],
    total: int | None,
    read: int,
    write: tuple[int, int],
    audio: tuple[int, int],
    reasoning: int,
) -> tuple[EventFields, str]:
    """Split an input and an output (``whole``) into leaves, and name the convention they were reported in.

    They count as ``exclusive`` where the cached parts are more than the input, or where the total is the sum of all;
    else as ``inclusive``. The first has the fault ``convention``: the report breaks its own specification.
    """
    cached = read + sum(write)
    exclusive = cached > whole[0] or (cached > 0 and total == sum(whole) + cached)
    if exclusive:
        counts.faults.add("convention")
    inputs = input_leaves(whole[0] + (cached if exclusive else 0), counts, read=read, write=write, audio=audio[0])
    outputs = output_leaves(whole[1], counts, audio=audio[1], reasoning=reasoning)
    return inputs | outputs, "exclusive" if exclusive else "inclusive"
