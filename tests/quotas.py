"""How are quotas tested? With lines as the watcher writes them, put on a board or on the topic itself."""

from collections.abc import Sequence
from typing import Any

from confluent_kafka import Producer

from spendgauge.producers.quotas import QuotaSettings
from spendgauge.producers.quotas.board import Board
from spendgauge.producers.quotas.checks import QuotaChecks
from spendgauge.producers.quotas.verdict import QuotaVerdict
from spendgauge.schemas import Clock, KafkaSettings, QuotaClock, QuotaLimit, QuotaStanding
from spendgauge.schemas.kafka import client_options
from spendgauge.schemas.quotas import amount_text

__all__ = ["USD", "Answering", "limit", "quota_writer", "send_quotas", "standing", "ticked", "write_quotas"]

USD = 10**12
"""Picodollars."""


class Answering(QuotaChecks):
    """Checks that are filled by a test line by line, and keep what they were to tell."""

    def __init__(self, clock: Clock, **fields: Any) -> None:
        super().__init__(QuotaSettings.from_environment({}, service="test", **fields), clock=clock)
        self.board: Board = self._board
        self.told: list[QuotaVerdict] = []

    def take(self, *lines: QuotaLimit | QuotaStanding | QuotaClock) -> None:
        """Put lines on the board, which is then known to its end."""
        for line in lines:
            assert self.board.apply(*line.entry())
        self.board.complete = True

    def _told(self, verdict: QuotaVerdict, now_ms: int) -> QuotaVerdict:  # noqa: ARG002 - the overridden signature
        self.told.append(verdict)
        return verdict


def limit(name: str, series: str = "user_id", key: Sequence[str] = ("*",), **fields: Any) -> QuotaLimit:
    """Make a limit; ``hard`` and ``soft`` are dollars, or tokens where the unit says so."""
    unit = fields.pop("unit", "usd")
    soft, hard = (_amount(fields.pop(one, None), unit) for one in ("soft", "hard"))
    told: dict[str, Any] = {"period": "month", "days": None, "time_zone": "UTC", **fields}
    return QuotaLimit(kind="limit", name=name, series=series, key=tuple(key), unit=unit, soft=soft, hard=hard, **told)


def standing(name: str, spent: int, key: Sequence[str] = ("u1",), **fields: Any) -> QuotaStanding:
    """Make a standing of so many dollars (``unit`` tokens: tokens)."""
    told: dict[str, Any] = {"series": "user_id", "unit": "usd", "period_start": 0, "resets_at": None}
    told |= {"as_of_ms": 0, "state": "ok", "partition": 0, **fields}
    return QuotaStanding(kind="standing", name=name, key=tuple(key), spent=_amount(spent, told["unit"]), **told)


def ticked(as_of_ms: int, partition: int = 0) -> QuotaClock:
    """Make a clock."""
    return QuotaClock(kind="clock", partition=partition, as_of_ms=as_of_ms)


def send_quotas(kafka: KafkaSettings, *entries: tuple[bytes, bytes | None]) -> None:
    """Write records to ``cost.quotas``, in order, and wait until they are there."""
    write_quotas(quota_writer(kafka), kafka, *entries)


def quota_writer(kafka: KafkaSettings) -> Producer:
    """Connect for ``write_quotas``."""
    return Producer(client_options(kafka, acks="all"))


def write_quotas(producer: Producer, kafka: KafkaSettings, *entries: tuple[bytes, bytes | None]) -> None:
    """Write records through a connection that is there."""
    for key, value in entries:
        producer.produce(kafka.topics.quotas, value, key=key)
    assert producer.flush(20) == 0


def _amount(whole: int | None, unit: Any) -> Any:
    return None if whole is None else amount_text(whole * (USD if unit == "usd" else 1), unit)
