"""How much does a worker say? What libraries repeat is said once in half a minute, what we say always."""

import logging

import pytest

from spendgauge.streams.logs import quiet_libraries


def _record(name: str, line: int, at: float) -> logging.LogRecord:
    record = logging.LogRecord(name, logging.ERROR, "conn.py", line, "no broker", None, None)
    record.created = at
    return record


def test_libraries_repeat_themselves_at_most_twice_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same line of a library is passed once in thirty seconds, another line of it at once, ours each time."""
    handler = logging.NullHandler()
    monkeypatch.setattr(logging.getLogger(), "handlers", [handler])
    quiet_libraries()
    passed = [
        (name, line, at)
        for name, line, at in [
            ("aiokafka.client", 1, 100.0),
            ("aiokafka.client", 1, 101.0),
            ("aiokafka.client", 2, 101.0),
            ("spendgauge.streams", 1, 101.0),
            ("spendgauge.streams", 1, 102.0),
            ("aiokafka.client", 1, 130.0),
        ]
        if handler.filter(_record(name, line, at))
    ]
    assert passed == [
        ("aiokafka.client", 1, 100.0),
        ("aiokafka.client", 2, 101.0),
        ("spendgauge.streams", 1, 101.0),
        ("spendgauge.streams", 1, 102.0),
        ("aiokafka.client", 1, 130.0),
    ]
