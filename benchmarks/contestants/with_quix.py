"""How does Quix Streams do it? A dataframe of records, tumbling windows with an aggregation, state in RocksDB.

Best settings tried: commits every 5 s (its default), large fetches, logs off. The records' own key is the window's
key, so nothing is repartitioned. State has its changelog topic, as it has by default.
"""

import sys
import tempfile
from datetime import datetime
from typing import Any, Final

import orjson
from quixstreams import Application
from quixstreams.dataframe.windows import Sum

from benchmarks.contestants.task import WINDOW_SECONDS, Stopwatch, Task, answer

__all__ = ["main"]

_FETCH: Final = {"fetch.max.bytes": 16_777_216, "max.partition.fetch.bytes": 4_194_304}


def _application(task: Task, state_dir: str) -> Application:
    return Application(
        broker_address=task.kafka,
        consumer_group=task.name,
        auto_offset_reset="earliest",
        commit_interval=5.0,
        state_dir=state_dir,
        loglevel="ERROR",
        consumer_extra_config={"session.timeout.ms": 6_000, **_FETCH},
        consumer_poll_timeout=0.1,
    )


def _milliseconds(event: dict[str, Any], *_: Any) -> int:
    return round(datetime.fromisoformat(event["occurred_at"]).timestamp() * 1000)


def main() -> int:
    """Run the application until enough events have gone through its windows."""
    task, watch, costs = Task(), Stopwatch(), dict[tuple[str, int], int]()
    cost, keys = task.prices.cost, watch.keys

    def decode(value: bytes) -> list[dict[str, Any]]:
        watch.begin()
        events = [orjson.loads(line) for line in value.split(b"\n")]
        for event in events:
            event["cost"] = cost(event)
        return events

    def collect(window: dict[str, int], key: bytes, _timestamp: Any, _headers: Any) -> None:
        name = key.decode()
        costs[name, window["start"] // 1000] = window["cost"]
        keys[name] += 1
        watch.events += 1
        if watch.events == task.events:
            watch.end()
            app.stop()

    with tempfile.TemporaryDirectory(dir=task.scratch) as folder:
        app = _application(task, folder)
        records = app.dataframe(app.topic(task.topic, value_deserializer="bytes", key_deserializer="bytes"))
        events = records.apply(decode, expand=True).set_timestamp(_milliseconds)
        windows = events.tumbling_window(WINDOW_SECONDS * 1000).agg(cost=Sum("cost")).current()
        windows.update(collect, metadata=True)
        app.run()
        answer(watch, costs)
    return 0


if __name__ == "__main__":
    sys.exit(main())
