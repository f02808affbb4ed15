"""How are a verdict's parts written, and in which order? What is kept first; alerts that were not said, and quotas."""

from collections.abc import Collection, Iterable, Mapping, Sequence

from spendgauge.schemas.alerts import ALERTS_SCHEMA, Alert
from spendgauge.schemas.quotas import QUOTAS_SCHEMA
from spendgauge.schemas.topics import TopicNames
from spendgauge.streams.emitter import Emitter
from spendgauge.streams.judging.judge import Entry, KeptEntries, Verdict
from spendgauge.streams.records import Record, alert_records
from spendgauge.streams.watching.hearing import Hearing, said
from spendgauge.streams.watching.keeping import Keeper

__all__ = ["Herald"]


class Herald:
    """Writes what is to be kept and said, each acknowledged before the next; for one thread at a time."""

    def __init__(
        self,
        emitter: Emitter,
        keeper: Keeper,
        hearing: Hearing,
        *,
        topics: TopicNames,
        partitions: Mapping[str, int],
    ) -> None:
        """``partitions``: how many the topics have."""
        self._emitter = emitter
        self._keeper = keeper
        self._hearing = hearing
        self._topics = topics
        self._partitions = partitions

    @property
    def stopped(self) -> bool:
        """Whether nothing more is to be waited for."""
        return self._emitter.stopped

    def stop(self) -> None:
        """Give up what the broker does not take now."""
        self._emitter.stop()

    def take(self, partitions: Collection[int]) -> Mapping[int, KeptEntries]:
        """Take partitions over, and then hear all that their last owners have said; say what is kept of each.

        Those are left out that others take at the same time.
        """
        taken = self._keeper.take(partitions)
        self._hearing.catch_up()
        return taken

    def drop(self, partition: int) -> None:
        """Forget a partition: it is not ours any more."""
        self._keeper.drop(partition)

    def listen(self) -> list[Alert]:
        """Say what has come to ``cost.alerts`` since the last time."""
        return self._hearing.listen()

    def keep(self, entries: Mapping[int, Sequence[Entry]]) -> set[int]:
        """Write entries; say of which partitions all are kept. The others are to be taken over anew."""
        return self._keeper.keep(entries)

    def tell(self, verdicts: Sequence[Verdict]) -> tuple[list[Alert], set[int]]:
        """Write what verdicts say; return the alerts that were sent, and the partitions that are kept."""
        kept = self._keeper.keep({verdict.partition: verdict.entries for verdict in verdicts})
        speaking = {v.partition for v in verdicts if v.partition in kept and (v.alerts or v.quotas)}
        ours = self._prove(speaking)
        told = [verdict for verdict in verdicts if verdict.partition in ours]
        sent = self._send(alert for verdict in told for alert in verdict.alerts)
        quotas = [Record(0, value, key) for verdict in told for key, value in verdict.quotas]
        self._emitter.emit(self._topics.quotas, QUOTAS_SCHEMA, quotas)
        return sent, kept - (speaking - ours)

    def send(self, partition: int, alerts: Sequence[Alert]) -> tuple[list[Alert], set[int]]:
        """Send what was kept of a partition and may not have been sent; as ``tell``."""
        return self.tell([Verdict(partition, alerts=alerts)])

    def _prove(self, partitions: Collection[int]) -> set[int]:
        """Say which of these are ours at this moment; where that was in doubt, hear what others have said meanwhile."""
        ours, was_in_doubt = self._keeper.prove(partitions)
        if was_in_doubt:
            self._hearing.catch_up()
        return ours

    def _send(self, alerts: Iterable[Alert]) -> list[Alert]:
        """Send the alerts that were not said yet; return them once the broker has acknowledged each."""
        fresh = list({said(alert): alert for alert in alerts if not self._hearing.knows(alert)}.values())
        records = alert_records(fresh, partitions=self._partitions[self._topics.alerts])
        if not self._emitter.emit(self._topics.alerts, ALERTS_SCHEMA, records):
            return []
        self._hearing.learn(fresh)
        return fresh

    def close(self) -> None:
        """Leave the topics."""
        self._hearing.close()
