"""Which topics are there, and with which settings? The one place that says."""

from dataclasses import dataclass
from typing import Final

__all__ = [
    "CONTENT_TYPE",
    "CONTENT_TYPE_HEADER",
    "DEFAULT_BLOCK_OFFSETS",
    "SCHEMA_HEADER",
    "TopicNames",
    "TopicSpec",
    "topic_specs",
]

CONTENT_TYPE_HEADER: Final = "content-type"
CONTENT_TYPE: Final = "application/x-ndjson"
"""A record's value is one or more JSON lines."""

SCHEMA_HEADER: Final = "spendgauge-schema"
"""The header that names the lines' schema and version, such as ``spendgauge.usage/1``."""

DEFAULT_BLOCK_OFFSETS: Final = 16_384
"""How many offsets make a block. Part of a stream's identity: changing it starts another stream.
Larger: fewer contributions, a longer rebuild after a crash. 16,384 records of up to 100 coalesced events are at most
1.6 million events to read again."""

_DAY_MS = 86_400_000
_SPREADING_PARTITIONS = 4
_COMPACTED_EARLY: Final = {
    "cleanup.policy": "compact",
    "segment.bytes": str(16 * 1024 * 1024),
    "segment.ms": str(_DAY_MS // 24),
    "min.cleanable.dirty.ratio": "0.1",
}


@dataclass(frozen=True)
class TopicNames:
    """The topics' names under a prefix (default none)."""

    prefix: str = ""

    @property
    def usage(self) -> str:
        """Usage events, keyed by source."""
        return f"{self.prefix}usage.events"

    @property
    def rejected(self) -> str:
        """Dead letters of usage events."""
        return f"{self.prefix}usage.rejected"

    @property
    def positions(self) -> str:
        """Where each source stands where a block begins, for the workers; partitions as those of the usage events."""
        return f"{self.prefix}usage.positions"

    @property
    def gaps(self) -> str:
        """What is missing of each source, keyed by source."""
        return f"{self.prefix}usage.gaps"

    @property
    def rates(self) -> str:
        """Contributions, keyed by series and key."""
        return f"{self.prefix}cost.rates"

    @property
    def alerts(self) -> str:
        """Alerts, keyed by alert id."""
        return f"{self.prefix}cost.alerts"

    @property
    def watch(self) -> str:
        """What the watcher keeps of each partition of ``cost.rates``; partitions as those."""
        return f"{self.prefix}cost.watch"

    @property
    def quotas(self) -> str:
        """Limits and what is spent of them, keyed by quota and scope."""
        return f"{self.prefix}cost.quotas"

    @property
    def refusals(self) -> str:
        """Calls that a quota refused, or let pass with a warning."""
        return f"{self.prefix}cost.refusals"

    @property
    def silences(self) -> str:
        """What people silenced or acknowledged."""
        return f"{self.prefix}cost.silences"

    @property
    def deliveries(self) -> str:
        """What was delivered to which channel, for the notifier that goes on."""
        return f"{self.prefix}cost.deliveries"

    @property
    def stored(self) -> tuple[str, ...]:
        """What the sink reads."""
        return (self.usage, self.rates, self.gaps, self.alerts, self.refusals, self.rejected)


@dataclass(frozen=True)
class TopicSpec:
    """One topic to create."""

    name: str
    partitions: int
    config: dict[str, str]


def topic_specs(
    names: TopicNames, *, partitions: int = _SPREADING_PARTITIONS, retention_days: int = 7
) -> tuple[TopicSpec, ...]:
    """List all topics with their settings.

    ``partitions`` is how far workers scale. ``usage.events`` takes the broker's clock for its timestamps: they are
    ``received_at``, and decide whether an event is too old, the same way each time it is read. Compacted topics
    are read whole by each process that starts, so their segments are closed, and with that compacted, early.
    """
    kept = {"cleanup.policy": "delete", "retention.ms": str(retention_days * _DAY_MS)}
    return (
        TopicSpec(names.usage, partitions, {**kept, "message.timestamp.type": "LogAppendTime"}),
        TopicSpec(names.rejected, partitions, kept),
        TopicSpec(names.positions, partitions, _COMPACTED_EARLY),
        TopicSpec(names.gaps, partitions, kept),
        TopicSpec(names.rates, partitions, kept),
        TopicSpec(names.watch, partitions, _COMPACTED_EARLY),
        TopicSpec(names.alerts, 1, kept),
        TopicSpec(names.quotas, 1, _COMPACTED_EARLY),
        TopicSpec(names.refusals, partitions, kept),
        TopicSpec(names.silences, 1, _COMPACTED_EARLY),
        TopicSpec(names.deliveries, 1, _COMPACTED_EARLY),
    )
