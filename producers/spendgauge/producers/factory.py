"""Which producer does this process get? The one its environment asks for."""

from typing import Any

from pydantic import Field

from spendgauge.producers.doubles import NullProducer
from spendgauge.producers.emitter import UsageEmitter
from spendgauge.producers.producer import UsageProducer
from spendgauge.producers.settings import ProducerSettings
from spendgauge.schemas.settings import EnvironmentSettings

__all__ = ["create_producer", "is_disabled"]


class _Switch(EnvironmentSettings):
    disabled: bool = Field(default=False, description="Whether events go nowhere: 1, true, yes or on.")


def create_producer(**fields: Any) -> UsageEmitter:
    """Create a producer from ``SPENDGAUGE_*`` variables and fields of ``ProducerSettings``; fields given here win.

    Where ``SPENDGAUGE_DISABLED`` is 1 it is a ``NullProducer`` that says so once, and nothing else needs to be set.
    Raises ``ConfigurationError`` where a setting cannot work; a broker that is away is no error.
    """
    if is_disabled():
        return NullProducer("SPENDGAUGE_DISABLED is set")
    return UsageProducer(ProducerSettings.from_environment(**fields))


def is_disabled() -> bool:
    """Say whether ``SPENDGAUGE_DISABLED`` is set: nothing is sent, and nothing is refused."""
    return _Switch.from_environment().disabled
