"""How does Faust log in where librdkafka's options say how?

Every client of this project is configured with librdkafka's names (``kafka_options``). Faust's consumer is aiokafka,
which has its own; this module translates the options that decide whether and how securely a broker is reached. The
rest (timeouts, buffers) belongs to librdkafka's clients alone and is left to them.
"""

import ssl
from collections.abc import Mapping
from typing import Any, Final

from faust.auth import Credentials, SASLCredentials, SSLCredentials
from faust.types.auth import SASLMechanism

from spendgauge.schemas.errors import ConfigurationError

__all__ = ["broker_credentials"]

_PASSWORD_MECHANISMS: Final = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")

_TRANSLATED: Final = frozenset(
    {
        "security.protocol",
        "sasl.mechanism",
        "sasl.mechanisms",
        "sasl.username",
        "sasl.password",
        "ssl.ca.location",
        "ssl.certificate.location",
        "ssl.key.location",
        "ssl.key.password",
        "ssl.endpoint.identification.algorithm",
        "enable.ssl.certificate.verification",
    }
)

_MATTERS: Final = ("security.", "sasl.", "ssl.", "enable.ssl.", "enable.sasl.")


def broker_credentials(options: Mapping[str, str]) -> Credentials | None:
    """Translate librdkafka's security options into Faust's credentials; None for an open broker.

    Raises ``ConfigurationError`` for a security option that would be ignored: the worker must not connect less
    securely than the other processes do.
    """
    unknown = sorted(name for name in options if name.startswith(_MATTERS) and name not in _TRANSLATED)
    if unknown:
        raise ConfigurationError(
            f"kafka_options {unknown[0]} is not supported by the rates worker; "
            f"supported are {', '.join(sorted(_TRANSLATED))}"
        )
    protocol = options.get("security.protocol", "plaintext").upper()
    if protocol == "PLAINTEXT":
        return None
    if protocol == "SSL":
        return _typed(SSLCredentials(context=_ssl_context(options)))
    if protocol not in {"SASL_PLAINTEXT", "SASL_SSL"}:
        raise ConfigurationError(
            f"kafka_options security.protocol={protocol} is none of plaintext, ssl, sasl_plaintext, sasl_ssl"
        )
    return _sasl(options, _ssl_context(options) if protocol == "SASL_SSL" else None)


def _sasl(options: Mapping[str, str], context: ssl.SSLContext | None) -> Credentials:
    mechanism = (options.get("sasl.mechanism") or options.get("sasl.mechanisms") or "GSSAPI").upper()
    if mechanism not in _PASSWORD_MECHANISMS:
        raise ConfigurationError(
            f"kafka_options sasl.mechanism={mechanism} is not supported by the rates worker; "
            f"use one of {', '.join(_PASSWORD_MECHANISMS)}"
        )
    missing = [name for name in ("sasl.username", "sasl.password") if not options.get(name)]
    if missing:
        raise ConfigurationError(f"kafka_options {missing[0]} is missing; sasl.mechanism={mechanism} needs it")
    return _typed(
        SASLCredentials(
            username=options["sasl.username"],
            password=options["sasl.password"],
            ssl_context=context,
            mechanism=SASLMechanism(mechanism),
        )
    )


def _ssl_context(options: Mapping[str, str]) -> ssl.SSLContext:
    certificate, key = options.get("ssl.certificate.location"), options.get("ssl.key.location")
    try:
        context = ssl.create_default_context(cafile=options.get("ssl.ca.location"))
        if certificate:
            context.load_cert_chain(certificate, key, options.get("ssl.key.password"))
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(f"the certificates of kafka_options cannot be read: {error}") from None
    verify = options.get("enable.ssl.certificate.verification", "true").lower() == "true"
    identify = options.get("ssl.endpoint.identification.algorithm", "https").lower() != "none"
    context.check_hostname = verify and identify
    if not verify:
        context.verify_mode = ssl.CERT_NONE
    return context


def _typed(credentials: Any) -> Credentials:
    return credentials  # type: ignore[no-any-return]  # Faust has no types
