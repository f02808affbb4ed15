"""What does it mean what a webhook answers, or that it does not? An outcome, and what to do about it; pure."""

import socket
import ssl
from collections.abc import Iterator, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Final

from spendgauge.streams.delivery.tries import Outcome

__all__ = ["judge_answer", "judge_failure"]

_OF_THE_MESSAGE: Final = frozenset({400, 409, 411, 413, 415, 417, 422, 431})
"""What is wrong is the message, so it is not sent again. All else is wrong with the channel, and may be mended."""

_HALFWAY: Final = frozenset({500, 502, 504})
"""Somebody stumbled who may have the message by now."""

_ADVICE: Final[Mapping[int, str]] = dict.fromkeys((401, 403, 407), "check its secret and its url") | dict.fromkeys(
    (404, 405, 410, 421), "check its url"
)
_REDIRECTED: Final = "no redirect is followed, so write the address that it names as its url, if that is yours too"

_CERTIFICATES: Final[Mapping[int, str]] = {
    9: "is not valid yet; see whether the clock is right, there and here",
    10: "has expired; renew it there",
    62: "is for another host; see whether the host of its url is right",
    64: "is for another address; write the name that the certificate is for into its url",
} | dict.fromkeys(
    (2, 18, 19, 20, 21),
    "is signed by nobody whom this machine trusts; name a file of the authorities to trust, that one among them, with "
    "SSL_CERT_FILE",
)
"""*Source*: OpenSSL, ``X509_STORE_CTX_get_error``: X509_V_ERR_*."""


def judge_answer(status: int, headers: Mapping[str, str], *, now_ms: int) -> Outcome:
    """Say what an answer means: 2xx sent, what is wrong with the message never, all else later."""
    if 200 <= status < 300:
        return Outcome("sent")
    reason = f"it answers {_phrase(status)}"
    if status in _OF_THE_MESSAGE:
        return Outcome("refused", reason)
    advice = _REDIRECTED if 300 <= status < 400 else _ADVICE.get(status)
    reason = f"{reason}; {advice}" if advice else reason
    return Outcome("failed", reason, _seconds(headers.get("retry-after", ""), now_ms), perhaps=status in _HALFWAY)


def judge_failure(error: BaseException, *, perhaps: bool) -> Outcome:
    """Say why there was no answer, from the error at its root; ``perhaps``: the message may have arrived."""
    for cause in _causes(error):
        match cause:
            case ssl.SSLCertVerificationError():
                what = _CERTIFICATES.get(cause.verify_code, "cannot be trusted; see it with openssl s_client")
                return Outcome("failed", f"its certificate {what}")
            case ssl.SSLError() if not perhaps:
                return Outcome("failed", "it speaks no TLS that is understood here; should its url begin with http://?")
            case socket.gaierror():
                return Outcome("failed", "its host is not known; check its url")
            case ConnectionRefusedError():
                return Outcome("failed", "nobody listens there; check its url")
    what = "it gives no answer that can be read" if perhaps else "it cannot be reached"
    return Outcome("failed", f"{what} ({type(error).__name__})", perhaps=perhaps)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Give an error and what it came from, from the outermost on."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def _phrase(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _seconds(text: str, now_ms: int) -> float | None:
    """Read ``Retry-After``: seconds, or a date. *Source*: RFC 9110, 10.2.3."""
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return max(at.timestamp() - now_ms / 1000, 0.0)
