"""How do fetched bytes become a chunk? Record batch by record batch, into parallel lists.

aiokafka makes a ``ConsumerRecord`` of eleven fields of each record, and Faust an event of each of those. Both cost
more than all that is done with the record here, so this module takes the record batches that aiokafka's fetcher has
received and reads them straight into lists. It knows aiokafka's fetcher from the inside (0.12 to 0.14); the transport
test holds it to what ``AIOKafkaConsumer.getmany`` returns.
"""

from dataclasses import dataclass, field
from typing import Any, Final

from aiokafka.consumer.fetcher import FetchResult
from aiokafka.errors import CorruptRecordException

from spendgauge.schemas.records import Headers

__all__ = ["Fetched", "take_records"]

_NO_HEADERS: Final[Headers] = ()


@dataclass
class Fetched:
    """Records of one partition, as they came, and where the next ones begin."""

    epoch: int
    """Which seek it follows."""
    begins_at: int
    next_offset: int
    value_bytes: int = 0
    offsets: list[int] = field(default_factory=list)
    timestamps_ms: list[int] = field(default_factory=list)
    keys: list[bytes | None] = field(default_factory=list)
    values: list[bytes | None] = field(default_factory=list)
    headers: list[Headers] = field(default_factory=list)


def take_records(result: FetchResult, state: Any, *, epoch: int, max_bytes: int) -> Fetched | None:
    """Take records out of a fetch response, whole batches, until their values have ``max_bytes``.

    ``state`` is aiokafka's state of the partition; its position moves behind what was taken. None where the response
    is no longer wanted: the partition was sought, paused or taken away since it was asked for.
    """
    if not result.check_assignment(None) or not result.has_more():
        return None
    pending = result._partition_records
    batches = pending._records
    fetched = Fetched(epoch, state.position, state.position)
    while batches.has_next() and fetched.value_bytes < max_bytes:
        batch = batches.next_batch()
        if pending._check_crcs and not batch.validate_crc():
            raise CorruptRecordException(f"invalid CRC in {pending._tp} at offset {batch.base_offset}")
        if not batch.is_control_batch:
            _take_batch(batch, fetched)
        fetched.next_offset = batch.next_offset
    pending.next_fetch_offset = fetched.next_offset
    state.consumed_to(fetched.next_offset)
    if not batches.has_next():
        pending._records_iterator = None  # it and its object hold each other, and with them megabytes
        result._partition_records = None
    return fetched


def _take_batch(batch: Any, fetched: Fetched) -> None:
    """Append a batch's records; those before the wanted offset (a batch is fetched whole) are left out."""
    records = [record for record in batch if record.offset >= fetched.next_offset]
    fetched.offsets += [record.offset for record in records]
    fetched.timestamps_ms += [record.timestamp for record in records]
    fetched.keys += [record.key for record in records]
    values = [record.value for record in records]
    fetched.values += values
    fetched.value_bytes += sum(map(len, filter(None, values)))
    last: Headers = _NO_HEADERS
    # Equal neighbours share one object: the garbage collector would visit a list and its pairs for each record.
    fetched.headers += [last if record.headers == last else (last := record.headers) for record in records]
