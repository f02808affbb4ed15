"""What tests of tracked clients share: the providers, and who records the events."""

from collections.abc import Iterator

import pytest
from tests.providers.server import Played, play

from spendgauge.producers import RecordingProducer


@pytest.fixture
def played() -> Iterator[Played]:
    """Play both providers."""
    with play() as running:
        yield running


@pytest.fixture
def producer() -> Iterator[RecordingProducer]:
    """Record events, of which none may be invalid."""
    recording = RecordingProducer("support-bot")
    yield recording
    assert recording.invalid == []
