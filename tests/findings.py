"""What did the workers write? Their topics, read from the start, as dictionaries to compare with a model's."""

import json
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tests.loads import Totals, add_up
from tests.naive import Place, SourceName
from tests.naive_sources import SourceReport
from tests.topic_logs import LogRecord, compacted, lines_of, read_lines, read_log

from spendgauge.schemas import KafkaSettings

__all__ = ["Findings"]

_Block = tuple[str, int, int]
"""Stream, partition and block."""


@dataclass(frozen=True)
class Findings:
    """What lies in the topics that workers write; each is read once, when it is asked for."""

    kafka: KafkaSettings

    @cached_property
    def rates(self) -> list[LogRecord]:
        """All records of ``cost.rates``."""
        return read_log(self.kafka, self.kafka.topics.rates)

    @cached_property
    def contributions(self) -> list[dict[str, Any]]:
        """All lines of ``cost.rates``."""
        return lines_of(self.rates)

    def holes(self) -> list[tuple[int, int]]:
        """Name partition and offset behind which offsets of ``cost.rates`` are not there: nothing removes any there, so
        the broker has acknowledged what it did not keep."""
        offsets = sorted((record.partition, record.offset) for record in self.rates)
        pairs = zip([(one, -1) for one, _ in offsets[:1]] + offsets, offsets, strict=False)
        return [before for before, after in pairs if before[0] == after[0] and before[1] + 1 != after[1]]

    @cached_property
    def positions(self) -> list[LogRecord]:
        """All records of ``usage.positions``, removed ones too."""
        return read_log(self.kafka, self.kafka.topics.positions)

    def totals(self) -> Totals:
        """Add up the highest versions."""
        return add_up(self.contributions)

    @cached_property
    def editions(self) -> dict[_Block, int]:
        """The newest edition that each block was written in."""
        newest: dict[_Block, int] = {}
        for one in self.contributions:
            block = (_plain(one["stream"]), one["partition"], one["block"])
            newest[block] = max(newest.get(block, 0), one["edition"])
        return newest

    def mixed_blocks(self) -> list[_Block]:
        """List the blocks of which something still counts in an older edition."""
        highest: dict[tuple[Any, ...], int] = defaultdict(int)
        for one in self.contributions:
            block = (_plain(one["stream"]), one["partition"], one["block"])
            name = (*block, one["stream"], one["series"], *one["key"], one["pane_start"])
            highest[name] = max(highest[name], one["edition"])
        return sorted({name[:3] for name, edition in highest.items() if edition < self.editions[name[:3]]})

    @cached_property
    def books(self) -> dict[tuple[str, int, int], dict[str, Any]]:
        """What was ever written of a stream's partition's edition."""
        keys = [(record, json.loads(record.key or b"")) for record in self.positions]
        return {
            (key[0], record.partition, key[2]): json.loads(record.value)
            for record, key in keys
            if key[1] == "book" and record.value is not None
        }

    def unverified(self) -> set[tuple[str, int]]:
        """List the streams' partitions that were begun without knowing what came before."""
        return {(stream, partition) for (stream, partition, _), book in self.books.items() if book.get("unverified")}

    def entries(self) -> dict[tuple[str, int, str], list[int]]:
        """List the blocks at which compaction keeps an entry, for each stream, partition and source."""
        kept: dict[tuple[str, int, str], list[int]] = defaultdict(list)
        for partition, raw in compacted(self.positions):
            stream, block, source = json.loads(raw or b"")
            if block != "book":
                kept[stream, partition, source].append(block)
        return kept

    def rejects(self) -> dict[Place, tuple[str, str]]:
        """Give reason and bytes (as they are written) of each reject."""
        lines = read_lines(self.kafka, self.kafka.topics.rejected)
        return {
            (one["stream"], one["partition"], one["offset"], one["line"]): (one["reason"], one["value"])
            for one in lines
        }

    def reports(self) -> dict[SourceName, SourceReport]:
        """Give the highest version of what was said of each source."""
        lines = sorted(read_lines(self.kafka, self.kafka.topics.gaps), key=lambda line: int(line["version"]))
        return {
            (one["stream"], one["partition"], one["source"]): SourceReport(
                tuple((gap["first_seq"], gap["last_seq"]) for gap in one["gaps"]), one["repeats"], one["shared"]
            )
            for one in lines
        }

    def open_alerts(self) -> set[str]:
        """Name the alerts that were raised and not resolved."""
        said: dict[str, set[str]] = defaultdict(set)
        for one in read_lines(self.kafka, self.kafka.topics.alerts):
            said[one["state"]].add(one["alert_id"])
        return said["raised"] - said["resolved"]

    def open_gaps(self) -> set[str]:
        """Name the alerts of the gaps that are open by the lines of ``usage.gaps``; parts of one gap are one."""
        lines = sorted(read_lines(self.kafka, self.kafka.topics.gaps), key=lambda line: int(line["version"]))
        last = {(one["stream"], one["partition"], one["source"]): one["gaps"] for one in lines}
        return {
            f"gap:{stream}:{partition}:{gap['opened_offset']}:{source}"
            for (stream, partition, source), gaps in last.items()
            for gap in gaps
        }


def _plain(stream: str) -> str:
    """Name the stream of a block that begins late as that of the others."""
    return stream.partition("@")[0]
