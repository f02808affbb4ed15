"""Does a guard let pass what it should, and nothing else?"""

from datetime import UTC, datetime
from decimal import Decimal, localcontext
from enum import StrEnum
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.producers import FakeClock
from tests.quotas import Answering, limit, standing, ticked

from spendgauge.producers import pseudonym, usage_context
from spendgauge.producers.quotas import FakeQuotaGuard, QuotaExceeded, QuotaUnknown, QuotaVerdict
from spendgauge.producers.quotas.board import Board
from spendgauge.schemas.quotas import limit_key, standing_key

NOW = 1_800_000_000_000
LATER = NOW // 1000 + 3600


@pytest.fixture
def clock() -> FakeClock:
    """A clock that moves when told."""
    return FakeClock(NOW)


@pytest.fixture
def guard(clock: FakeClock) -> Answering:
    """A guard that knows of no limit, and is up to date."""
    answering = Answering(clock)
    answering.take(ticked(NOW))
    return answering


def test_what_has_no_limit_is_let_pass(guard: Answering) -> None:
    """Without a limit that it falls under a call may cost anything, and the verdict says so."""
    guard.take(limit("a user", hard=1))
    assert guard.check(feature="triage", estimate_usd=10**6) == QuotaVerdict()
    assert guard.told == []


def test_a_hard_limit_refuses_with_all_that_is_known(guard: Answering) -> None:
    """At a hard limit the exception has limit, spent, reserved, reset and name, and is one sentence with all of it."""
    guard.take(limit("a user", hard=25), standing("a user", 24, resets_at=LATER))
    with pytest.raises(QuotaExceeded) as refused:
        guard.check(user_id="u1", estimate_usd="1.50")
    error = refused.value
    assert (error.quota, error.limit, error.spent, error.reserved) == ("a user", 25, 24, 0)
    assert error.resets_at == datetime.fromtimestamp(LATER, UTC)
    assert str(error) == (
        "quota 'a user' of u1 has a hard limit of 25.00 USD: 24.00 USD is spent, this call may take 1.50 USD; "
        "it begins anew at 2027-01-15T09:00:00Z"
    )
    assert guard.check(user_id="u1", estimate_usd=1).reason == "ok"
    assert guard.check(user_id="u2", estimate_usd="1.50").reason == "ok"
    assert [verdict.allowed for verdict in guard.told] == [False]


@pytest.mark.parametrize(
    ("spent", "estimate", "reason"),
    [(4, 0, "ok"), (4, 1, "ok"), (4, "1.000000000001", "hard"), (5, 0, "hard"), (6, 0, "hard"), (-3, 8, "ok")],
)
def test_where_a_limit_is_reached(guard: Answering, spent: int, estimate: Any, reason: str) -> None:
    """A call may take what is left to the last picodollar; where nothing is left not even one without an estimate."""
    guard.take(limit("a user", hard=5), standing("a user", spent))
    assert guard.verdict(user_id="u1", estimate_usd=estimate).reason == reason


def test_tokens_are_limited_by_tokens(guard: Answering) -> None:
    """A limit in tokens looks at tokens alone, and says tokens."""
    guard.take(limit("a user", hard=1000, unit="tokens"), standing("a user", 900, unit="tokens"))
    assert guard.verdict(user_id="u1", estimate_usd=10**6, estimate_tokens=100).allowed
    with pytest.raises(QuotaExceeded, match="a hard limit of 1000 tokens: 900 tokens is spent"):
        guard.check(user_id="u1", estimate_tokens=101)


def test_a_soft_limit_warns_once_a_key_and_period(guard: Answering, clock: FakeClock) -> None:
    """Beyond a soft limit each verdict warns, and it is told once for each key, and again in the next period."""
    guard.take(limit("a user", soft=5, hard=100), standing("a user", 6, resets_at=LATER))
    guard.take(standing("a user", 6, ("u2",), resets_at=LATER))
    for user in ("u1", "u1", "u2"):
        verdict = guard.check(user_id=user)
        assert (verdict.allowed, verdict.warned, verdict.reason, verdict.limit) == (True, True, "soft", 5)
    assert [verdict.key for verdict in guard.told] == [("u1",), ("u2",)]
    clock.wall_ms += 3600_000
    guard.take(standing("a user", 6, resets_at=LATER + 3600))
    assert guard.check(user_id="u1").warned
    assert len(guard.told) == 3


def test_a_trial_warns_instead_of_refusing(clock: FakeClock) -> None:
    """With quota_mode warn nothing is refused, and each call that would have been is told as a warning."""
    guard = Answering(clock, quota_mode="warn")
    guard.take(limit("a user", hard=5), standing("a user", 5), ticked(NOW))
    verdict = guard.check(user_id="u1")
    assert (verdict.allowed, verdict.warned, verdict.reason) == (True, True, "hard")
    assert guard.told == [verdict]


SERIES = [
    ("total", (), {}, {}),
    ("team", ("*",), {"team": "search"}, {"feature": "triage"}),
    ("team", ("*",), {"team": "search"}, {"team": ""}),
    ("team", ("search",), {"team": "search"}, {"team": "ads"}),
    ("team", ("",), {}, {"team": "ads"}),
    ("feature+model", ("*", "*"), {"feature": "a", "model": "b"}, {"model": "b"}),
    ("feature+model", ("a", "*"), {"feature": "a", "model": "b"}, {"feature": "b", "model": "b"}),
    ("feature+model", ("*", "b"), {"feature": "a", "model": "b"}, {"feature": "a", "model": "c"}),
    ("feature+model", ("a", "b"), {"feature": "a", "model": "b"}, {"feature": "b", "model": "a"}),
    ("feature+model", ("", "b"), {"model": "b"}, {"feature": "a", "model": "b"}),
    ("provider+model", ("x", "b"), {"provider": "x", "model": "b"}, {"model": "b"}),
]


@pytest.mark.parametrize(("series", "key", "inside", "outside"), SERIES)
def test_a_limit_finds_its_calls(
    guard: Answering, series: str, key: tuple[str, ...], inside: dict[str, Any], outside: dict[str, Any]
) -> None:
    """A call falls under a limit if its values are the limit's, * being each that is given; of any series."""
    guard.take(limit("it", series, key, hard=1))
    assert not guard.verdict(**inside, estimate_usd=2).allowed
    assert guard.verdict(**outside, estimate_usd=2).allowed or series == "total"


@settings(deadline=None)
@given(st.data())
def test_limits_are_found_as_by_looking_at_each(data: st.DataObject) -> None:
    """However many limits there are, a call falls under those that a scan of all of them finds."""
    names = ("team", "feature", "feature+model", "total", "team+feature+model")
    values = st.sampled_from(["", "a", "b"])
    board, limits = Board(), []
    for number in range(data.draw(st.integers(0, 12))):
        series = data.draw(st.sampled_from(names))
        size = 0 if series == "total" else series.count("+") + 1
        key = data.draw(st.tuples(*[st.sampled_from(["*", "", "a", "b"])] * size))
        limits.append(limit(f"q{number}", series, key, hard=1))
        board.apply(*limits[-1].entry())
    who = {name: data.draw(values) for name in ("team", "feature", "model")}

    def covers(series: str, key: tuple[str, ...]) -> bool:
        given = [who[name] for name in series.split("+")] if series != "total" else []
        return all(ours == theirs or (ours == "*" and theirs) for ours, theirs in zip(key, given, strict=True))

    found = sorted(quota.limit.name for quota, _ in board.matching(who))
    assert found == sorted(one.name for one in limits if covers(one.series, one.key))


def test_of_several_limits_the_one_that_resets_last_is_named(guard: Answering) -> None:
    """Where several limits stand in the way, the caller hears of the one that will longest."""
    for name, resets_at in (("day", LATER), ("month", LATER + 86_400), ("week", LATER + 3600)):
        guard.take(limit(name, hard=1), standing(name, 1, resets_at=resets_at))
    assert guard.verdict(user_id="u1").quota == "month"


def test_the_context_and_the_defaults_are_looked_at(clock: FakeClock) -> None:
    """What usage_context and the settings say of a call counts as in its event: nearer words win, None says nothing."""
    guard = Answering(clock, dimensions={"team": "search"})
    guard.take(limit("teams", "team", ("search",), hard=1), limit("ads", "team", ("ads",), hard=2), ticked(NOW))
    assert guard.verdict(estimate_usd=3).quota == "teams"
    with usage_context(team="ads"):
        assert guard.verdict(estimate_usd=3).quota == "ads"
        assert guard.verdict(team=None, estimate_usd=3).quota == "ads"
        assert guard.verdict(team="other", estimate_usd=3).allowed
    assert guard.verdict(service="x", team="x", estimate_usd=3).allowed


def test_people_are_known_by_their_pseudonyms(clock: FakeClock) -> None:
    """Where the producer hides names, the standings have pseudonyms, and a check by name finds them."""
    key = "0123456789abcdef" * 4
    guard = Answering(clock, pseudonym_key=key, pseudonym_key_id="k")
    hidden = pseudonym("u1", key=key, key_id="k")
    guard.take(limit("a user", hard=5), standing("a user", 5, (hidden,)), ticked(NOW))
    assert guard.verdict(user_id="u1").key == (hidden,)
    assert guard.verdict(user_id="u2").allowed


class _User(StrEnum):
    SEVEN = "user-7"


@pytest.mark.parametrize(
    ("user", "text"), [(7, "7"), (UUID(int=7), "00000000-0000-0000-0000-000000000007"), (_User.SEVEN, "user-7")]
)
def test_a_user_is_found_however_the_id_is_given(user: Any, text: str) -> None:
    """An id that is no text is looked for as the text that usage_context writes into events, whatever is asked."""
    guard = FakeQuotaGuard()
    guard.limit("a user", hard=5, series="user_id", key=["*"])
    guard.spend("a user", 5, key=[text])
    with pytest.raises(QuotaExceeded):
        guard.check(user_id=user)
    with pytest.raises(QuotaExceeded):
        guard.reserve(user_id=user).__enter__()
    assert not guard.hold(30, user_id=user).allowed
    assert guard.standings(user_id=user)[0].verdict.key == (text,)
    with usage_context(user_id=user):
        assert not guard.verdict().allowed


def test_an_old_period_counts_as_nothing(guard: Answering, clock: FakeClock) -> None:
    """From resets_at on what was spent before is forgotten, whether or not the watcher has said so."""
    guard.take(limit("a user", hard=5), standing("a user", 5, resets_at=LATER))
    clock.wall_ms = LATER * 1000 - 1
    assert not guard.verdict(user_id="u1").allowed
    clock.wall_ms += 1
    assert guard.verdict(user_id="u1").allowed


def test_what_is_removed_is_forgotten(guard: Answering) -> None:
    """A limit or a standing that is removed counts no more; a limit in another unit begins with nothing."""
    guard.take(limit("a user", hard=5), standing("a user", 5))
    guard.board.apply(standing_key("a user", ("u1",)), None)
    assert guard.verdict(user_id="u1").allowed
    guard.take(standing("a user", 5))
    guard.take(limit("a user", hard=5, unit="tokens"))
    assert guard.verdict(user_id="u1").allowed
    guard.take(limit("a user", hard=5))
    assert not guard.verdict(user_id="u1").allowed
    guard.board.apply(limit_key("a user"), b"")
    assert guard.verdict(user_id="u1").allowed
    assert not guard.board.apply(b'["novel"]', None)
    assert not guard.board.apply(b'["novel"]', b"{}")


def test_nobody_knows_before_all_is_read(clock: FakeClock) -> None:
    """Until the topic is read to its end and each clock is fresh, calls pass or not as quota_unknown says."""
    lenient, strict = Answering(clock), Answering(clock, quota_unknown="refuse")
    for guard in (lenient, strict):
        guard.board.apply(*limit("a user", hard=5).entry())
        assert not guard.known
    assert lenient.check(user_id="u1").allowed
    with pytest.raises(QuotaUnknown, match="nobody knows what is spent"):
        strict.check(user_id="u1")
    strict.take(ticked(NOW), ticked(NOW - 60_001, partition=1))
    assert not strict.verdict(user_id="u1").allowed
    strict.take(ticked(NOW - 60_000, partition=1))
    assert strict.known
    assert strict.check(user_id="u1").allowed
    assert [verdict.reason for verdict in strict.told] == ["unknown", "unknown"]


def test_what_is_known_counts_while_the_watcher_is_silent(guard: Answering, clock: FakeClock) -> None:
    """With stale clocks a period's spending still counts, since it only grows; of a rolling one nobody knows."""
    guard.take(limit("a user", hard=5), limit("week", hard=5, period="rolling", days=7))
    guard.take(standing("a user", 5, resets_at=LATER), standing("week", 5, ("u2",)))
    assert not guard.verdict(user_id="u2").allowed
    clock.wall_ms += 61_000
    assert not guard.known
    assert guard.verdict(user_id="u1").quota == "a user"
    assert guard.verdict(user_id="u2").allowed


def test_a_topic_that_was_created_again_is_another(guard: Answering) -> None:
    """What was known of a log that is gone is forgotten as a whole."""
    guard.take(limit("a user", hard=5), standing("a user", 5))
    guard.board.forget()
    assert not guard.known
    assert guard.verdict(user_id="u1").allowed


def test_standings_can_be_shown(guard: Answering) -> None:
    """Each quota that a call falls under is shown with its limits and what is spent and held."""
    guard.take(limit("a user", soft=5, hard=9), standing("a user", 6), limit("all", "total", (), soft=100))
    with guard.reserve(user_id="u1", estimate_usd="0.5"):
        everything, user = guard.standings(user_id="u1")
    assert (user.soft, user.hard, user.verdict.spent, user.verdict.reserved) == (5, 9, 6, Decimal("0.5"))
    assert (user.verdict.reason, everything.verdict.reason, everything.hard) == ("soft", "ok", None)


@pytest.mark.parametrize(
    ("fields", "error", "sentence"),
    [
        ({"estimate_usd": 0.05}, TypeError, "0.05 is a float, which is no exact amount"),
        ({"estimate_usd": "-1"}, ValueError, "'-1' is no amount in USD"),
        ({"estimate_usd": "five"}, ValueError, "'five' is no amount in USD"),
        ({"estimate_usd": Decimal("NaN")}, ValueError, "is no amount in USD"),
        ({"estimate_usd": Decimal("sNaN")}, ValueError, "is no amount in USD"),
        (
            {"estimate_usd": "1e400"},
            ValueError,
            "'1e400' is no amount in USD; give a Decimal or text from 0 to a billion",
        ),
        ({"estimate_usd": "1e999999999999999999"}, ValueError, "is no amount in USD"),
        ({"estimate_usd": "1000000000.000000000001"}, ValueError, "is no amount in USD"),
        ({"estimate_usd": Decimal("-1e-30")}, ValueError, "is no amount in USD"),
        ({"estimate_usd": 10**5000}, ValueError, "10000.*... is no amount in USD"),
        ({"estimate_usd": "9" * 5000}, ValueError, "'99999.*... is no amount in USD"),
        ({"estimate_usd": ["1"]}, TypeError, "a list is no amount in USD"),
        ({"estimate_tokens": 10**5000}, ValueError, "is no number of tokens; give 0 or more, at most 1000000000000000"),
        ({"estimate_tokens": -1}, ValueError, "-1 is no number of tokens"),
        ({"estimate_usd": None}, TypeError, "a NoneType is no amount in USD"),
        ({"estimate_usd": True}, TypeError, "a bool is no amount in USD"),
        ({"estimate_tokens": 1.5}, TypeError, "1.5 is no whole number of tokens"),
        ({"estimate_tokens": True}, TypeError, "True is no whole number of tokens"),
        ({"user": "u1"}, TypeError, "user is no dimension of a usage event"),
        ({"user_id": 7.0}, TypeError, "user_id is of type float, which no event can hold; give text, an integer or a"),
        ({"user_id": b"u1"}, TypeError, "user_id is of type bytes, which no event can hold"),
    ],
)
def test_a_wrong_question_is_an_error(guard: Answering, fields: Any, error: type[Exception], sentence: str) -> None:
    """What cannot be meant is refused with a sentence, not guessed at."""
    with pytest.raises(error, match=sentence):
        guard.check(**fields)


def test_a_service_may_round_its_own_decimals(guard: Answering) -> None:
    """An estimate is exact, whatever precision the caller's thread has chosen."""
    guard.take(limit("a user", hard=1000))
    with localcontext(prec=2):
        assert guard.verdict(user_id="u1", estimate_usd=1000).allowed
        assert guard.verdict(user_id="u1", estimate_usd="1000.000000000001").reason == "hard"
