"""How is a message sent to a webhook? One signed POST, over a connection of its own, which ends in time."""

import logging
from collections.abc import Mapping
from importlib.metadata import version

import httpx2

from spendgauge.schemas.clock import Clock
from spendgauge.streams.delivery.answers import judge_answer, judge_failure
from spendgauge.streams.delivery.deadlines import Deadline
from spendgauge.streams.delivery.messages import Message
from spendgauge.streams.delivery.signing import signature
from spendgauge.streams.delivery.targets import Target
from spendgauge.streams.delivery.tries import Outcome

__all__ = ["Webhook"]

_BEFORE = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.ProxyError, httpx2.UnsupportedProtocol, httpx2.InvalidURL)
"""Nothing was sent."""


class Webhook:
    """Sends to one address."""

    def __init__(self, target: Target, clock: Clock) -> None:
        logging.getLogger("httpx2").setLevel(logging.WARNING)  # its line for each request shows the address
        self._target = target
        self._clock = clock
        self._seconds = seconds = target.channel.timeout_seconds
        # connecting and agreeing on keys have half of it each, and the deadline ends what comes after
        timeout = httpx2.Timeout(seconds, connect=seconds / 2)
        self._client = httpx2.Client(timeout=timeout, limits=httpx2.Limits(max_keepalive_connections=0))
        self._agent = f"spendgauge/{version('spendgauge')}"

    def send(self, message: Message) -> Outcome:
        """Try once; a redirect is not followed, and of the answer's body nothing is read."""
        body = message.notification.model_dump_json().encode()
        with Deadline(self._seconds) as deadline:
            try:
                request = self._client.build_request(
                    "POST",
                    self._target.url.get_secret_value(),
                    content=body,
                    headers=self._headers(message, body),
                    extensions={"trace": deadline.watch},
                )
                answer = self._client.send(request, stream=True)
                answer.close()
            except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as error:
                return self._failure(error, late=deadline.passed)
        return judge_answer(answer.status_code, answer.headers, now_ms=self._clock.now_ms())

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _failure(self, error: Exception, *, late: bool) -> Outcome:
        perhaps = not isinstance(error, _BEFORE)
        if late or isinstance(error, httpx2.TimeoutException):
            return Outcome("failed", f"it does not answer within {self._seconds:g} s", perhaps=perhaps)
        return judge_failure(error, perhaps=perhaps)

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
