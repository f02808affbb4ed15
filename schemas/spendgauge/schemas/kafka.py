"""How is Kafka reached, which topics must exist there, and what makes an offset mean something?

Everything here goes through librdkafka (``confluent_kafka``), which the base install has.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from spendgauge.schemas.errors import ConfigurationError, UnavailableError
from spendgauge.schemas.settings import KafkaSettings
from spendgauge.schemas.topics import TopicSpec

__all__ = ["client_options", "connect_admin", "create_topics", "read_ends", "reader_options", "stream_ids"]

_TIMEOUT_SECONDS: Final = 10.0
_POLL_SECONDS: Final = 0.5
_REFUSALS: Final = (KafkaError._AUTHENTICATION, KafkaError._SSL)


def client_options(settings: KafkaSettings, **options: Any) -> dict[str, Any]:
    """Merge, weakest first: quiet logs, these options, the user's own librdkafka options, the address."""
    return {"log_level": 3, **options, **settings.kafka_options, "bootstrap.servers": settings.kafka}


def reader_options(settings: KafkaSettings, name: str, **options: Any) -> dict[str, Any]:
    """Merge the options of a consumer that is told what to read: it is in no group, and hears where partitions end."""
    alone = {
        "group.id": f"spendgauge-{name}",  # librdkafka wants one; none is joined, nothing is committed
        "enable.auto.commit": False,
        "enable.partition.eof": True,
    }
    return client_options(settings, **alone, **options)


def connect_admin(settings: KafkaSettings, *, timeout_seconds: float = _TIMEOUT_SECONDS) -> AdminClient:
    """Connect to the broker and hear it answer.

    Raises ``UnavailableError`` where it does not within ``timeout_seconds``, and ``ConfigurationError`` where it does
    not let us in.
    """
    said: list[KafkaError] = []
    try:
        admin = AdminClient(client_options(settings, log_level=0, error_cb=said.append), logger=_silent())
    except (KafkaException, ValueError) as error:
        reason = error.args[0].str() if isinstance(error, KafkaException) else error
        raise ConfigurationError(f"the Kafka options cannot be used: {reason}") from None
    try:
        admin.list_topics(timeout=timeout_seconds)
    except KafkaException as error:
        admin.poll(0)  # hears what was said meanwhile: the exception itself only tells of silence
        refused = next((one for one in said if one.code() in _REFUSALS), None)
        if refused is not None:
            raise ConfigurationError(
                f"the broker at {settings.kafka} does not let us in ({refused.str()}); "
                "check what SPENDGAUGE_KAFKA_OPTIONS says of security, names and passwords"
            ) from None
        raise UnavailableError(_no_answer(settings, error)) from None
    return admin


def create_topics(
    settings: KafkaSettings, specs: Iterable[TopicSpec], *, replication_factor: int = -1
) -> tuple[str, ...]:
    """Create the topics that are missing; return their names. Existing ones are left as they are.

    ``replication_factor`` -1 takes the broker's own default.
    """
    admin = connect_admin(settings)
    wanted = [NewTopic(s.name, s.partitions, replication_factor, config=s.config) for s in specs]
    created = []
    for name, future in admin.create_topics(wanted, operation_timeout=_TIMEOUT_SECONDS).items():
        try:
            future.result()
            created.append(name)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise UnavailableError(
                    f"topic {name} could not be created at {settings.kafka}: {error.args[0].str()}"
                ) from None
    return tuple(created)


def read_ends(settings: KafkaSettings, told: Mapping[tuple[str, int], int]) -> dict[tuple[str, int], int]:
    """Find where partitions really end, by reading on from the last offset that the broker tells of.

    ``told``: (topic, partition) to the end as ``ListOffsets`` has it, above 0. The embedded broker (Tansu 0.6) says
    there that a partition ends one after the *first* record of its last batch; what it says with the records is right.
    So at most one batch of each is read, in about 30 ms. Raises ``UnavailableError`` where the broker does not answer.
    """
    if not told:
        return {}
    consumer = Consumer(reader_options(settings, "ends", **{"fetch.wait.max.ms": 20, "log_level": 0}))
    ends: dict[tuple[str, int], int] = {}
    silent_seconds = 0.0
    try:
        consumer.assign([TopicPartition(topic, number, end - 1) for (topic, number), end in told.items()])
        while len(ends) < len(told):
            message = consumer.poll(_POLL_SECONDS)
            silent_seconds = 0.0 if message else silent_seconds + _POLL_SECONDS
            if silent_seconds >= _TIMEOUT_SECONDS:
                raise UnavailableError(f"the broker at {settings.kafka} does not tell where its topics end")
            error = message.error() if message else None
            if message and error is not None and error.code() == KafkaError._PARTITION_EOF:
                ends[str(message.topic()), int(message.partition() or 0)] = int(message.offset() or 0)
        return ends
    finally:
        consumer.close()


def stream_ids(
    settings: KafkaSettings, topics: Iterable[str], *, block_offsets: int, admin: AdminClient | None = None
) -> Mapping[str, str]:
    """Name the stream of each topic: its id and the block size, such as ``AaIDwJI8etOS/Hq70tPJWA:16384``.

    Offsets mean something only within one stream: a topic that was deleted and created again has another id.
    Whoever asks often hands in a connection. Raises ``UnavailableError`` where a topic does not exist.
    """
    names = list(topics)
    admin = admin or connect_admin(settings)  # held until the answers are read: its destruction cancels them
    described = admin.describe_topics(TopicCollection(names), request_timeout=_TIMEOUT_SECONDS)
    found = {}
    for name in names:
        try:
            found[name] = f"{described[name].result().topic_id}:{block_offsets}"
        except KafkaException as error:
            raise UnavailableError(
                f"topic {name} cannot be read at {settings.kafka} ({error.args[0].str()}); "
                "create the topics with `spendgauge topics create`"
            ) from None
    return found


def _no_answer(settings: KafkaSettings, error: KafkaException) -> str:
    return (
        f"no Kafka broker answers at {settings.kafka} ({error.args[0].str()}); "
        "start one with `spendgauge up`, or name yours with --kafka or SPENDGAUGE_KAFKA"
    )


def _silent() -> Any:
    """Build a logger that drops librdkafka's own lines: the error that is raised says it once."""
    import logging

    logger = logging.Logger("spendgauge.silent")
    logger.addHandler(logging.NullHandler())
    return logger
