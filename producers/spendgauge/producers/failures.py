"""What does an error of librdkafka mean for the records in its hands?

*transient*: it may pass, and the record is sent again for as long as it takes. *hopeless*: this record will never be
taken; it is dropped, counted as refused, and named in the log. *fatal*: the client's session is what broke; another
client is made and everything unacknowledged is sent again. An error that is not listed is transient: to wait is to
lose nothing, and a warning says so every minute.

*Source*: Apache Kafka's protocol guide (error codes, "retriable"); librdkafka's INTRODUCTION.md, "Idempotent Producer".
"""

from typing import Final, Literal

from confluent_kafka import KafkaError

__all__ = ["FAILURES", "Kind", "kind_of"]

Kind = Literal["transient", "hopeless", "fatal"]

FAILURES: Final[dict[str, tuple[Kind, str]]] = {
    "_TRANSPORT": ("transient", "the connection broke"),
    "_ALL_BROKERS_DOWN": ("transient", "no broker can be reached"),
    "_RESOLVE": ("transient", "the broker's name is not known"),
    "_SSL": ("transient", "TLS failed: look at the certificates"),
    "_AUTHENTICATION": ("transient", "the broker does not accept the login: look at kafka_options"),
    "SASL_AUTHENTICATION_FAILED": ("transient", "the same, in the broker's words"),
    "_TIMED_OUT": ("transient", "no answer in time"),
    "_TIMED_OUT_QUEUE": ("transient", "no time to be sent"),
    "REQUEST_TIMED_OUT": ("transient", "the copies were not written in time"),
    "NETWORK_EXCEPTION": ("transient", "the broker lost the connection"),
    "LEADER_NOT_AVAILABLE": ("transient", "the partition elects a leader"),
    "NOT_LEADER_FOR_PARTITION": ("transient", "another broker leads the partition now"),
    "BROKER_NOT_AVAILABLE": ("transient", "the broker starts or stops"),
    "NOT_ENOUGH_REPLICAS": ("transient", "too few copies are in sync"),
    "NOT_ENOUGH_REPLICAS_AFTER_APPEND": ("transient", "too few copies stayed in sync; the record may be there twice"),
    "KAFKA_STORAGE_ERROR": ("transient", "the broker's disk refuses"),
    "THROTTLING_QUOTA_EXCEEDED": ("transient", "a quota is used up"),
    "INVALID_MSG": ("transient", "damaged on the way"),
    "_INVALID_DIFFERENT_RECORD": ("transient", "another record of the batch was hopeless, not this one"),
    "_UNKNOWN_TOPIC": ("transient", "the topic is not there: create it"),
    "UNKNOWN_TOPIC_OR_PART": ("transient", "the same, in the broker's words"),
    "_UNKNOWN_PARTITION": ("transient", "the partition is not there"),
    "TOPIC_EXCEPTION": ("transient", "the topic's name is not allowed: look at topic_prefix"),
    "TOPIC_AUTHORIZATION_FAILED": ("transient", "this user may not write to the topic: give it the right"),
    "CLUSTER_AUTHORIZATION_FAILED": ("transient", "this user may not write idempotently: give it the right"),
    "POLICY_VIOLATION": ("transient", "a rule of the cluster forbids it"),
    "INVALID_TIMESTAMP": ("transient", "the machine's clock is too far off; sent again, it has another time"),
    "UNSUPPORTED_COMPRESSION_TYPE": ("transient", "the broker does not know the codec: look at compression"),
    "_QUEUE_FULL": ("transient", "librdkafka's own queue is full"),
    "_PURGE_QUEUE": ("transient", "a session was given up before it was sent"),
    "_PURGE_INFLIGHT": ("transient", "a session was given up before it was acknowledged"),
    "MSG_SIZE_TOO_LARGE": ("hopeless", "larger than the topic or the client allows"),
    "RECORD_LIST_TOO_LARGE": ("hopeless", "its batch is larger than a segment of the broker's log"),
    "INVALID_RECORD": ("hopeless", "the broker's checks refuse it"),
    "_MSG_TIMED_OUT": ("hopeless", "older than message.timeout.ms, which you have set"),
    "_FATAL": ("fatal", "the idempotent session is broken"),
    "OUT_OF_ORDER_SEQUENCE_NUMBER": ("fatal", "the broker misses records of the session"),
    "UNKNOWN_PRODUCER_ID": ("fatal", "the broker has forgotten the session"),
    "INVALID_PRODUCER_EPOCH": ("fatal", "the broker knows a newer session"),
    "INVALID_PRODUCER_ID_MAPPING": ("fatal", "the broker knows the session by another number"),
    "PRODUCER_FENCED": ("fatal", "the broker knows a newer session"),
    "_FENCED": ("fatal", "the same, in librdkafka's words"),
    "_GAPLESS_GUARANTEE": ("fatal", "librdkafka would leave a record out"),
    "_STATE": ("fatal", "the client cannot go on"),
    "_DESTROY": ("fatal", "the client is being destroyed"),
}
"""Each error's kind, and what is the matter, by its name in ``KafkaError``."""

_KINDS: Final[dict[int, Kind]] = {getattr(KafkaError, name): kind for name, (kind, _) in FAILURES.items()}


def kind_of(error: KafkaError) -> Kind:
    """Say what to do after an error. One that librdkafka calls fatal is that, whatever its code."""
    return "fatal" if error.fatal() else _KINDS.get(error.code(), "transient")
