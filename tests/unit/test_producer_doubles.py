"""Can a service be tested with a double in the producer's place, and told nothing wrong?"""

import subprocess
import sys
import threading
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.producers import CALL, FakeBroker, FakeClock

import spendgauge.producers
from spendgauge.producers import (
    NullProducer,
    ProducerSettings,
    ProducerStats,
    RecordingProducer,
    UsageEmitter,
    UsageProducer,
    create_producer,
)
from spendgauge.schemas import ConfigurationError, UsageEvent


def serve(emitter: UsageEmitter) -> str | None:
    """What a service does with whichever producer it was given."""
    with emitter:
        return emitter.emit(**CALL)


def test_a_recording_keeps_what_a_broker_would_get() -> None:
    """Events are kept validated, with source, seq and the defaults; an invalid one is kept apart, with why."""
    clock = FakeClock()
    recording = RecordingProducer("api", clock=clock, team="search")
    assert recording.emit(**CALL, feature="chat") == recording.events[0].event_id
    assert recording.emit(**CALL, cache_read_tokens=-1) is None
    recording.emit(**CALL)
    assert [event.seq for event in recording.events] == [0, 1]
    first = recording.events[0]
    assert (first.service, first.team, first.feature, first.source) == ("api", "search", "chat", "api@recording#0")
    (refused,) = recording.invalid
    assert (refused.index, refused.fields["cache_read_tokens"]) == (1, -1)  # type: ignore[call-overload] # fields as given
    assert "cache_read_tokens -1 must be >= 0" in refused.reason
    assert recording.stats() == ProducerStats(accepted=2, delivered=2, records=2, invalid=1)


def test_a_closed_recording_takes_no_more() -> None:
    """After close a recording counts events as closed, as the real one; what it kept stays readable."""
    recording = RecordingProducer()
    assert serve(recording) is not None
    assert (recording.emit(**CALL), recording.flush(0), recording.close(0)) == (None, True, True)
    assert (len(recording.events), recording.stats().closed) == (1, 1)


def test_the_null_producer_does_nothing() -> None:
    """A NullProducer takes anything, returns None and counts nothing."""
    nothing = NullProducer()
    assert serve(nothing) is None
    assert nothing.emit(any=object()) is None
    assert (nothing.stats(), nothing.flush(0), nothing.close(0)) == (ProducerStats(), True, True)


def test_doubles_start_no_thread() -> None:
    """Neither double has a thread, a client or anything to close."""
    before = threading.enumerate()
    serve(RecordingProducer())
    serve(NullProducer())
    assert threading.enumerate() == before


def test_doubles_touch_nothing() -> None:
    """Neither double opens a file, a socket or a process, or starts a thread; what Python imports late is there."""
    use = (
        "with RecordingProducer('api') as double: double.emit(provider='p', model='m'); double.emit(prompt='x')\n"
        "NullProducer().emit(provider='p'); NullProducer().close()\n"
    )
    code = (
        "import sys, threading; from spendgauge.producers import NullProducer, RecordingProducer; seen = []\n"
        f"{use}sys.addaudithook(lambda event, _: seen.append(event))\n{use}"
        "print(sorted({event.split('.')[0] for event in seen} & {'open', 'os', 'socket', 'subprocess', 'shutil'}),"
        " threading.active_count())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[] 1\n"


VALUES = st.one_of(
    st.none(), st.integers(-5, 5), st.floats(0, 2), st.text(max_size=5), st.just("ok"), st.just({"k": "v"})
)
CALLS = st.lists(st.dictionaries(st.sampled_from(sorted(UsageEvent.model_fields)), VALUES, max_size=4), max_size=10)


@settings(deadline=None, max_examples=50)
@given(calls=CALLS)
def test_the_double_judges_as_the_real_one(calls: list[dict[str, Any]]) -> None:
    """For the same calls at the same time, a recording keeps what a real producer sends, but for ids and source."""
    clock, broker = FakeClock(), FakeBroker()
    recording = RecordingProducer("api", clock=clock)
    real = UsageProducer(ProducerSettings(service="api"), connect=broker.connect, clock=clock)
    for fields in calls:
        recording.emit(**CALL | fields)
        real.emit(**CALL | fields)
    assert real.close(10)
    assert real.stats().invalid == len(recording.invalid)
    own = {"event_id", "source"}
    assert [event.model_dump(exclude=own) for event in broker.events] == [
        event.model_dump(exclude=own) for event in recording.events
    ]


def test_what_is_switched_off_says_so_once(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """With SPENDGAUGE_DISABLED the first emit logs that nothing is sent, and no other does; a NullProducer made by hand
    says nothing."""
    monkeypatch.setenv("SPENDGAUGE_DISABLED", "1")
    for emitter in (create_producer(), NullProducer()):
        for _ in range(3):
            assert emitter.emit(**CALL) is None
    assert caplog.messages == ["event='usage events are not sent' count=1 reason='SPENDGAUGE_DISABLED is set'"]


def test_only_a_spool_needs_the_spool() -> None:
    """A producer without ``spool_dir`` never imports the spool: neither file locks nor its code cost it anything."""
    code = (
        "import sys; from spendgauge.producers import RecordingProducer, UsageProducer; "
        "RecordingProducer().emit(); UsageProducer(service='api', kafka='127.0.0.1:1').close(0); "
        "print([name for name in sys.modules if 'producers.spool.' in name or name == 'structlog'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("value", ["1", "true", "yes", "on"])
def test_disabled_needs_no_other_setting(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """With SPENDGAUGE_DISABLED the factory gives a NullProducer, whatever else is configured or not."""
    monkeypatch.setenv("SPENDGAUGE_DISABLED", value)
    monkeypatch.setenv("SPENDGAUGE_LANES", "none at all")
    assert type(create_producer()) is NullProducer


def test_the_factory_reads_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables configure the producer; what is given in code wins."""
    for name, value in {
        "SERVICE": "from-env",
        "LANES": "3",
        "DIMENSIONS": "team=a,feature=x,,y",
        "DISABLED": "0",
    }.items():
        monkeypatch.setenv(f"SPENDGAUGE_{name}", value)
    monkeypatch.setenv("SPENDGAUGE_KAFKA", "127.0.0.1:1")
    emitter = create_producer(lanes=2)
    assert isinstance(emitter, UsageProducer)
    assert (emitter.settings.service, emitter.settings.lanes) == ("from-env", 2)
    assert emitter.settings.dimensions == {"team": "a", "feature": "x,y"}
    assert emitter.close(0)


def test_a_nameless_service_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a service's name the factory says how to give it."""
    monkeypatch.delenv("SPENDGAUGE_SERVICE", raising=False)
    with pytest.raises(ConfigurationError, match=r"name the service: .*SPENDGAUGE_SERVICE"):
        create_producer()


def test_settings_survive_the_environment() -> None:
    """Settings written as variables for a child process read back equal."""
    wanted = ProducerSettings(service="a b", lanes=2, dimensions={"team": "a,b"}, compression="zstd", exit_seconds=0.5)
    assert ProducerSettings.from_environment(wanted.environment()) == wanted


def test_the_rooms_names() -> None:
    """What services may rely on."""
    assert spendgauge.producers.__all__ == [
        "BulkSource",
        "BulkWriter",
        "CallCost",
        "DeliverySettings",
        "InvalidEventError",
        "InvalidRow",
        "ModelTotals",
        "NullProducer",
        "ProducerSettings",
        "ProducerStats",
        "PseudonymSettings",
        "QuotaExceeded",
        "QuotaGuard",
        "RecordingProducer",
        "UsageEmitter",
        "UsageProducer",
        "UsageTotals",
        "calculate_cost",
        "create_guard",
        "create_producer",
        "estimate_tokens",
        "pseudonym",
        "track",
        "usage_context",
    ]
