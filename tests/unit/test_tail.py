"""Do lines of the topics read well?"""

from tests.sinks import alert, quota_refusal

from spendgauge.deploy.tail.lines import readable
from spendgauge.schemas.incidents import short_id


def test_an_event_reads_as_who_used_how_much() -> None:
    """A usage line tells when, which model, how much in and out, what went wrong, and for whom."""
    line = (
        b'{"source":"api@h#1","seq":0,"occurred_at":"2026-01-01T12:00:00.000Z","provider":"openai","model":"gpt-5",'
        b'"input_tokens":1200,"cache_read_tokens":34,"output_tokens":56,"output_audio_tokens":4,"feature":"chat",'
        b'"user_id":"u1","status":"error","error_type":"timeout"}'
    )
    assert readable("usage", line) == (
        "2026-01-01T12:00:00.000Z openai/gpt-5 1,234 in 60 out error timeout feature=chat user_id=u1"
    )


def test_an_end_reads_as_who_ends_where() -> None:
    """A source's end tells when, whose and how far it came."""
    line = b'{"schema":"spendgauge.end/1","source":"api@h#1","next_seq":7,"closed_at":"2026-01-01T12:00:00.000Z"}'
    assert readable("usage", line) == "2026-01-01T12:00:00.000Z source api@h#1 ends, next_seq 7"


def test_a_contribution_reads_as_what_a_pane_costs() -> None:
    """A rates line tells the pane, the key, calls, tokens and cost, and what has no price."""
    counts = ",".join(
        f'"{name}":{count}'
        for name, count in {
            "requests": 1,
            "unpriced": 1,
            "input_tokens": 1_000,
            "cache_read_tokens": 0,
            "cache_write_5m_tokens": 200,
            "cache_write_1h_tokens": 0,
            "input_audio_tokens": 0,
            "output_tokens": 34,
            "output_audio_tokens": 0,
        }.items()
    )
    line = '{"series":"feature+model","key":["chat","m"],"pane_start":1767268800,"pane_seconds":10,"cost_usd":"0.5",%s}'
    assert readable("rates", (line % counts).encode()) == (
        "2026-01-01T12:00:00Z +10s feature=chat model=m 1 call 1,234 tokens 0.5 USD 1 unpriced"
    )
    total = (line % counts).replace('"feature+model"', '"total"').replace('["chat","m"]', "[]")
    assert readable("rates", total.encode()).startswith("2026-01-01T12:00:00Z +10s total 1 call ")


def test_a_reject_reads_as_why_and_where() -> None:
    """A rejected line tells the reason and its place in the log."""
    line = (
        b'{"topic":"usage.events","partition":3,"offset":42,"line":1,"received_at_ms":1767268800000,'
        b'"reason":"invalid_event","detail":"model must be given"}'
    )
    assert readable("rejected", line) == (
        "2026-01-01T12:00:00Z invalid_event: model must be given (partition 3 offset 42 line 1)"
    )


def test_a_step_reads_as_what_is_said_of_which_incident() -> None:
    """An alert's line tells when, the incident's short id, how grave, which rule, which step, and the sentence."""
    line = alert(incident_id="spike:all", severity="page", evaluated_at=1_767_268_800, message="It spends much.")
    assert (
        readable("alerts", line) == f"2026-01-01T12:00:00Z {short_id('spike:all')} page spike raised: It spends much."
    )


def test_a_refusal_reads_as_who_was_beyond_what() -> None:
    """A refusal's line tells when, whose, which quota, and how much was spent of it; or that nobody knew."""
    assert readable("refusals", quota_refusal()) == (
        "2026-09-21T14:13:20.000Z refused user_id=u-1: quota 'a user', 24.900000000000 of 25.000000000000 usd spent, "
        "0.100000000001 wanted"
    )
    unknown = quota_refusal(reason="unknown", quota="", series="total", key=(), limit=None, spent="0.000000000000")
    assert readable("refusals", unknown).startswith(
        "2026-09-21T14:13:20.000Z refused total: no quota known, 0.000000000000 usd spent"
    )


def test_what_cannot_be_read_is_shown_as_it_is() -> None:
    """A line that is no JSON, or not what was expected, is printed and stops nothing."""
    assert readable("usage", b"\xff{") == "\ufffd{"
    assert readable("rates", b'{"a":1}') == '{"a":1}'
    assert readable("usage", b"[1]") == "[1]"
