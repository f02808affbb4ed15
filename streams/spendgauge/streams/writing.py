"""Where do changes go? Contributions to ``cost.rates``, rejects to ``usage.rejected``."""

from collections.abc import Mapping, Sequence
from itertools import chain

from spendgauge.schemas.rates import RATES_SCHEMA, SeriesSpec
from spendgauge.schemas.rejects import REJECTED_SCHEMA
from spendgauge.schemas.topics import TopicNames
from spendgauge.streams.emitter import Emitter
from spendgauge.streams.pipeline import Changes
from spendgauge.streams.rates import rate_records, reject_records

__all__ = ["Writer"]


class Writer:
    """Writes changes and waits until the broker has acknowledged them; for one thread at a time."""

    def __init__(
        self, emitter: Emitter, *, topics: TopicNames, partitions: Mapping[str, int], specs: Sequence[SeriesSpec]
    ) -> None:
        """``partitions``: how many the two topics have."""
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
        """Write contributions and rejects; say whether all is acknowledged."""
        rates, rejected = self._topics.rates, self._topics.rejected
        contributions = chain.from_iterable(one.contributions for one in changes)
        written = rate_records(contributions, specs=self._specs, partitions=self._partitions[rates])
        if not all(self._emitter.emit(rates, RATES_SCHEMA, records) for records in written):
            return False
        rejects = chain.from_iterable(one.rejects for one in changes)
        records = reject_records(rejects, partitions=self._partitions[rejected])
        return self._emitter.emit(rejected, REJECTED_SCHEMA, records)
