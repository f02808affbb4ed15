"""May a call be made? The question of services that are not Python, and what they hear."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from math import ceil
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from starlette.responses import Response

from spendgauge.producers.gateway.formats import JSON
from spendgauge.producers.gateway.keys import Key
from spendgauge.producers.gateway.replies import RefusedError, json_reply
from spendgauge.producers.invalid import InvalidEventError, reason_for
from spendgauge.producers.quotas import QuotaChecks, QuotaState, QuotaVerdict
from spendgauge.producers.quotas.verdict import Number
from spendgauge.schemas import DIMENSIONS
from spendgauge.schemas.fields import MAX_TOKENS, Name
from spendgauge.schemas.money import picodollars, usd_text

__all__ = ["QUESTION", "Question", "read_question", "verdict_reply"]

_UNKNOWN_RETRY_SECONDS: Final = 10
"""When to ask again where nobody knows: as often as the watcher says that it is alive."""

_ROLLING_RETRY_SECONDS: Final = 60
"""The same where a quota does not begin anew at a moment that is known."""


class _Estimates(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    estimate_usd: str = Field(
        default="0",
        pattern=r"^[0-9]{1,6}(\.[0-9]{1,12})?$",
        description="What the call may cost: a decimal string, such as 0.05.",
    )
    estimate_tokens: int = Field(
        default=0, ge=0, le=MAX_TOKENS, description="How many tokens it may use, of all kinds."
    )
    hold_seconds: float = Field(
        default=0,
        ge=0,
        le=600,
        description="Within how many seconds it ends: its estimate is held until then, so that other calls are told.",
    )


_FIELDS: Final[dict[str, Any]] = {
    name: (Name, Field(default="", description="As in a usage event.")) for name in ("provider", "model", *DIMENSIONS)
}
QUESTION: Final = create_model("QuotaQuestion", __base__=_Estimates, **_FIELDS)
"""What a body holds: the dimensions that the call's event will have, and estimates."""


class Question:
    """What is asked, for whoever the key lets ask."""

    def __init__(self, asked: _Estimates, dimensions: dict[str, str]) -> None:
        self._asked = asked
        self._dimensions = dimensions

    def ask(self, quotas: QuotaChecks) -> QuotaVerdict:
        """Ask, and hold the estimate where that is wanted."""
        asked = self._asked
        wanted: dict[str, Any] = {**self._dimensions}
        wanted |= {"estimate_usd": asked.estimate_usd, "estimate_tokens": asked.estimate_tokens}
        return quotas.hold(asked.hold_seconds, **wanted) if asked.hold_seconds else quotas.verdict(**wanted)

    def states(self, quotas: QuotaChecks) -> list[QuotaState]:
        """Say how the quotas stand that the call falls under."""
        return quotas.standings(**self._dimensions)


def read_question(content_type: str, body: bytes, key: Key | None) -> Question:
    """Read a body, for the holder of a key. Raises ``RefusedError``."""
    if content_type != JSON:
        raise RefusedError(415, f"the content-type must be {JSON}")
    try:
        asked = QUESTION.model_validate_json(body)
        given = asked.model_dump(include=set(_FIELDS), exclude_defaults=True)
        return Question(asked, given if key is None else key.applied(given))
    except ValidationError as error:
        status = 400 if error.errors(include_url=False)[0]["type"] == "json_invalid" else 422
        raise RefusedError(status, reason_for(error)) from None
    except InvalidEventError as error:
        raise RefusedError(422, str(error)) from None


def verdict_reply(verdict: QuotaVerdict, states: Sequence[QuotaState], now_ms: int) -> Response:
    """Answer: 200 with the quotas that a call falls under, 429 with the one that refuses it, 503 where nobody knows."""
    message = {} if verdict.reason == "ok" else {"message": verdict.sentence()}
    if verdict.allowed:
        told = [_about(state.verdict) | _limits(state) for state in states]
        return json_reply(200, {"allowed": True, "reason": verdict.reason, **message, "quotas": told})
    if verdict.reason == "unknown":
        return json_reply(503, message, {"Retry-After": str(_UNKNOWN_RETRY_SECONDS)})
    told_limit = {"limit": _text(verdict.limit), "estimate": _text(verdict.estimate)}
    body = {"allowed": False, "reason": verdict.reason, **message, **_about(verdict), **told_limit}
    return json_reply(429, body, {"Retry-After": str(_retry_seconds(verdict, now_ms))})


def _about(verdict: QuotaVerdict) -> dict[str, Any]:
    return {
        "quota": verdict.quota,
        "series": verdict.series,
        "key": list(verdict.key),
        "unit": verdict.unit,
        "spent": _text(verdict.spent),
        "reserved": _text(verdict.reserved),
        "resets_at": _time(verdict.resets_at),
    }


def _limits(state: QuotaState) -> dict[str, Any]:
    return {"soft": _text(state.soft), "hard": _text(state.hard)}


def _retry_seconds(verdict: QuotaVerdict, now_ms: int) -> int:
    if verdict.resets_at is None:
        return _ROLLING_RETRY_SECONDS
    return max(1, ceil(verdict.resets_at.timestamp() - now_ms / 1000))


def _text(amount: Number | None) -> str | None:
    return usd_text(picodollars(amount)) if isinstance(amount, Decimal) else None if amount is None else str(amount)


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="seconds").replace("+00:00", "Z")
