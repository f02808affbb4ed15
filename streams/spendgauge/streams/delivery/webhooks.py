"""How is a message sent to a webhook? One signed POST; here is decided what the answer means, not what to do then."""

from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from importlib.metadata import version

import httpx2

from spendgauge.schemas.clock import Clock
from spendgauge.streams.delivery.messages import Message
from spendgauge.streams.delivery.signing import signature
from spendgauge.streams.delivery.targets import Target
from spendgauge.streams.delivery.tries import Outcome

__all__ = ["Webhook", "judge_answer"]

_LATER = frozenset({408, 429})
"""Refusals that are none: try again."""


class Webhook:
    """Sends to one address, over connections that are kept."""

    def __init__(self, target: Target, clock: Clock) -> None:
        self._target = target
        self._clock = clock
        self._client = httpx2.Client(timeout=target.channel.timeout_seconds)
        self._agent = f"spendgauge/{version('spendgauge')}"

    def send(self, message: Message) -> Outcome:
        """Try once; a redirect is not followed, and of the answer's body nothing is read."""
        body = message.notification.model_dump_json().encode()
        try:
            request = self._client.build_request(
                "POST", self._target.url.get_secret_value(), content=body, headers=self._headers(message, body)
            )
            answer = self._client.send(request, stream=True)
            answer.close()
        except httpx2.TimeoutException:
            return Outcome("failed", f"it does not answer within {self._target.channel.timeout_seconds:g} s")
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            return Outcome("failed", f"it cannot be reached ({type(error).__name__})")
        return judge_answer(answer.status_code, answer.headers, now_ms=self._clock.now_ms())

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _headers(self, message: Message, body: bytes) -> Mapping[str, str]:
        at = self._clock.now_ms() // 1000
        return {
            "content-type": "application/json",
            "user-agent": self._agent,
            "idempotency-key": message.key,
            "webhook-id": message.key,
            "webhook-timestamp": str(at),
            "webhook-signature": signature(self._target.secrets, message_id=message.key, at=at, body=body),
        }


def judge_answer(status: int, headers: Mapping[str, str], *, now_ms: int) -> Outcome:
    """Say what an answer means: 2xx sent, 408, 429 and 5xx later, all else never."""
    if 200 <= status < 300:
        return Outcome("sent")
    reason = f"it answers {_phrase(status)}"
    if status in _LATER or status >= 500:
        return Outcome("failed", reason, _seconds(headers.get("retry-after", ""), now_ms))
    return Outcome("refused", reason)


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
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return max(at.timestamp() - now_ms / 1000, 0.0)
