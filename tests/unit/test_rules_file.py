"""What does ``rules.toml`` accept, and does each slip give a sentence that says what to do?"""

from decimal import Decimal

import pytest
from tests.pages import pages

from spendgauge.schemas.errors import ConfigurationError
from spendgauge.streams.rules import KINDS, parse_rules
from spendgauge.streams.rules.threshold import Threshold
from spendgauge.streams.spikes import SpikeParameters

FILE = """
[[rule]]
name = "an agent's hour"
kind = "threshold"
series = "agent"
minutes = 60
warn = 20
page = "100.50"

[[rule]]
name = "unpriced"
kind = "unpriced"
series = "feature+model"
key = ["search", "*"]
warn = 10

[[rule]]
name = "off"
kind = "no_data"
warn = 15
enabled = false

[spikes]
floor_usd = "0.25"
page_usd_per_hour = 40
"""


def test_a_file_is_read_together_with_what_is_built_in() -> None:
    """A rule of the file replaces its namesake, one that is off is none, and lines are whole numbers of small units."""
    found = parse_rules(FILE)
    assert [(rule.name, rule.kind) for rule in found.rules] == [
        ("price_age", "price_age"),
        ("metering_stalled", "metering_stalled"),
        ("an agent's hour", "threshold"),
        ("unpriced", "unpriced"),
    ]
    hour = found.rules[2]
    assert isinstance(hour, Threshold)
    assert (hour.pattern, hour.window_minutes) == (("*",), 60)
    assert hour.lines == (20 * 10**12, 100_500_000_000_000)
    assert found.spikes == SpikeParameters(floor=25 * 10**10, page_per_hour=40 * 10**12)
    assert found.notes == ()


def test_without_a_file_there_are_the_built_in_rules_and_usual_spikes() -> None:
    """Models without a price, old price data and a metering that stands still are told of without being asked; spikes
    can be turned off."""
    found = parse_rules("")
    assert [(rule.name, rule.lines) for rule in found.rules] == [
        ("unpriced", (1, None)),
        ("price_age", (60, None)),
        ("metering_stalled", (None, 50)),  # tenths of minutes
    ]
    assert found.spikes == SpikeParameters()
    assert parse_rules("[spikes]\nenabled = false").spikes is None


def test_each_kind_is_named_as_it_is_registered() -> None:
    """The registry's names are those that the classes declare."""
    assert {name: rule.kind for name, rule in KINDS.items()} == dict(zip(KINDS, KINDS, strict=True))
    assert set(KINDS) == {"threshold", "error_rate", "unpriced", "no_data", "price_age", "metering_stalled"}


def test_a_series_that_is_not_usual_is_noted() -> None:
    """Nobody here knows what the rates workers were told, so it is a remark and no error."""
    text = '[[rule]]\nname = "x"\nkind = "threshold"\nseries = "team+model"\nwarn = 1'
    assert parse_rules(text).notes == (
        "rules.toml, rule 'x': team+model is not one of the usual series, so it sees nothing unless the rates workers' "
        "SPENDGAUGE_SERIES has it, with panes that make up a minute, as in team+model:60.",
    )


def test_turning_off_another_than_the_built_in_rule_is_noted() -> None:
    """Of some kinds there may be several; one that is off and is not the built-in one leaves that on, and says so."""
    found = parse_rules(_rule("enabled = false", "unpriced"))
    assert [rule.name for rule in found.rules] == ["unpriced", "price_age", "metering_stalled"]
    assert found.notes == (
        "rules.toml, rule 'x': it turns nothing off: the built-in rule is named 'unpriced', so write that name to turn "
        "it off.",
    )
    assert parse_rules(_rule("enabled = false\nwarn = 1")).notes == ()
    assert parse_rules('[[rule]]\nname = "unpriced"\nkind = "unpriced"\nenabled = false').notes == ()


def test_the_pages_file_can_be_used() -> None:
    """What docs/rules.md shows is read without a remark, and each of its rules is there."""
    page = next(page for page in pages() if page.name == "docs/rules.md")
    (text,) = (block.text for block in page.blocks() if block.language == "toml")
    found = parse_rules(text)
    assert {rule.kind for rule in found.rules} == set(KINDS)
    assert (found.spikes, found.notes) == (SpikeParameters(), ())


def _rule(more: str, kind: str = "threshold") -> str:
    return f'[[rule]]\nname = "x"\nkind = "{kind}"\n{more}'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[rule", "rules.toml is not valid TOML: "),
        ("[[budget]]", "rules.toml: 'budget' is not known; write [[rule]] once a rule, and [spikes]."),
        ("[rule]", "rules.toml: 'rule' must be written as [[rule]], once a rule."),
        ("spikes = 1", "rules.toml: 'spikes' must be written as [spikes], with its fields below."),
        (
            "[spikes]\ncap = 1",
            "[spikes]: cap is not known; the fields are enabled, floor_usd, page_usd_per_hour, cap_usd.",
        ),
        ("[spikes]\ncap_usd = 0", "[spikes]: cap_usd = 0 cannot be used: write an amount in USD above 0"),
        ("[spikes]\ncap_usd = true", "[spikes]: cap_usd = true cannot be used: write an amount in USD above 0"),
        ("[spikes]\nenabled = 1", "[spikes]: enabled = 1 cannot be used: write true or false, without quotes."),
        (_rule('warn = 1\nseries = "model+feature"'), "rule 'x': series = 'model+feature' is rated in another order"),
        (_rule('warn = 1\nseries = "team+team"'), "rule 'x': series = 'team+team' names a dimension twice"),
        ("[[rule]]\nwarn = 1", "rule number 1: kind is missing; write one of threshold, error_rate, unpriced, no_data"),
        (_rule("warn = 1", "spike"), "rule 'x': kind = 'spike' is not known; write one of threshold"),
        ('[[rule]]\nkind = "threshold"\nwarn = 1', "rule number 1: name is missing; add it."),
        (
            '[[rule]]\nname = "spike"\nkind = "threshold"',
            "rule 'spike': other alerts have this name; write another one.",
        ),
        (_rule("warn = 1") + "\n" + _rule("warn = 1"), "rule 'x': the name is given twice; an alert says it, so say"),
        (_rule(""), "rule 'x': it has no line, so it would never fire; give it warn, page or both."),
        (_rule("warn = -1"), "rule 'x': warn = -1 cannot be used: write a number above 0"),
        (_rule("warn = true"), "rule 'x': warn = true cannot be used: write a number above 0"),
        (_rule("warn = nan"), "rule 'x': warn = nan cannot be used: write a number above 0"),
        (_rule('warn = "5 USD"'), "rule 'x': warn = '5 USD' cannot be used: write a number above 0"),
        (_rule("warn = 5\npage = 4"), "rule 'x': page = 4 is below warn = 5; a page is for what is worse."),
        (
            _rule("warn = 0.5\nmeasure = 'tokens'"),
            "rule 'x': the line 0.5 has more than 0 places behind the point; round it.",
        ),
        (_rule("warn = 1\nmeasure = 'calls'"), "rule 'x': measure = 'calls' cannot be used: it should be 'usd', "),
        (
            _rule("warn = 1\nminutes = 61"),
            "rule 'x': minutes = 61 cannot be used: it should be less than or equal to 60.",
        ),
        (
            _rule("warn = 1\nwindow = 5"),
            "rule 'x': window is not known; the fields are name, enabled, series, key, warn",
        ),
        (_rule("warn = 1\nkey = 'x'"), "rule 'x': key = 'x' cannot be used: write a list such as [\"x\"]."),
        (
            _rule("warn = 1\nfor_minutes = '5'"),
            "for_minutes = '5' cannot be used: write a whole number, without quotes.",
        ),
        (_rule("warn = 1\nkey = ['a']"), "rule 'x': key ['a'] must have a value (or *) for each of []."),
        (_rule("warn = 1\nseries = 'house'"), "rule 'x': 'house' in the series 'house' is no dimension of an event"),
        (_rule("warn = 1\nseries = 'team,agent'"), "rule 'x': series = 'team,agent' must be one, as in team."),
        (
            _rule("warn = 101", "error_rate"),
            "rule 'x': a share of more than 100 per cent is never reached; write fewer.",
        ),
        (_rule("warn = 1000001"), "rule 'x': no window is counted beyond some millions; write at most 1,000,000 USD."),
        (
            _rule("enabled = false", "metering_stalled"),
            "rule 'x': the built-in rule of this kind is named 'metering_stalled'; write that name.",
        ),
        (_rule("warn = 9", "price_age"), "rule 'x': the built-in rule of this kind is named 'price_age'; write that"),
        (
            _rule('series = "agent"', "metering_stalled"),
            "rule 'x': series = 'agent' means nothing to a rule about the whole deployment; leave it out.",
        ),
        (_rule("warn = 2000", "no_data"), "rule 'x': a silence of more than 1440 minutes (a day) is not looked for"),
    ],
)
def test_a_slip_is_one_sentence(text: str, said: str) -> None:
    """It names the file, the rule, the value and what to write, on one line."""
    with pytest.raises(ConfigurationError) as caught:
        parse_rules(text)
    message = str(caught.value)
    assert message.startswith("rules.toml")
    assert said in message
    assert message.endswith(".")
    assert "\n" not in message


def test_numbers_stay_exact() -> None:
    """A TOML number is no float: 0.1 is a tenth, to the last picodollar."""
    (rule,) = (rule for rule in parse_rules(_rule("warn = 0.1\npage = 0.300000000001")).rules if rule.name == "x")
    assert (rule.warn, rule.lines) == (Decimal("0.1"), (10**11, 300_000_000_001))
