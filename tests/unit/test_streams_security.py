"""The rates worker logs in as every other client does, or not at all."""

import ssl

import pytest
from faust.auth import SASLCredentials, SSLCredentials

from spendgauge.schemas import ConfigurationError
from spendgauge.streams.reading.security import broker_credentials

_SCRAM = {"sasl.mechanisms": "SCRAM-SHA-512", "sasl.username": "me", "sasl.password": "secret"}


@pytest.mark.parametrize("options", [{}, {"security.protocol": "plaintext"}, {"socket.timeout.ms": "1"}])
def test_an_open_broker_needs_no_credentials(options: dict[str, str]) -> None:
    """Without security options, and with options that are librdkafka's own affair, nothing is translated."""
    assert broker_credentials(options) is None


def test_tls_checks_the_brokers_name_unless_told_not_to() -> None:
    """TLS verifies certificate and name by default, as librdkafka does."""
    credentials = broker_credentials({"security.protocol": "SSL"})
    assert isinstance(credentials, SSLCredentials)
    assert credentials.context.check_hostname
    assert credentials.context.verify_mode == ssl.CERT_REQUIRED
    lenient = broker_credentials({"security.protocol": "ssl", "ssl.endpoint.identification.algorithm": "none"})
    assert isinstance(lenient, SSLCredentials)
    assert not lenient.context.check_hostname
    assert lenient.context.verify_mode == ssl.CERT_REQUIRED


def test_a_password_travels_with_its_mechanism() -> None:
    """SCRAM over TLS is translated whole."""
    credentials = broker_credentials({"security.protocol": "SASL_SSL", **_SCRAM})
    assert isinstance(credentials, SASLCredentials)
    assert (credentials.username, credentials.password) == ("me", "secret")
    assert credentials.mechanism.value == "SCRAM-SHA-512"
    assert credentials.ssl_context is not None


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"security.protocol": "SSL", "ssl.crl.location": "x"}, r"ssl\.crl\.location is not supported"),
        ({"security.protocol": "TELNET"}, "security.protocol=TELNET is none of"),
        ({"security.protocol": "SASL_SSL", "sasl.mechanism": "OAUTHBEARER"}, "OAUTHBEARER is not supported"),
        ({"security.protocol": "SASL_PLAINTEXT", **_SCRAM, "sasl.password": ""}, r"sasl\.password is missing"),
        ({"security.protocol": "SSL", "ssl.ca.location": "/nowhere"}, "certificates of kafka_options cannot be read"),
    ],
)
def test_what_would_be_ignored_is_refused(options: dict[str, str], sentence: str) -> None:
    """A security option that cannot be kept is an error: the worker never connects less securely than it was told."""
    with pytest.raises(ConfigurationError, match=sentence) as raised:
        broker_credentials(options)
    assert "secret" not in str(raised.value)
