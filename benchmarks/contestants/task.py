"""What is a contestant told, how is it timed, and how does it answer?"""

import argparse
import json
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

__all__ = ["WINDOW_SECONDS", "Prices", "Stopwatch", "Tariff", "Task", "answer"]

WINDOW_SECONDS: Final = 60

_INPUTS: Final = (
    "input_tokens",
    "cache_read_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "input_audio_tokens",
)
"""What the size of an input is made of."""


class Tariff(NamedTuple):
    """Picodollars per token of each kind: inputs of up to so many tokens, and larger ones; 0: all cost the same."""

    upto: int
    small: Mapping[str, int]
    large: Mapping[str, int]


class Prices:
    """What a token costs, looked up by provider, model and tier."""

    def __init__(self, tariffs: Mapping[tuple[str, str, str], Tariff]) -> None:
        self._tariffs = dict(tariffs)

    @classmethod
    def read(cls, path: Path) -> "Prices":
        """Read the file that ``write`` made."""
        rows = json.loads(path.read_text(encoding="utf-8"))
        return cls({(provider, model, tier): Tariff(*tariff) for provider, model, tier, tariff in rows})

    def write(self, path: Path) -> None:
        """Write the table for a contestant to read."""
        path.write_text(json.dumps([[*key, tariff] for key, tariff in self._tariffs.items()]), encoding="utf-8")

    def cost(self, event: Mapping[str, Any]) -> int:
        """Price a decoded event in picodollars; one whose model is not in the table costs nothing."""
        tariff = self._tariffs.get((event["provider"], event["model"], event.get("service_tier", "standard")))
        if tariff is None:
            return 0
        units = tariff.small
        if tariff.upto and sum([event[leaf] for leaf in _INPUTS if leaf in event]) > tariff.upto:
            units = tariff.large
        return sum([event[leaf] * price for leaf, price in units.items() if leaf in event])


class Task:
    """What the command line says: where the events are, how many to take (so many a record), what they cost.

    ``scratch`` is a directory for whatever a contestant keeps; the contest removes it, also where it had to kill one.
    """

    def __init__(self, *ways: str) -> None:
        """Read the command line; ``ways``: what the module can be asked to do, if there is a choice."""
        parser = argparse.ArgumentParser()
        if ways:
            parser.add_argument("way", choices=ways)
        parser.add_argument("--kafka", required=True)
        parser.add_argument("--topic", required=True)
        parser.add_argument("--events", type=int, required=True)
        parser.add_argument("--coalesced", type=int, required=True)
        parser.add_argument("--prices", type=Path, required=True)
        parser.add_argument("--name", required=True, help="a group of its own, so that it begins at the start")
        given = parser.parse_args()
        self.way: str = given.way if ways else ""
        self.kafka: str = given.kafka
        self.topic: str = given.topic
        self.events: int = given.events
        self.coalesced: int = given.coalesced
        self.name: str = given.name
        self.prices = Prices.read(given.prices)
        self.scratch: Path = given.prices.parent


class Stopwatch:
    """Counts events by key; runs from the first event on until it is stopped."""

    def __init__(self) -> None:
        self.keys: Counter[str] = Counter()
        self.events = 0
        self.size = 0
        self._begun: tuple[int, float, float] | None = None
        self._ended: tuple[int, float, float] | None = None

    def begin(self) -> None:
        """Start at the first call, when events have come but none was worked on; nothing happens at later calls."""
        if self._begun is None:
            self._begun = (self.events, time.perf_counter(), time.process_time())

    def end(self) -> None:
        """Note the time; the last note counts."""
        self._ended = (self.events, time.perf_counter(), time.process_time())

    def figures(self) -> dict[str, Any]:
        """Say how many events were worked on, in which time and at what cost. Not to be asked before ``end``."""
        if self._begun is None or self._ended is None:
            raise RuntimeError("the stopwatch was not started and stopped")
        status = Path("/proc/self/status").read_text(encoding="utf-8")
        events, seconds, cpu_seconds = [end - begin for begin, end in zip(self._begun, self._ended, strict=True)]
        return {
            "pace": {"events": events, "seconds": seconds, "cpu_seconds": cpu_seconds},
            "megabytes": int(status.partition("VmHWM:")[2].split()[0]) / 1024,
            "events": self.events,
            "size": self.size,
        }


def answer(watch: Stopwatch, costs: Mapping[tuple[str, int], int]) -> None:
    """Print the figures and the windows: (key, start in seconds since 1970) to picodollars."""
    windows = [[key, start, cost] for (key, start), cost in costs.items()]
    print(json.dumps(watch.figures() | {"keys": watch.keys, "costs": windows}), flush=True)
