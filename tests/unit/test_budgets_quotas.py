"""What do those who call hear of their quotas: limits, what is spent, when it begins anew, and how fresh that is?"""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from tests.budget_worlds import BudgetWorld, spending

from spendgauge.schemas.errors import ConfigurationError
from spendgauge.streams.budgets import BudgetJudge, parse_budgets, parse_quotas
from spendgauge.streams.judging import Configuration, Moment
from spendgauge.streams.judging.lines import read_lines

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


def test_what_is_said_of_keys_that_come_and_go_is_bounded_by_who_is_there() -> None:
    """A key that spent nothing in a whole period has no standing; one that nothing is kept of leaves nothing at all."""
    rolling = _TOKENS.replace("[[quota]]", '[[quota]]\nseries = "user_id"\nkey = ["*"]')
    budget = '[[budget]]\nname = "b"\nseries = "user_id"\nkey = ["*"]\nusd = 1_000\n'
    world, start = BudgetWorld(_USERS + rolling + budget), _second("2026-10-01T12:00")
    held = []
    for day in range(60):
        noon = start + day * 86_400
        world.spend(*(spending(("user_id", (f"u{day}-{n}",)), noon, 1, block=day, tokens=5) for n in range(2)))
        for hour in (0, 1, 6, 12, 18):
            world.work(noon + hour * 3600 + 61)
        if day == 50:
            world.die()
        assert world.judge is None or not {key[0] for _, key in world.standings()} - {
            f"u{one}-{n}" for one in (day - 1, day) for n in range(2)
        }
        held.append((len(world.quotas), len(world.kept) // 5))
    assert held[-1] == held[45]
    assert world.judge is not None
    (desk,) = world.judge._desks.values()
    accounts = set(desk._books.accounts())
    assert len(accounts) <= 2 * 38
    assert desk._standings._tracks.keys() | desk._bench._tracks.keys() == accounts
    key = ("user_id", ("u0-0",))
    world.spend(spending(key, noon + 80_000, 1, block=10**6))
    world.work(noon + 80_061)
    assert world.standings()["users", ("u0-0",)].spent == "1.000000000000"


def test_nothing_is_said_of_those_who_are_idle() -> None:
    """What is known to have no standing is not removed again with each period, nor said to have spent nothing."""
    world, start = BudgetWorld(_USERS), _second("2026-11-20T09:00")
    world.spend(spending(_U1, start, 1))
    told = []
    for day in range(5):
        world.work(start + day * 86_400 + 61)
        assert world.judge is not None
        moment = start + day * 86_400 + 60_061
        (verdict,) = world.judge.close({0: moment // 60 - 1}, Moment(moment, {0: moment * 1000}))
        told.append([value is not None for key, value in verdict.quotas if key.startswith(b'["standing"')])
    assert told == [[True], [False], [], [], []]


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
        len(verdict.quotas)
        for now in range(start + 62, start + 102)
        for verdict in world.judge.close({0: start // 60}, Moment(now, {0: now * 1000}))
    ]
    assert told == [1, 1, 1, 1]
    world.work(start + 200)
    assert [clock.as_of_ms for clock in world.clocks()] == [(start + 200) * 1000]


def test_what_is_known_stands_still_while_nobody_rates() -> None:
    """Standings and clocks say up to when all that was sent is counted, not what the watcher's clock shows: where the
    rates workers stand still so do they, and what was read later all the same counts."""
    world, start = BudgetWorld(_USERS), _second("2026-11-20T09:00")
    world.spend(spending(_U1, start, 1))
    world.work(start + 62, known=start + 60)
    world.spend(spending(_U1, start + 60, 2))
    world.work(start + 200, known=start + 63)
    standing = world.standings()["users", ("u1",)]
    assert (standing.spent, standing.as_of_ms) == ("3.000000000000", (start + 63) * 1000)
    assert [clock.as_of_ms for clock in world.clocks()] == [(start + 63) * 1000]


def test_nothing_is_said_before_anything_is_known() -> None:
    """Whoever took over and is far behind would say less than was said before: it says nothing, and all of it later."""
    start, judge = _second("2026-11-20T09:00"), BudgetJudge()
    judge.reload(Configuration(budgets=_USERS))
    judge.assign(0, {})
    judge.absorb(0, read_lines([spending(_U1, start, 1).model_dump_json().encode()], series=judge.series))
    assert judge.close({0: start // 60}, Moment(start + 62)) == []
    (verdict,) = judge.close({0: start // 60}, Moment(start + 63, {0: start * 1000}))
    assert len(verdict.quotas) == 3


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


def test_a_quota_that_is_new_stands_at_what_was_spent_before() -> None:
    """Its limit is said at once, of its keys nothing while their past is read, and then all, never a part of it. What
    is spent meanwhile is in it, also where the worker is killed amid it."""
    world, start = BudgetWorld(_TOKENS, reads_history=True, waits=True), _second("2026-11-20T09:00")
    for minute in range(10):
        world.spend(spending(_U1, start + minute * 60, 0.5), spending(_TOTAL, start + minute * 60, 0.5, tokens=9))
        world.work(start + minute * 60 + 61)
    world.reload(_TOKENS + _USERS)
    for minute in range(10, 14):
        world.spend(spending(_U1, start + minute * 60, 0.1))
        world.work(start + minute * 60 + 61)
        assert (set(world.limits()), set(world.standings())) == ({"tokens", "users"}, {("tokens", ())})
        if minute == 11:
            world.die()
    world.waits = False
    world.work(start + 14 * 60 + 2)
    standing = world.standings()["users", ("u1",)]
    assert (standing.spent, standing.state) == ("5.400000000000", "soft")
    assert world.standings()["tokens", ()].spent == "90"
    world.spend(spending(_U1, start + 14 * 60, 0.1))
    world.work(start + 14 * 60 + 3)
    assert world.standings()["users", ("u1",)].state == "hard"


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
        ('name = "q"\nhard = 0', "quota 'q': hard = 0 cannot be used: write an amount in USD above 0"),
        ('name = "q"\nhard = 1\nsoft = 2', "quota 'q': soft 2 is above hard 1; warn before you refuse"),
        ('name = "q"\nunit = "tokens"\nhard = 1.5', "write a whole number of tokens above 0"),
        ('name = "q"\nunit = "EUR"\nhard = 1', "quota 'q': unit = 'EUR' cannot be used"),
        ('name = "q"\nhard = 1\nusd = 5', "quota 'q': usd is not known; the fields are name, series, key"),
        ('hard = 1\nseries = "team"', "quota number 1: name is missing; add it"),
        ('name = "q"\nhard = "1_000"', "hard = '1_000' cannot be used: write an amount in USD above 0"),
        ('name = "q"\nhard = 1\nseries = "team"\nkey = [""]', "quota 'q': key [''] has an empty value"),
        ('name = "q"\nhard = 1\nseries = "model+feature"\nkey = ["*", "*"]', "write 'feature+model'"),
        ('name = "q"\nhard = true', "hard = true cannot be used"),
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
