"""Is a slip in a silence seen before somebody relies on it?"""

import pytest

from spendgauge.deploy.alerts.subjects import notes_on
from spendgauge.deploy.alerts.words import Subject
from spendgauge.schemas import ConfigurationError


@pytest.mark.parametrize(
    ("rule", "series"),
    [
        ("", ""),
        ("spike", "agent"),
        ("gap", "source"),
        ("delivery", "channel"),
        ("unpriced", "provider+model"),
        ("", "total"),
    ],
)
def test_what_alerts_are_about_is_taken_without_a_word(rule: str, series: str) -> None:
    """Rules and series that spendgauge has by itself need no remark."""
    assert notes_on(Subject(rule, series)) == ()


@pytest.mark.parametrize(
    "series", ["nosuch", "agent+nosuch", "agent,team", "agent:10", "agent+agent", "model+provider"]
)
def test_a_series_that_cannot_be_is_refused(series: str) -> None:
    """No alert is ever of it, so such a silence would do nothing."""
    with pytest.raises(ConfigurationError, match="of gaps the series is source, of notifications channel"):
        notes_on(Subject("", series))


def test_what_only_others_know_is_remarked() -> None:
    """A rule may be one of rules.toml, a series one that rates workers were told of: both are taken, and said."""
    rule, series = notes_on(Subject("spikes", "team+model"))
    assert rule.startswith("the rule 'spikes' is not one of spike, token_spike, gap, ")
    assert rule.endswith("it must be in rules.toml")
    assert series.startswith("team+model is not one of the usual series")
