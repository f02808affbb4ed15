"""What have people said of alerts, and how do they say it? Silences and acknowledgements, on ``cost.silences``."""

from collections.abc import Iterable
from dataclasses import dataclass
from secrets import token_hex
from typing import Final, TypeVar

from confluent_kafka import KafkaError, KafkaException, Message, Producer
from pydantic import BaseModel, ValidationError

from spendgauge.insights.incidents import Incident
from spendgauge.schemas import ConfigurationError, KafkaSettings, UnavailableError
from spendgauge.schemas.compacted import read_compacted
from spendgauge.schemas.kafka import client_options, connect_admin
from spendgauge.schemas.moments import utc_time
from spendgauge.schemas.quotas import check_key
from spendgauge.schemas.silences import (
    ACKNOWLEDGEMENT_SCHEMA,
    SILENCE_SCHEMA,
    Acknowledgement,
    Silence,
    acknowledgement_key,
    matches,
    read_word,
    silence_key,
)
from spendgauge.schemas.topics import CONTENT_TYPE, CONTENT_TYPE_HEADER, SCHEMA_HEADER

__all__ = ["Subject", "Words", "acknowledge", "mute", "read_words", "take_back"]

_TIMEOUT_SECONDS: Final = 10.0
_ANSWER_SECONDS: Final = 3.0
"""Whoever was paged waits for the list."""


_LONGEST_MS: Final = 366 * 86_400_000

WordT = TypeVar("WordT", Silence, Acknowledgement)


@dataclass(frozen=True)
class Subject:
    """What a silence is about; what is empty stands for all."""

    rule: str = ""
    series: str = ""
    key: tuple[str, ...] = ()


@dataclass(frozen=True)
class Words:
    """All that holds now."""

    silences: tuple[Silence, ...] = ()
    """Those that have not ended, the first to end first."""
    acknowledgements: tuple[Acknowledgement, ...] = ()

    def silences_of(self, incident: Incident) -> list[Silence]:
        """List the silences that match the alert which began an incident."""
        return [silence for silence in self.silences if matches(silence, incident)]

    def acknowledgement_of(self, incident: Incident) -> Acknowledgement | None:
        """Find who is at an incident."""
        return next((word for word in self.acknowledgements if word.incident_id == incident.incident_id), None)


def read_words(settings: KafkaSettings, *, now_ms: int) -> Words:
    """Read what was said and holds. Raises ``UnavailableError`` where the broker does not answer."""
    kept = read_compacted(settings, settings.topics.silences, timeout_seconds=_ANSWER_SECONDS)
    found = [read_word(key, value) for key, value in kept.items()]
    silences = (word for word in found if isinstance(word, Silence) and word.until.timestamp() * 1000 > now_ms)
    return Words(
        tuple(sorted(silences, key=lambda silence: silence.until)),
        tuple(word for word in found if isinstance(word, Acknowledgement)),
    )


def acknowledge(settings: KafkaSettings, incident: Incident, *, by: str, reason: str, now_ms: int) -> Acknowledgement:
    """Say that somebody is at an incident.

    Raises ``ConfigurationError`` where that cannot be said so, ``UnavailableError`` where the broker does not take it.
    """
    word = _said(Acknowledgement, incident_id=incident.incident_id, by=by, reason=reason, at=utc_time(now_ms))
    _write(settings, _key_of(word), word)
    return word


def mute(settings: KafkaSettings, about: Subject, *, by: str, reason: str, length_ms: int, now_ms: int) -> Silence:
    """Say that nobody shall be told of some alerts for so long.

    Raises ``ConfigurationError`` where that cannot be said so, ``UnavailableError`` where the broker does not take it.
    """
    if about.key:
        _check(about)
    if not 0 < length_ms <= _LONGEST_MS:
        raise ConfigurationError("a silence lasts more than no time, and at most 366d; say --for 2h")
    word = _said(
        Silence,
        silence_id=token_hex(4),
        rule=about.rule,
        series=about.series,
        key=about.key,
        by=by,
        reason=reason,
        until=utc_time(now_ms + length_ms),
        created_at=utc_time(now_ms),
    )
    _write(settings, _key_of(word), word)
    return word


def take_back(settings: KafkaSettings, word: Silence | Acknowledgement) -> None:
    """Remove it. Raises ``UnavailableError`` where the broker does not take that."""
    _write(settings, _key_of(word), None)


def _check(about: Subject) -> None:
    if not about.series:
        raise ConfigurationError(f"say whose key {' '.join(about.key)} is: --series agent, or provider+model")
    try:
        check_key(about.series, about.key)
    except ValueError as error:
        raise ConfigurationError(f"{error}; write one --key for each") from None


def _said(kind: type[WordT], **fields: object) -> WordT:
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)[0]
        raise ConfigurationError(f"{found['loc'][0]} cannot be said so: {found['msg']}") from None


def _key_of(word: Silence | Acknowledgement) -> bytes:
    return silence_key(word.silence_id) if isinstance(word, Silence) else acknowledgement_key(word.incident_id)


def _write(settings: KafkaSettings, key: bytes, word: BaseModel | None) -> None:
    topic = settings.topics.silences
    schema = SILENCE_SCHEMA if isinstance(word, Silence) else ACKNOWLEDGEMENT_SCHEMA
    failures: list[str] = []

    def on_delivery(error: KafkaError | None, _message: Message) -> None:
        failures.extend([error.str()] if error is not None else [])

    connect_admin(settings, timeout_seconds=_TIMEOUT_SECONDS)
    options = {"acks": "all", "message.timeout.ms": 1000 * _TIMEOUT_SECONDS, "log_level": 0}
    try:
        producer = Producer(client_options(settings, **options))
        producer.produce(
            topic,
            key=key,
            value=None if word is None else word.model_dump_json().encode(),
            headers=_headers(schema) if word else [],
            on_delivery=on_delivery,
        )
        left = producer.flush(_TIMEOUT_SECONDS)
    except KafkaException as error:
        raise UnavailableError(_refused(settings, topic, [error.args[0].str()])) from None
    if left or failures:
        raise UnavailableError(_refused(settings, topic, failures))


def _headers(schema: str) -> list[tuple[str, str | bytes | None]]:
    return [(SCHEMA_HEADER, schema.encode()), (CONTENT_TYPE_HEADER, CONTENT_TYPE.encode())]


def _refused(settings: KafkaSettings, topic: str, reasons: Iterable[str]) -> str:
    said = ", ".join(reasons) or "no answer in time"
    return f"the broker at {settings.kafka} did not take a record of {topic} ({said}); say it again when it answers"
