"""What is kept, read again and withdrawn of rules in one partition?"""

import pytest
from tests.alerting_worlds import FIRST_MINUTE, said
from tests.rules_worlds import MODEL, OLD_PRICES, PLANNER, Office

from spendgauge.schemas.errors import ConfigurationError
from spendgauge.streams.judging import Configuration, Judge
from spendgauge.streams.rules import RuleJudge

HOT = '[[rule]]\nname = "hot"\nkind = "threshold"\nseries = "agent"\nminutes = 1\nwarn = 1\n'
OTHER = HOT.replace('"threshold"', '"error_rate"').replace("minutes", "requests = 1\nminutes")
SPENT = {PLANNER: {"cost": 2 * 10**12}}


def _judge(rules: str = "") -> RuleJudge:
    judge = RuleJudge(prices=None)
    judge.reload(Configuration(rules=rules))
    return judge


def test_it_is_a_judge_that_asks_for_its_rules_series() -> None:
    """Built in is what looks at models; a rule adds its series, and a rule that looks at no lines adds none."""
    judge: Judge = _judge(HOT)
    assert set(judge.series) == {"provider+model", "agent"}
    assert set(_judge('[[rule]]\nname = "unpriced"\nkind = "unpriced"\nenabled = false').series) == set()


@pytest.mark.parametrize("rules", ["", OTHER])
@pytest.mark.parametrize("restarted", [False, True])
def test_a_rule_that_is_gone_ends_what_it_had_raised_once(rules: str, restarted: bool) -> None:
    """Removed, or made a rule of another kind, live or while the watcher was down: resolved with the next closing."""
    office = Office(HOT)
    assert office.pass_by(SPENT, 7) == ["hot raised warn"]
    if restarted:
        office.take_over(rules)
    else:
        office.judge.reload(Configuration(rules=rules))
    office.minute -= 1
    assert office.pass_by({}) == ["hot resolved warn"]
    assert "the rule 'hot' does not hold any more" in office.sent[-1].message
    assert office.pass_by({}, 12) == []
    assert set(office.kept) == {b'["rules"]'}


def test_the_same_rules_change_nothing_and_bad_ones_keep_the_old() -> None:
    """What is up stays up over a reload of the same file, and over one that cannot be read."""
    office = Office(HOT)
    office.pass_by(SPENT)
    office.judge.reload(Configuration(rules=HOT + "\n# a remark"))
    with pytest.raises(ConfigurationError, match="rule 'x'"):
        office.judge.reload(Configuration(rules='[[rule]]\nname = "x"'))
    assert office.pass_by(SPENT, 3) == []
    assert office.pass_by({}, 5) == ["hot resolved warn"]


def test_a_line_that_is_moved_holds_from_the_next_minute_on() -> None:
    """A lower line raises what was below the old one; a higher one ends what is below nine tenths of it."""
    office = Office(HOT)
    assert office.pass_by({PLANNER: {"cost": 10**12 // 2}}) == []
    office.judge.reload(Configuration(rules=HOT.replace("warn = 1", "warn = 0.4")))
    assert office.pass_by({PLANNER: {"cost": 10**12 // 2}}) == ["hot raised warn"]
    office.judge.reload(Configuration(rules=HOT))
    assert office.pass_by({PLANNER: {"cost": 10**12 // 2}}, 5) == ["hot resolved warn"]


SILENCE = '[[rule]]\nname = "hot"\nkind = "no_data"\nseries = "agent"\nwarn = 3\nactive_minutes = 4\n'
OLD = '[[rule]]\nname = "price_age"\nkind = "price_age"\nwarn = 60\n'


@pytest.mark.parametrize(
    ("right", "other"),
    [
        (OLD, OLD.replace("warn = 60", "warn = 60\nenabled = false")),
        (OLD, OLD.replace("warn = 60", "warn = 6000")),
        (SILENCE, SILENCE.replace("warn = 3", "warn = 300")),
        (HOT, ""),
        (HOT, OTHER),
    ],
)
@pytest.mark.parametrize("killed", ["", "before", "between", "after"])
def test_an_edit_that_is_put_right_is_told_anew(right: str, other: str, killed: str) -> None:
    """What a rule raises again after an edit and its undoing is an alarm of its own, whoever is killed in between."""
    office = Office(right, prices=OLD_PRICES)
    office.pass_by({PLANNER: {}}, 6)
    office.pass_by(SPENT if right == HOT else {}, 4)
    for _ in range(2):
        for rules, moment in ((other, "before"), (right, "between")):
            office.rules = rules
            if killed == moment:
                office.take_over()
            else:
                office.judge.reload(Configuration(rules=rules))
            office.pass_by(SPENT if right == HOT else {}, 45)
        if killed == "after":
            office.take_over()
    name = "price_age" if right == OLD else "hot"
    steps = [alert for alert in office.sent if alert.rule == name]
    assert [alert.state for alert in steps] == ["raised", "resolved", "raised", "resolved", "raised"]
    assert [steps[n].alert_id == steps[n + 1].alert_id for n in range(4)] == [True, False, True, False]
    assert len(set(map(said, office.sent))) == len(office.sent)


def test_what_was_kept_and_not_sent_is_said_by_who_takes_over() -> None:
    """An entry holds the alerts of its steps until it is written again, which it is with the next saving."""
    office = Office(HOT)
    office.pass_by({})
    office.pass_by(SPENT)
    assert _judge(HOT).assign(0, office.kept) == office.sent != []
    office.pass_by(SPENT, 6)
    assert _judge(HOT).assign(0, office.kept) == []


def test_what_another_version_kept_begins_anew() -> None:
    """Entries that cannot be read are left out; those of other judges are none of ours."""
    kept = {
        b'["rule","hot","agent",["planner"]]': b'{"level":3}',
        b'["rule","hot"]': b"{}",
        b'["stretch","hot","agent",["planner"]]': b"[1]",
        b'["rules"]': b"{}",
        b'["spike","agent",["planner"]]': b"{}",
    }
    office = Office(HOT, kept=kept)
    assert office.judge.read_from(0) is None
    assert office.pass_by(SPENT) == ["hot raised warn"]


def test_as_much_is_read_again_as_the_longest_window_needs() -> None:
    """With 15 minutes (built in) and a save at minute 5, minute 6 needs lines from minute -8 on."""
    office = Office()
    office.pass_by({MODEL: {}}, 6)
    assert office.judge.read_from(0) == FIRST_MINUTE + 5 + 1 - 14


def test_minutes_of_yesterday_raise_nothing() -> None:
    """A watcher that was away for longer than a day does not report what began and ended before."""
    office = Office(HOT)
    office.write(SPENT, office.minute)
    office.write(SPENT, office.minute + 1441)
    office.minute += 1441
    office.close()
    assert [alert.onset // 60 - FIRST_MINUTE for alert in office.sent] == [1441]


def test_a_rule_that_comes_back_at_once_keeps_what_it_learns_from_then_on() -> None:
    """What a removed rule had followed is removed from the topic, and not what it follows since it is there again."""
    silence = '[[rule]]\nname = "s"\nkind = "no_data"\nseries = "agent"\nwarn = 2\nactive_minutes = 3\n'
    office = Office(silence)
    office.pass_by({PLANNER: {}}, 6)
    office.judge.reload(Configuration())
    office.judge.reload(Configuration(rules=silence))
    office.pass_by({PLANNER: {}}, 5)
    office.take_over()
    assert office.pass_by({}, 2) == ["s raised warn"]
