"""What do those who call hear of their quotas: limits, what is spent, when it begins anew, and how fresh that is?"""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from tests.budget_worlds import BudgetWorld, spending

from spendgauge.schemas.errors import ConfigurationError
from spendgauge.streams.budgets import parse_budgets, parse_quotas

_U1, _TOTAL = ("user_id", ("u1",)), ("total", ())
_USERS = """
[[quota]]
name = "users"
series = "user_id"
key = ["*"]
soft = 4
hard = "5.50"
period = "day"
time_zone = "Europe/Zurich"
"""
_TOKENS = """
[[quota]]
name = "tokens"
unit = "tokens"
hard = 1_000
period = "rolling"
days = 1
"""


def _second(text: str, zone: str = "Europe/Zurich") -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp())


def test_limits_are_said_as_the_file_has_them() -> None:
    """USD with twelve decimals, tokens as they are; a rolling quota with its days."""
    users, tokens = (quota.limit for quota in parse_quotas(_USERS + _TOKENS))
    assert (users.unit, users.soft, users.hard, users.period, users.days) == (
        "usd",
        "4.000000000000",
        "5.500000000000",
        "day",
        None,
    )
    assert (tokens.unit, tokens.soft, tokens.hard, tokens.period, tokens.days) == (
        "tokens",
        None,
        "1000",
        "rolling",
        1,
    )
    assert (users.key, users.time_zone) == (("*",), "Europe/Zurich")


def test_a_standing_follows_what_is_spent_at_once() -> None:
    """Also within the minute that is not over, with the state it reaches and the moment it begins anew."""
    world, start = BudgetWorld(_USERS), _second("2026-11-20T09:00")
    states = []
    for number in range(6):
        world.spend(spending(_U1, start + number, 1, block=number))
        world.work(start + number + 1)
        standing = world.standings()["users", ("u1",)]
        states.append((standing.spent, standing.state, standing.as_of_ms // 1000 - start))
    assert states == [
        (f"{n + 1}.000000000000", state, n + 1) for n, state in enumerate(["ok", "ok", "ok", "soft", "soft", "hard"])
    ]
    assert standing.resets_at == _second("2026-11-21T00:00")
    assert standing.period_start == _second("2026-11-20T00:00")


def test_when_a_period_ends_the_standing_says_so() -> None:
    """With nobody spending anything: zero, and the next moment that it begins anew; then what is spent in it."""
    world, midnight = BudgetWorld(_USERS), _second("2026-11-21T00:00")
    world.spend(spending(_U1, midnight - 60, 5))
    for second in range(-40, 0, 10):
        world.work(midnight + second)
    assert world.standings()["users", ("u1",)].state == "soft"
    world.work(midnight)
    standing = world.standings()["users", ("u1",)]
    assert (standing.spent, standing.state, standing.resets_at) == (
        "0.000000000000",
        "ok",
        _second("2026-11-22T00:00"),
    )
    world.spend(spending(_U1, midnight - 60, 0.25, block=10**9), spending(_U1, midnight + 5, 0.5))
    world.work(midnight + 6)
    assert world.standings()["users", ("u1",)].spent == "0.500000000000"


def test_tokens_count_all_that_are_counted_and_roll() -> None:
    """A rolling quota has no moment of its own; what is older than its days falls out of it."""
    world, start = BudgetWorld(_TOKENS), _second("2026-11-20T09:00", "UTC")
    world.spend(spending(_TOTAL, start, 1, tokens=900))
    world.work(start + 30)
    world.spend(spending(_TOTAL, start + 7200, 1, tokens=100))
    world.work(start + 7230)
    standing = world.standings()["tokens", ()]
    assert (standing.spent, standing.state, standing.resets_at) == ("1000", "hard", None)
    world.work(start + 86_400 + 900)
    assert world.standings()["tokens", ()].spent == "100"
    world.work(start + 86_400 + 7200 + 900)
    assert world.standings()["tokens", ()].spent == "0"


def test_nothing_is_said_where_nothing_changes_but_the_clock() -> None:
    """A standing is written when it changes, at most once a second; every ten seconds the clock says that it holds."""
    world, start = BudgetWorld(_USERS), _second("2026-11-20T09:00")
    world.spend(spending(_U1, start, 1))
    world.work(start + 61)
    assert world.judge is not None
    told = [
        len(verdict.quotas) for s in range(1, 41) for verdict in world.judge.close({0: start // 60}, start + 61 + s)
    ]
    assert told == [1, 1, 1, 1]
    world.work(start + 200)
    assert [clock.as_of_ms for clock in world.clocks()] == [(start + 200) * 1000]


def test_whoever_takes_over_says_all_again_and_no_less() -> None:
    """Standings may be lost in a crash: the next worker says limits and standings anew, from the same balance."""
    world, start = BudgetWorld(_USERS), _second("2026-11-20T09:00")
    for number in range(5):
        world.spend(spending(_U1, start + number * 200, 1))
        world.work(start + number * 200 + 61)
    before, world.quotas = dict(world.quotas), {}
    world.die()
    world.work(start + 861)
    assert world.quotas.keys() == before.keys()
    assert world.standings()["users", ("u1",)].spent == "5.000000000000"


def test_a_quota_that_is_gone_is_removed() -> None:
    """Limit and standings; so is a limit that went while nobody was there."""
    for away in (False, True):
        world, start = BudgetWorld(_USERS + _TOKENS), _second("2026-11-20T09:00")
        world.spend(spending(_U1, start, 1), spending(_TOTAL, start, 1, tokens=5))
        world.work(start + 61)
        assert world.limits().keys() == {"users", "tokens"}
        if away:
            world.die()
        world.reload(_TOKENS)
        world.work(start + 70)
        assert world.limits().keys() == {"tokens"}
        assert ("tokens", ()) in world.standings()
        assert away or ("users", ("u1",)) not in world.standings()


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ('name = "q"', "quota 'q': it limits nothing; give soft, hard or both"),
        ('name = "q"\nhard = 0', "quota 'q': hard = '0' cannot be used: write an amount in USD above 0"),
        ('name = "q"\nhard = 1\nsoft = 2', "quota 'q': soft 2 is above hard 1; warn before you refuse"),
        ('name = "q"\nunit = "tokens"\nhard = 1.5', "write a whole number of tokens above 0"),
        ('name = "q"\nunit = "EUR"\nhard = 1', "quota 'q': unit = 'EUR' cannot be used"),
        ('name = "q"\nhard = 1\nusd = 5', "quota 'q': usd is not known; the fields are name, series, key"),
        ('hard = 1\nseries = "team"', "quota number 1: name is missing; add it"),
        ('name = "q"\nhard = true', "hard = 'True' cannot be used"),
    ],
)
def test_a_slip_is_a_sentence_with_the_quotas_name(fields: str, said: str) -> None:
    """The sentence names the file, the quota and the value, and says what to write instead."""
    with pytest.raises(ConfigurationError) as error:
        parse_quotas(f"[[quota]]\n{fields}\n")
    assert said in str(error.value)


def test_budgets_and_quotas_lie_in_one_file() -> None:
    """Each reader finds its own."""
    text = _USERS + '[[budget]]\nname = "b"\nusd = 1\n' + _TOKENS
    assert [one.name for one in parse_budgets(text)] == ["b"]
    assert [one.name for one in parse_quotas(text)] == ["users", "tokens"]
