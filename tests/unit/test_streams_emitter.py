"""What does the emitter do where no broker is? It tries on, and stops when it is told to."""

from threading import Timer

import pytest

from spendgauge.schemas import ConfigurationError, KafkaSettings
from spendgauge.streams.emitter import Emitter
from spendgauge.streams.records import Record

_NOWHERE = "127.0.0.1:1"


def test_nothing_is_nothing_to_wait_for() -> None:
    """No records are acknowledged at once."""
    assert Emitter(KafkaSettings(kafka=_NOWHERE)).emit("topic", "schema", [])


def test_a_stop_ends_the_waiting() -> None:
    """What was not acknowledged by the time of the stop is said not to be."""
    emitter = Emitter(KafkaSettings(kafka=_NOWHERE))
    timer = Timer(0.2, emitter.stop)
    timer.start()
    assert not emitter.emit("topic", "schema", [Record(0, b"line")])
    timer.join()


def test_wrong_options_are_refused() -> None:
    """An option that librdkafka does not know is named when the worker is built."""
    with pytest.raises(ConfigurationError, match=r"no\.such\.option"):
        Emitter(KafkaSettings(kafka=_NOWHERE, kafka_options={"no.such.option": "1"}))
