"""Does a message say what a person needs, and prove to a program that it is ours?"""

from base64 import b64decode
from typing import Any

import pytest
from tests.notifications import BEGIN, SECRET, alert

from spendgauge.schemas import Alert, Contributor
from spendgauge.schemas.alerts import NO_AMOUNTS
from spendgauge.schemas.incidents import short_id
from spendgauge.schemas.notifications import Notification
from spendgauge.streams.delivery.answers import judge_answer
from spendgauge.streams.delivery.deciding import Wanted
from spendgauge.streams.delivery.incidents import Incident
from spendgauge.streams.delivery.memory import KeptAlert, Step
from spendgauge.streams.delivery.messages import compose, idempotency_key
from spendgauge.streams.delivery.signing import read_secrets, signature
from spendgauge.streams.delivery.tries import Outcome, pause_ms

BUSY = "it answers 429 Too Many Requests"
MOVED = "no redirect is followed, so write the address that it names as its url, if that is yours too"


def _said(*alerts: Alert, step: Step = "page") -> Notification:
    kept = {
        one.alert_id: KeptAlert(incident_id="a", alert=one, heard_ms={one.severity: 0}, last_ms=0) for one in alerts
    }
    return compose(Incident("a", kept), Wanted(step, kept["a"]), channel="ops", stream="s").notification


def test_a_message_says_all_that_matters() -> None:
    """What is usual, what was seen, since when, why, who, and how to say that somebody is at it."""
    parts = (
        Contributor(series="agent", key=("crawler",), excess_usd="7.500000000000"),
        Contributor(series="provider+model", key=("anthropic", "opus"), excess_usd="0.004560000000"),
    )
    first = alert(severity="page", contributors=parts, onset=BEGIN)
    data = _said(first, alert("b", incident_id="a")).data
    assert data.subject == "PAGE spike: feature 'chat', mostly from agent 'crawler' (96.00 USD/h over usual)"
    assert data.text.splitlines() == [
        "feature 'chat' spends 9.00 USD in 5 minutes, usually 1.00; there are more requests.",
        "",
        "began       2026-09-21 14:14 UTC",
        "usual       1.00 USD in 5 minutes",
        "seen        9.00 USD in 5 minutes",
        "excess      8.00 USD, that is 96.00 USD an hour",
        "in all      8.00 USD above the usual since it began",
        "cause       more requests",
        "mostly from agent 'crawler': 7.50 USD",
        "            provider 'anthropic', model 'opus': 0.0046 USD",
        "alerts      2 in this incident, 2 of them up",
        "incident    ca978112",
        "acknowledge spendgauge alerts ack ca978112",
    ]
    assert short_id("a") == "ca978112"


def test_a_spike_that_is_over_has_no_excess() -> None:
    """What is below the usual again is not said as an excess of less than nothing."""
    over = alert(state="resolved", excess_usd="-0.300000000000", excess_usd_per_hour="-3.600000000000")
    assert "excess" not in _said(over, step="page_resolved").data.text


def _of_rule(rule: str, usual: str, seen: str, window: int) -> Alert:
    amounts = {"usual_usd": f"{usual}0000000000", "seen_usd": f"{seen}0000000000"}
    over = dict.fromkeys(("excess_usd", "excess_usd_per_hour", "since_onset_usd"), "-5.910000000000")
    return alert(rule=rule, series="total", key=(), driver="none", window_seconds=window, **amounts, **over)


@pytest.mark.parametrize(
    ("told", "lines"),
    [
        (
            _of_rule("budget", "20.00", "22.50", 60),
            ["budget      20.00 USD", "spent       22.50 USD, 112 %, since 2026-09-21 14:14 UTC"],
        ),
        (
            _of_rule("budget_forecast", "20.00", "14.09", 60),
            ["budget      20.00 USD", "spent       14.09 USD, 70 %, since 2026-09-21 14:14 UTC"],
        ),
        (
            _of_rule("budget_burn", "0.50", "9.00", 3600),
            ["spent       9.00 USD in an hour", "even share  0.50 USD in an hour"],
        ),
        (
            _of_rule("mine", "0.00", "9.00", 600),
            ["seen        9.00 USD in 10 minutes"],
        ),
        (
            _of_rule("mine", "3.00", "9.00", 600),
            ["seen        9.00 USD in 10 minutes", "lowest line 3.00 USD in 10 minutes"],
        ),
    ],
)
def test_only_a_spike_has_a_usual(told: Alert, lines: list[str]) -> None:
    """What a budget allows is no usual, and what is left of it no excess: each rule says its own amounts."""
    data = _said(told).data
    assert data.subject == f"PAGE {told.rule}: {told.message}"
    began = [] if told.rule == "budget" else ["began       2026-09-21 14:14 UTC"]
    assert data.text.splitlines()[2:-2] == [*began, *lines]


def test_what_is_over_says_when_and_after_how_long() -> None:
    """The end of an incident says when it was over, and asks nobody to acknowledge it."""
    data = _said(alert(state="resolved", at=7_500, message="feature 'chat' is back."), step="warn_resolved").data
    assert data.subject == "RESOLVED spike: feature 'chat' is back."
    assert data.text.splitlines()[2:4] == [
        "began       2026-09-21 14:14 UTC",
        "over        2026-09-21 16:19 UTC, after 2 h 5 min",
    ]
    assert data.acknowledge == ""


def test_what_is_told_late_says_so() -> None:
    """What is no news is not told as news: the subject says since when it is up, the text when it was said."""
    kept = KeptAlert(incident_id="a", alert=alert(), heard_ms={"warn": 0}, last_ms=0)
    said = compose(Incident("a", {"a": kept}), Wanted("warn", kept), channel="ops", stream="s", late=True)
    data = said.notification.data
    assert data.subject == "WARN spike since 2026-09-21 14:14 UTC: feature 'chat' (96.00 USD/h over usual)"
    assert data.text.splitlines()[:2] == [
        "This is told late and is still up. It was said on 2026-09-21 14:15 UTC:",
        "feature 'chat' spends 9.00 USD in 5 minutes, usually 1.00; there are more requests.",
    ]


def test_a_rule_without_amounts_says_its_sentence() -> None:
    """An alert that is not about money shows no amounts: its subject is what it says, as a locked screen shows it."""
    sentence = "3 events (seq 5 to 7) are missing of source api/1."
    gap = alert(rule="gap", series="source", key=("api/1",), message=sentence, **NO_AMOUNTS)
    data = _said(gap, step="warn").data
    assert data.subject == f"WARN gap: {sentence}"
    assert data.text.splitlines() == [
        sentence,
        "",
        "began       2026-09-21 14:14 UTC",
        "incident    ca978112",
        "acknowledge spendgauge alerts ack ca978112",
    ]


def test_what_has_no_amount_names_who_caused_it() -> None:
    """A rise in tokens that have no price names its causes without an amount of nothing."""
    cause = Contributor(series="agent", key=("crawler",), excess_usd="0.000000000000")
    changes: dict[str, Any] = NO_AMOUNTS | {"contributors": (cause,), "driver": "size"}
    tokens = alert(rule="token_spike", message="x", **changes)
    assert _said(tokens).data.text.splitlines()[3:5] == ["cause       larger requests", "mostly from agent 'crawler'"]


@pytest.mark.parametrize("name", ["a\r\nBcc: all@x", "a\x00\x1b[31m", "x" * 500, "\u2028"])
def test_a_subject_is_one_short_line(name: str) -> None:
    """Whatever a key is called, it adds no line and no control character to the subject."""
    subject = _said(alert(key=(name,))).data.subject
    assert subject.isprintable()
    assert len(subject) <= 160


@pytest.mark.parametrize(
    ("series", "excess", "shown"),
    [
        ("agent", "4.000000000000", "feature 'chat', mostly from agent 'x'"),
        ("agent", "3.999999999999", "feature 'chat'"),
        ("session_id", "8.000000000000", "feature 'chat'"),
    ],
)
def test_a_subject_names_the_agent_that_made_half_of_it(series: str, excess: str, shown: str) -> None:
    """Of an excess of 8 USD an agent's 4 are half, and less is not; no other key is named so."""
    told = alert(contributors=(Contributor(series=series, key=("x",), excess_usd=excess),))
    assert _said(told).data.subject == f"PAGE spike: {shown} (96.00 USD/h over usual)"


@pytest.mark.parametrize(
    ("series", "key", "shown"),
    [
        ("total", (), "Everything together"),
        ("team", ("a",), "team 'a'"),
        ("feature+model", ("a", "b"), "feature 'a', model 'b'"),
        ("feature+model", ("a",), "feature+model a"),
    ],
)
def test_a_key_is_named_by_its_dimensions(series: str, key: tuple[str, ...], shown: str) -> None:
    """Each value stands behind the name of its dimension; a key that does not fit its series is said as it is."""
    assert _said(alert(series=series, key=key)).data.subject == f"PAGE spike: {shown} (96.00 USD/h over usual)"


@pytest.mark.parametrize("at", [-(2**63), 0, 2**63 - 1])
def test_a_time_that_no_clock_says_stops_no_message(at: int) -> None:
    """An alert with an impossible time is told all the same: the notifier must not end for it."""
    said = _said(alert(evaluated_at=at, onset=at))
    assert said.data.alert.evaluated_at == at
    assert 2020 <= said.timestamp.year < 2100


def test_a_webhook_can_be_read_back() -> None:
    """The body is what the published schema says, with the alert's own line in it."""
    said = _said(alert(severity="page"))
    assert Notification.model_validate_json(said.model_dump_json()) == said
    assert said.data.alert == alert(severity="page")


def test_a_key_is_of_one_message() -> None:
    """Incident, step, channel and topic make the key; names that contain each other's parts do not collide."""
    keys = [
        idempotency_key("a", "warn", "ops"),
        idempotency_key("a", "page", "ops"),
        idempotency_key("a", "warn_resolved", "ops"),
        idempotency_key("a", "warn", "dev"),
        idempotency_key("a", "warn", "ops", stream="another"),
        idempotency_key('a","warn', "warn", "ops"),
    ]
    assert len(set(keys)) == 6
    assert all(key.isascii() and len(key) == 35 for key in keys)


def test_the_signature_is_the_standards() -> None:
    """Standard Webhooks' own example: its secret, id, time and body give its signature."""
    secrets = read_secrets("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    body = b'{"test": 2432232314}'
    signed = signature(secrets, message_id="msg_p5jXN8AQM9LWM0D4loKWxJek", at=1614265330, body=body)
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_two_secrets_sign_both() -> None:
    """While a secret is replaced both sign, apart by a blank, and each as if alone."""
    other = "whsec_" + "A" * 43 + "="
    both = signature(read_secrets(f"{SECRET} {other}"), message_id="m", at=1, body=b"x")
    alone = [signature(read_secrets(one), message_id="m", at=1, body=b"x") for one in (SECRET, other)]
    assert both.split(" ") == alone


@pytest.mark.parametrize("text", ["", "whsec_", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_MfKQ", "whsec_" + "A" * 120])
def test_a_weak_secret_is_refused(text: str) -> None:
    """A secret is 24 to 64 bytes behind its prefix; the refusal says how to make one and does not show it."""
    with pytest.raises(ValueError, match="openssl rand") as caught:
        read_secrets(text)
    assert not text or text not in str(caught.value).replace("whsec_ and", "").replace("whsec_$", "")
    assert len(b64decode(SECRET[6:])) in range(24, 65)


@pytest.mark.parametrize(
    ("status", "headers", "outcome"),
    [
        (200, {}, Outcome("sent")),
        (204, {"retry-after": "5"}, Outcome("sent")),
        (301, {}, Outcome("failed", f"it answers 301 Moved Permanently; {MOVED}")),
        (400, {"retry-after": "5"}, Outcome("refused", "it answers 400 Bad Request")),
        (401, {}, Outcome("failed", "it answers 401 Unauthorized; check its secret and its url")),
        (404, {}, Outcome("failed", "it answers 404 Not Found; check its url")),
        (408, {}, Outcome("failed", "it answers 408 Request Timeout")),
        (409, {}, Outcome("refused", "it answers 409 Conflict")),
        (429, {"retry-after": "120"}, Outcome("failed", BUSY, 120.0)),
        (
            503,
            {"retry-after": "Mon, 21 Sep 2026 14:15:00 GMT"},
            Outcome("failed", "it answers 503 Service Unavailable", 60.0),
        ),
        (
            503,
            {"retry-after": "Mon, 21 Sep 2026 14:00:00 GMT"},
            Outcome("failed", "it answers 503 Service Unavailable", 0.0),
        ),
        (500, {"retry-after": "soon"}, Outcome("failed", "it answers 500 Internal Server Error", perhaps=True)),
        (429, {"retry-after": "Mon, 21 Sep 9999999999999999999 14:15:00 GMT"}, Outcome("failed", BUSY)),
        (429, {"retry-after": "Mon, 21 Sep 2026 14:15:00 +9999999999999999"}, Outcome("failed", BUSY)),
        (504, {}, Outcome("failed", "it answers 504 Gateway Timeout", perhaps=True)),
        (599, {"retry-after": "-1"}, Outcome("failed", "it answers 599")),
    ],
)
def test_an_answer_means_sent_later_or_never(status: int, headers: dict[str, str], outcome: Outcome) -> None:
    """2xx is sent; what is wrong with the message is final; all else is tried again, after the time it asks for."""
    assert judge_answer(status, headers, now_ms=BEGIN * 1000) == outcome


def test_waits_double_between_half_and_all() -> None:
    """1 s, 2 s, 4 s to 1 min, of which chance takes up to half; never less than was asked for, up to an hour."""
    waits = [(pause_ms(failures, chance=0.0), pause_ms(failures, chance=1.0)) for failures in range(1, 100)]
    assert waits[:4] == [(500, 1000), (1000, 2000), (2000, 4000), (4000, 8000)]
    assert waits[-1] == (30_000, 60_000)
    assert pause_ms(1, chance=0.0, asked_seconds=60) == 60_000
    assert pause_ms(1, chance=0.0, asked_seconds=1e9) == 3_600_000
