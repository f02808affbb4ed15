"""Does an alert say what a person needs, and is an incident said once?"""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spendgauge.schemas import Alert
from spendgauge.streams.spikes import OUTPUT_TOKENS, SpikeKey, SpikeParameters, SpikeStep
from spendgauge.streams.spikes.alerts import Excess, SpikeAlerts, alert_id, driver
from spendgauge.streams.spikes.detector import StepState
from spendgauge.streams.spikes.incidents import Incidents, contains

_USD = 10**12
_TOTAL: SpikeKey = ("total", ())
_SEARCH: SpikeKey = ("feature", ("search",))
_MODEL: SpikeKey = ("feature+model", ("search", "gpt-5"))
_CHAT: SpikeKey = ("feature", ("chat",))
_STEP = SpikeStep(
    key=_SEARCH,
    minute=1003,
    state="raised",
    severity="warn",
    onset=1001,
    usual=2 * _USD,
    seen=12_345_678_900_000,
    since_onset=11 * _USD,
    usual_requests=100.0,
    seen_requests=110,
)


def _writer(*parts: Excess) -> SpikeAlerts:
    return SpikeAlerts(SpikeParameters(), contributors=lambda _step: parts)


def _one(step: SpikeStep, *parts: Excess) -> Alert:
    (alert,) = _writer(*parts).alerts([step])
    return alert


def test_an_alert_says_usual_seen_and_excess() -> None:
    """Every amount to the picodollar: 12.3456789 - 2 in five minutes is 124.1481468 an hour."""
    alert = _one(_STEP)
    assert (alert.usual_usd, alert.seen_usd) == ("2.000000000000", "12.345678900000")
    assert (alert.excess_usd, alert.excess_usd_per_hour) == ("10.345678900000", "124.148146800000")
    assert alert.since_onset_usd == "11.000000000000"
    assert (alert.onset, alert.evaluated_at, alert.window_seconds) == (1001 * 60, 1004 * 60, 300)
    assert alert.message == ("feature 'search' spends 12.35 USD in 5 minutes, usually 2.00; the requests are larger.")


@pytest.mark.parametrize(
    ("usual", "seen", "said"),
    [
        (4 * 10**9, 2 * _USD, "spends 2.00 USD in 5 minutes, usually 0.0040; "),
        (1, 9_999_999_999, "spends 0.01 USD in 5 minutes, usually 0.000000000001; "),
        (0, 10**10, "spends 0.01 USD in 5 minutes, and nothing is usual yet."),
    ],
)
def test_less_than_a_cent_is_not_nothing(usual: int, seen: int, said: str) -> None:
    """A sentence never says 0.00 of what was spent."""
    assert said in _one(replace(_STEP, usual=usual, seen=seen)).message


@pytest.mark.parametrize(
    ("requests", "seen", "expected"),
    [
        (800, 16, "requests"),
        (100, 16, "size"),
        (400, 16, "both"),
        (200, 16, "both"),
        (100, 2, "none"),
        (0, 16, "none"),
    ],
)
def test_what_rose_is_named(requests: int, seen: int, expected: str) -> None:
    """Eight times the cost: by eight times the requests, by their size alone, or by some of both."""
    assert driver(replace(_STEP, seen=seen * _USD, seen_requests=requests)) == expected


def test_the_three_largest_contributors_are_named() -> None:
    """The largest first, equal ones in the order of their keys, and nothing that did not cost more."""
    names = [("agent", (name,)) for name in ("c", "b", "a", "d", "e")]
    parts = list(zip(names, (5 * _USD, 7 * _USD, 5 * _USD, -_USD, 0), strict=True))
    assert [one.key for one in _one(_STEP, *parts).contributors] == [("b",), ("a",), ("c",)]


def test_tokens_of_an_unpriced_model_are_no_dollars() -> None:
    """A spike in tokens is a rule of its own: its amounts of money are nothing, the message has the tokens."""
    writer = SpikeAlerts(OUTPUT_TOKENS, contributors=lambda _step: (), unit="output tokens")
    (alert,) = writer.alerts([replace(_STEP, seen=1_234_567, usual=0)])
    assert (alert.rule, alert.seen_usd, alert.excess_usd) == ("token_spike", "0.000000000000", "0.000000000000")
    assert alert.message == "feature 'search' spends 1,234,567 output tokens in 5 minutes, and nothing is usual yet."


@given(st.lists(st.tuples(st.text(max_size=4), st.text(max_size=4)), min_size=2, max_size=2, unique=True))
def test_no_two_keys_share_an_id(keys: list[tuple[str, str]]) -> None:
    """Whatever characters their names have: ("a-b", "c") is not ("a", "b-c")."""
    first, second = (alert_id("spike", ("feature+model", key), onset=60) for key in keys)
    assert first != second


def test_an_alert_keeps_its_id_and_incident_until_the_end() -> None:
    """Raised, escalated and resolved are one alert; said again by another worker, they are the same to the letter."""
    course = [
        _STEP,
        replace(_STEP, minute=1005, state="escalated", severity="page"),
        replace(_STEP, minute=1030, state="resolved", severity="page", seen=2 * _USD),
    ]
    writer = _writer()
    alerts = writer.alerts(course)
    assert len({(alert.alert_id, alert.incident_id) for alert in alerts}) == 1
    assert len(writer.incidents) == 0
    assert _writer().alerts(course) == alerts
    assert alerts[-1].message == "feature 'search' is back at 2.00 USD in 5 minutes, after 11.00 above the usual."


def _incident_ids(*raised: tuple[SpikeKey, int]) -> list[str]:
    steps = [replace(_STEP, key=key, minute=minute, onset=minute - 1) for key, minute in raised]
    return [alert.incident_id for alert in _writer().alerts(steps)]


def test_children_join_their_parent() -> None:
    """The total and what is in it, within 15 minutes of each other, are one incident, whichever was first."""
    first, *others = _incident_ids((_TOTAL, 10), (_SEARCH, 10), (_MODEL, 25))
    assert others == [first, first]
    assert first.startswith("spike:total:")
    first, *others = _incident_ids((_MODEL, 10), (_SEARCH, 12), (_TOTAL, 13))
    assert others == [first, first]
    assert first.startswith("spike:feature+model:")


def test_strangers_and_latecomers_are_incidents_of_their_own() -> None:
    """Another feature is no part of this one, and after 15 minutes it is something new."""
    assert len(set(_incident_ids((_SEARCH, 10), (_CHAT, 11)))) == 2
    assert len(set(_incident_ids((_TOTAL, 10), (_SEARCH, 26)))) == 2


def test_a_restored_alarm_is_joined_too() -> None:
    """A worker that takes over knows which alarms were up."""
    incidents = Incidents()
    incidents.restore(_TOTAL, incident_id="spike:total:[]:0", steps=((10, 0),))
    assert incidents.join(_SEARCH, "own", 20) == "spike:total:[]:0"
    assert incidents.leave(_SEARCH, "own", 25) == "spike:total:[]:0"
    assert incidents.leave(_CHAT, "own", 25) == "own"


def test_what_contains_what() -> None:
    """Fewer dimensions with the same values contain more of them; nothing contains itself."""
    assert contains(_TOTAL, _SEARCH)
    assert contains(_SEARCH, _MODEL)
    assert not contains(_MODEL, _SEARCH)
    assert not contains(_SEARCH, _SEARCH)
    assert not contains(_CHAT, _MODEL)
    assert not contains(("model", ("gpt-4",)), _MODEL)


def _page(key: SpikeKey, excess: int, *, minute: int = 1003, state: StepState = "raised") -> SpikeStep:
    return replace(_STEP, key=key, minute=minute, state=state, seen=_STEP.usual + excess * _USD)


_CODER: SpikeKey = ("agent", ("coder",))
_USER: SpikeKey = ("user_id", ("acme/user-7",))


def test_alarms_of_one_minute_and_nearly_one_excess_are_one_incident() -> None:
    """An agent, a feature and a user whose alarm escalates: three steps in one minute for one cause, one incident."""
    writer = _writer()
    (old,) = writer.alerts([replace(_page(_USER, 1, minute=903), severity="info")])
    now = [_page(_CODER, 70), _page(_SEARCH, 72), _page(_USER, 77, state="escalated")]
    assert {alert.incident_id for alert in writer.alerts(now)} == {old.incident_id}
    alone = _writer().alerts(now[:2])
    assert [alert.series for alert in alone] == ["feature", "agent"]
    assert {alert.incident_id for alert in alone} == {alone[0].alert_id}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (_page(_SEARCH, 70), _page(_CHAT, 70)),
        (_page(_SEARCH, 70), _page(_CODER, 30)),
        (_page(_SEARCH, 70), _page(_CODER, 70, minute=1004)),
        (_page(_SEARCH, 70), _page(("agent", ("",)), 70)),
    ],
)
def test_unrelated_alarms_are_incidents_of_their_own(first: SpikeStep, second: SpikeStep) -> None:
    """Two features; excesses of different sizes; other minutes in which nothing moved together; what nobody named."""
    assert len({alert.incident_id for alert in _writer().alerts([first, second])}) == 2


def test_what_is_judged_again_joins_what_it_joined() -> None:
    """One of a minute's alarms was kept and the others were not: the same ids, whichever of them that was."""
    steps = [
        _page(_TOTAL, 200),
        _page(_SEARCH, 72),
        _page(_CODER, 70),
        _page(_USER, 60),
        _page(("provider+model", ("a", "b")), 75),
    ]
    said = {(one.series, one.key): one for one in _writer().alerts(steps[1:])}
    said_with_total = {(one.series, one.key): one for one in _writer().alerts(steps)}
    for expected, course in ((said, steps[1:]), (said_with_total, steps)):
        for kept in course:
            writer = _writer()
            known = expected[kept.key].incident_id, ((kept.minute, kept.seen - kept.usual),)
            writer.incidents.restore(kept.key, incident_id=known[0], steps=known[1])
            again = writer.alerts([step for step in course if step is not kept])
            assert again == [expected[one.series, one.key] for one in again]
