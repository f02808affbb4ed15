"""How does a receiver know that a webhook is ours? By an HMAC over id, time and body, as Standard Webhooks has it.

*Source*: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import hmac
from base64 import b64decode, b64encode
from collections.abc import Sequence
from typing import Final

from pydantic import SecretBytes

__all__ = ["SECRET_PREFIX", "read_secrets", "signature"]

SECRET_PREFIX: Final = "whsec_"
"""How each secret begins."""

_LENGTHS: Final = range(24, 65)
"""Bytes of a secret, as the specification asks for."""


def read_secrets(text: str) -> tuple[SecretBytes, ...]:
    """Read ``whsec_<base64>``; of several, apart by white space, each signs, so that a secret can be replaced.

    Raises ``ValueError`` with what to do; it does not show the secret.
    """
    secrets = tuple(map(_read_secret, text.split()))
    if not secrets:
        raise ValueError(_ADVICE)
    return secrets


def signature(secrets: Sequence[SecretBytes], *, message_id: str, at: int, body: bytes) -> str:
    """Write the header ``webhook-signature``; ``at`` is in seconds since 1970 UTC."""
    signed = f"{message_id}.{at}.".encode() + body
    return " ".join(
        f"v1,{b64encode(hmac.digest(secret.get_secret_value(), signed, 'sha256')).decode()}" for secret in secrets
    )


_ADVICE: Final = (
    'a secret is whsec_ and 24 to 64 bytes in base64; make one with: echo "whsec_$(openssl rand -base64 32)"'
)


def _read_secret(text: str) -> SecretBytes:
    try:
        secret = b64decode(text.removeprefix(SECRET_PREFIX), validate=True)
    except ValueError:
        secret = b""
    if not text.startswith(SECRET_PREFIX) or len(secret) not in _LENGTHS:
        raise ValueError(_ADVICE)
    return SecretBytes(secret)
