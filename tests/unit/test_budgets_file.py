"""Is a budget what its file says, and is every slip in the file a sentence that helps?"""

import json
from decimal import Decimal

import pytest
import structlog
from tests.pages import pages

from spendgauge.schemas.errors import ConfigurationError
from spendgauge.streams.budgets import BudgetJudge, parse_budgets
from spendgauge.streams.judging.judge import Configuration
from spendgauge.streams.rules import parse_rules

_FILE = """
[[budget]]
name = "everything"
usd = 12000
[[budget]]
name = "search"
series = "feature+model"
key = ["search", "*"]
usd = "0.000000000001"
period = "week"
begins = "sunday"
time_zone = "America/New_York"
lines = [100]
[[budget]]
name = "each user"
series = "user_id"
key = ["*"]
usd = 2.50
period = "rolling"
days = 7
"""


def test_a_file_is_read() -> None:
    """Amounts are exact, whole numbers, fractions and text alike; what is left out has its default."""
    everything, search, user = parse_budgets(_FILE)
    assert [budget.amount for budget in (everything, search, user)] == [12_000 * 10**12, 1, 25 * 10**11]
    assert user.usd == Decimal("2.50")
    assert (everything.series, everything.key, everything.lines) == ("total", (), (50, 80, 100))
    assert (search.periods.anchor, str(search.periods.zone)) == (7, "America/New_York")
    assert (user.periods.kind, user.periods.days) == ("rolling", 7)


def test_a_star_is_each_key_by_itself() -> None:
    """A wildcard covers every value that is given, and a key without a value has no budget of its own."""
    everything, search, user = parse_budgets(_FILE)
    assert everything.covers("total", ())
    assert search.covers("feature+model", ("search", "gpt-5"))
    assert not search.covers("feature+model", ("chat", "gpt-5"))
    assert not search.covers("feature", ("search",))
    assert user.covers("user_id", ("u1",))
    assert not user.covers("user_id", ("",))


_GOOD = {"name": '"a"', "usd": '"5"'}


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"usd": '"5 USD"'}, "budget 'a': usd = '5 USD' cannot be used: write an amount in USD above 0"),
        ({"usd": "-1"}, "budget 'a': usd = -1 cannot be used"),
        ({"usd": "0"}, "write an amount in USD above 0"),
        ({"usd": "true"}, "write an amount in USD above 0"),
        ({"usd": "nan"}, "write an amount in USD above 0"),
        ({"usd": '"0.0000000000001"'}, "write an amount in USD above 0"),
        ({"usd": None}, "budget 'a': usd is missing; add it"),
        ({"name": None}, "budget number 1: name is missing; add it"),
        ({"limit": "5"}, "budget 'a': limit is not known; the fields are name, series, key, period"),
        ({"series": '"colour"', "key": '["red"]'}, "series 'colour' has 'colour'; use total or any of provider"),
        ({"series": '"team"'}, "key [] must have a value (or *) for each of ['team']"),
        ({"key": '["x"]'}, "key ['x'] must have a value (or *) for each of []"),
        ({"period": '"year"'}, "period = 'year' cannot be used"),
        ({"days": "7"}, "days is for a rolling period only; a month has the days that it has"),
        ({"period": '"rolling"', "days": "0"}, "days = 0 cannot be used"),
        ({"begins": "32"}, "begins = 32 is no day that a month begins with"),
        ({"begins": '"monday"'}, "begins = 'monday' is no day that a month begins with"),
        ({"period": '"week"', "begins": '"someday"'}, "begins = 'someday' is no day that a week begins with"),
        ({"period": '"day"', "begins": "1"}, "begins = 1 is no day that a day begins with"),
        ({"time_zone": '"Mars/Olympus"'}, "time_zone = 'Mars/Olympus' cannot be used: write the name of a time zone"),
        ({"time_zone": '"../../etc/passwd"'}, "write the name of a time zone"),
        ({"time_zone": "7"}, "write the name of a time zone"),
        ({"usd": '"1_000"'}, "usd = '1_000' cannot be used: write an amount in USD above 0"),
        ({"usd": '"\u0661\u0662"'}, "write an amount in USD above 0"),
        ({"usd": '" 5"'}, "write an amount in USD above 0"),
        ({"begins": "true"}, "begins = true cannot be used: a month begins with a day from 1 to 31"),
        ({"begins": "1.0"}, "begins = 1.0 cannot be used"),
        ({"name": r'"a\u0007"'}, "cannot be used: write a name without line breaks, tabs and other characters"),
        ({"name": r'"a\nb"'}, "write a name without line breaks"),
        ({"series": '"user_id"', "key": '[""]'}, "key [''] has an empty value; what is not given has no budget"),
        (
            {"series": '"model+feature"', "key": '["*", "*"]'},
            "series = 'model+feature' is rated in another order; write 'feature+model', and the key's values so.",
        ),
        ({"series": '"model+provider"', "key": '["*", "*"]'}, "write 'provider+model', and the key's values so."),
        (
            {"series": '"team+team"', "key": '["*", "*"]'},
            "series = 'team+team' names a dimension twice; name each once.",
        ),
        ({"lines": "[80, 50]"}, "lines [80, 50] must rise, each once"),
        ({"lines": "[0]"}, "lines.0 = 0 cannot be used"),
    ],
)
def test_a_slip_is_a_sentence_with_the_budgets_name(fields: dict[str, str | None], said: str) -> None:
    """The sentence names the file, the budget and the value, and says what to write instead."""
    table = {name: value for name, value in (_GOOD | fields).items() if value is not None}
    text = "[[budget]]\n" + "\n".join(f"{name} = {value}" for name, value in table.items())
    with pytest.raises(ConfigurationError) as error:
        parse_budgets(text, name="my.toml")
    message = str(error.value)
    assert message.startswith("my.toml, budget ")
    assert said in message
    assert message.endswith(".")
    assert "\n" not in message


@pytest.mark.parametrize("series", ["model", "entity_id", "team+user_id"])
def test_a_series_that_is_not_usual_is_noted(series: str) -> None:
    """Nobody here knows what the rates workers were told: it is a remark, that of a rule, and is logged."""
    key = json.dumps(["*"] * len(series.split("+")))
    scope = f'name = "x"\nseries = "{series}"\nkey = {key}\n'
    text = f'[[budget]]\nusd = 5\n{scope}[[quota]]\nhard = 5\n{scope}[[budget]]\nname = "usual"\nusd = 5'
    rule = f'[[rule]]\nname = "x"\nkind = "threshold"\nseries = "{series}"\nwarn = 1'
    (said,) = parse_rules(rule).notes
    with structlog.testing.capture_logs() as logs:
        BudgetJudge().reload(Configuration(budgets=text))
    told = [said.replace("rules.toml, rule", f"budgets.toml, {kind}") for kind in ("budget", "quota")]
    assert [(log["log_level"], log["note"]) for log in logs] == [("warning", one) for one in told]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[budget", "my.toml is not valid TOML"),
        ("[budget]\nusd = 1", "my.toml: 'budget' must be written as [[budget]]"),
        ("[[budgets]]\nusd = 1", "my.toml: 'budgets' must be written as [[budget]]"),
        ("[[budget]]\nname='a'\nusd=1\n" * 2, "my.toml, budget 'a': the name is given twice"),
    ],
)
def test_a_file_of_another_shape_is_refused(text: str, said: str) -> None:
    """What is no list of budgets with names of their own is refused as a whole."""
    with pytest.raises(ConfigurationError) as error:
        parse_budgets(text, name="my.toml")
    assert said in str(error.value)


def test_the_pages_example_is_read() -> None:
    """What docs/budgets.md shows is a file that works."""
    (example,) = [
        block.text
        for page in pages()
        if page.name == "docs/budgets.md"
        for block in page.blocks()
        if block.language == "toml"
    ]
    assert [budget.amount // 10**12 for budget in parse_budgets(example)] == [12_000, 25, 300]


def test_an_empty_file_has_no_budgets() -> None:
    """Nothing is limited by nothing."""
    assert parse_budgets("") == ()
