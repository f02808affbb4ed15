"""Where do changes go? Each kind to its topic, and entries of ``usage.positions`` before anything that relies on them.

A contribution says its edition, and the entry that says which price book that is must be there first.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain

from spendgauge.schemas.alerts import ALERTS_SCHEMA
from spendgauge.schemas.positions import GAPS_SCHEMA, POSITIONS_SCHEMA
from spendgauge.schemas.rates import RATES_SCHEMA, SeriesSpec
from spendgauge.schemas.rejects import REJECTED_SCHEMA
from spendgauge.schemas.topics import TopicNames
from spendgauge.streams.accounting.records import entry_records, gap_records
from spendgauge.streams.emitter import Emitter
from spendgauge.streams.rating.pipeline import Changes
from spendgauge.streams.rating.rates import rate_records, reject_records
from spendgauge.streams.records import Record, alert_records

__all__ = ["Writer"]


class Writer:
    """Writes changes and waits until the broker has acknowledged them; for one thread at a time."""

    def __init__(
        self, emitter: Emitter, *, topics: TopicNames, partitions: Mapping[str, int], specs: Sequence[SeriesSpec]
    ) -> None:
        """``partitions``: how many the topics have."""
        self._emitter = emitter
        self._topics = topics
        self._partitions = partitions
        self._specs = specs

    @property
    def stopped(self) -> bool:
        """Whether nothing more is to be waited for."""
        return self._emitter.stopped

    def stop(self) -> None:
        """Give up what the broker does not take now."""
        self._emitter.stop()

    def write(self, changes: Sequence[Changes]) -> bool:
        """Write all that changed; say whether all is acknowledged."""
        return all(self._emitter.emit(topic, schema, records) for topic, schema, records in self._records(changes))

    def _records(self, changes: Sequence[Changes]) -> Iterator[tuple[str, str, Sequence[Record]]]:
        """Write changes as records, a topic at a time, as they are asked for."""
        topics, words = self._topics, [one.sources for one in changes]
        for one in changes:
            yield topics.positions, POSITIONS_SCHEMA, entry_records(one.sources.entries, partition=one.partition)
        contributions = chain.from_iterable(one.contributions for one in changes)
        for records in rate_records(contributions, specs=self._specs, partitions=self._partitions[topics.rates]):
            yield topics.rates, RATES_SCHEMA, records
        rejects = chain.from_iterable(one.rejects for one in changes)
        yield topics.rejected, REJECTED_SCHEMA, reject_records(rejects, partitions=self._partitions[topics.rejected])
        gaps = chain.from_iterable(one.gaps for one in words)
        yield topics.gaps, GAPS_SCHEMA, gap_records(gaps, partitions=self._partitions[topics.gaps])
        alerts = chain.from_iterable(one.alerts for one in words)
        yield topics.alerts, ALERTS_SCHEMA, alert_records(alerts, partitions=self._partitions[topics.alerts])
