"""How does Bytewax do it? A Kafka source in batches, an event-time clock, tumbling windows that are folded.

Best settings tried: the size of the source's batches, decoding by the batch, and a fold that need not keep the order.
A window is emitted when its key's time has passed it, and when the source ends.
"""

import sys
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import bytewax.operators as op
import orjson
from bytewax._bytewax import cli_main
from bytewax.connectors.kafka import KafkaSource
from bytewax.dataflow import Dataflow
from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition
from bytewax.operators import windowing
from bytewax.outputs import DynamicSink, StatelessSinkPartition

from benchmarks.contestants.task import WINDOW_SECONDS, Stopwatch, Task, answer

__all__ = ["main"]

_BATCHES: Final = {False: 1_000, True: 100}
"""Records at once, of one event and of many: the fastest of 100, 1,000 and 10,000 for each."""

_WAIT: Final = timedelta(seconds=10)
"""A key's time goes on with the clock while a batch is worked on; without this, events in order would be too late."""

_START: Final = datetime(2020, 1, 1, tzinfo=UTC)


class _Until(StatefulSourcePartition):  # type: ignore[misc] # bytewax publishes no types
    """A partition of the source that ends when enough events have come from all of them together."""

    def __init__(self, inner: Any, watch: Stopwatch, events: int) -> None:
        self._inner, self._watch, self._events = inner, watch, events

    def next_batch(self) -> Iterable[Any]:
        if self._watch.events >= self._events:
            raise StopIteration
        batch: Iterable[Any] = self._inner.next_batch()
        if batch:
            self._watch.begin()
        return batch

    def snapshot(self) -> Any:
        return self._inner.snapshot()

    def close(self) -> None:
        self._inner.close()


class _Source(FixedPartitionedSource):  # type: ignore[misc] # bytewax publishes no types
    def __init__(self, inner: KafkaSource, watch: Stopwatch, events: int) -> None:
        self._inner, self._watch, self._events = inner, watch, events

    def list_parts(self) -> list[str]:
        return list(self._inner.list_parts())

    def build_part(self, step_id: str, for_part: str, resume_state: Any) -> _Until:
        return _Until(self._inner.build_part(step_id, for_part, resume_state), self._watch, self._events)


class _Collected(StatelessSinkPartition):  # type: ignore[misc] # bytewax publishes no types
    def __init__(self, costs: Counter[tuple[str, int]], watch: Stopwatch) -> None:
        self._costs, self._watch = costs, watch

    def write_batch(self, items: list[Any]) -> None:
        for key, (window, cost) in items:
            self._costs[key, int(_START.timestamp()) + window * WINDOW_SECONDS] += cost
        self._watch.end()


class _Sink(DynamicSink):  # type: ignore[misc] # bytewax publishes no types
    def __init__(self, costs: Counter[tuple[str, int]], watch: Stopwatch) -> None:
        self._costs, self._watch = costs, watch

    def build(self, step_id: str, worker_index: int, worker_count: int) -> _Collected:  # noqa: ARG002 - its interface
        return _Collected(self._costs, self._watch)


def _flow(task: Task, watch: Stopwatch, costs: Counter[tuple[str, int]]) -> Dataflow:
    cost, parse = task.prices.cost, datetime.fromisoformat

    def decode(messages: list[Any]) -> list[tuple[str, tuple[datetime, int]]]:
        events = [orjson.loads(line) for message in messages for line in message.value.split(b"\n")]
        watch.events += len(events)
        watch.keys.update([event["tenant"] for event in events])
        return [(event["tenant"], (parse(event["occurred_at"]), cost(event))) for event in events]

    flow = Dataflow("costs")
    source = KafkaSource([task.kafka], [task.topic], tail=False, batch_size=_BATCHES[task.coalesced > 1])
    records = op.input("records", flow, _Source(source, watch, task.events))
    windows = windowing.fold_window(
        "sum",
        op.flat_map_batch("decode", records, decode),
        windowing.EventClock(ts_getter=lambda item: item[0], wait_for_system_duration=_WAIT),
        windowing.TumblingWindower(length=timedelta(seconds=WINDOW_SECONDS), align_to=_START),
        builder=lambda: 0,
        folder=lambda total, item: total + item[1],
        merger=lambda one, other: one + other,
        ordered=False,
    )
    op.output("windows", windows.down, _Sink(costs, watch))
    return flow


def main() -> int:
    """Run the dataflow in one worker."""
    task, watch, costs = Task(), Stopwatch(), Counter[tuple[str, int]]()
    cli_main(_flow(task, watch, costs))
    answer(watch, costs)
    return 0


if __name__ == "__main__":
    sys.exit(main())
