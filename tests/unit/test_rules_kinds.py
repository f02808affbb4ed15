"""Does each rule fire when it should, and only then? Each one alone."""

from collections.abc import Mapping
from datetime import date
from typing import Any, ClassVar

import polars as pl
import pytest
from tests.rules_worlds import MODEL, OLD_PRICES, PLANNER, Office

from spendgauge.schemas.prices.freshness import PriceData
from spendgauge.streams.rules import KINDS, Rule, Seen, level
from spendgauge.streams.spikes import SpikeKey

USD = 10**12
WRITER: SpikeKey = ("agent", ("writer",))
TOTAL: SpikeKey = ("total", ())

THRESHOLD = """
[[rule]]
name = "agents"
kind = "threshold"
series = "agent"
minutes = 3
warn = 10
page = 30
resolve_minutes = 2
cooldown_minutes = 4
"""
ERRORS = """
[[rule]]
name = "errors"
kind = "error_rate"
series = "agent"
minutes = 2
requests = 10
warn = 5
page = "50.5"
resolve_minutes = 2
"""
SILENCE = """
[[rule]]
name = "silence"
kind = "no_data"
series = "agent"
warn = 5
page = 10
active_minutes = 10
"""


def test_an_amount_in_a_window_warns_pages_and_is_over() -> None:
    """9 USD in three minutes are none, 18 warn, 36 page; it is over after two minutes below 9 USD, 90 % of the line."""
    office = Office(THRESHOLD)
    steps = [office.pass_by({PLANNER: {"cost": cost * USD}}) for cost in (9, 9, 18, 0, 0, 0, 0, 0)]
    page = "agents escalated page"
    assert steps == [[], ["agents raised warn"], [page], [], [], [], ["agents resolved page"], []]
    raised = office.sent[0]
    assert (raised.seen_usd, raised.usual_usd, raised.excess_usd) == (
        "18.000000000000",
        "10.000000000000",
        "8.000000000000",
    )
    assert raised.message == "agent 'planner': 18.00 USD in 3 minutes; the line is 10 USD."
    assert raised.alert_id == f'agents:agent:["planner"]:{raised.onset}'
    assert raised.evaluated_at == raised.onset + 60


def test_between_nine_tenths_and_the_line_nothing_changes() -> None:
    """9.50 USD in the window keep up what is up, and raise nothing of another key."""
    office = Office(THRESHOLD)
    office.pass_by({PLANNER: {"cost": 11 * USD}})
    quiet = {key: {"cost": 19 * USD // 6} for key in (PLANNER, WRITER)}
    assert office.pass_by(quiet, 20) == []
    assert [alert.key for alert in office.sent] == [("planner",)]


def test_in_its_cooldown_only_what_is_worse_is_raised() -> None:
    """After a warning another one waits until the cooldown is over; a page does not wait."""
    office = Office(THRESHOLD)
    office.pass_by({PLANNER: {"cost": 11 * USD}})
    assert office.pass_by({}, 4) == ["agents resolved warn"]
    assert office.pass_by({PLANNER: {"cost": 11 * USD}}, 1) == []
    assert office.pass_by({PLANNER: {"cost": 31 * USD}}, 1) == ["agents raised page"]
    warned = Office(THRESHOLD)
    warned.pass_by({PLANNER: {"cost": 11 * USD}})
    warned.pass_by({}, 4)
    assert warned.pass_by({PLANNER: {"cost": 4 * USD}}, 6) == ["agents raised warn"]


def test_for_minutes_is_in_a_row() -> None:
    """Over the line, below, and over it again: only two minutes in a row raise; the onset is the first of them."""
    office = Office(THRESHOLD.replace("minutes = 3", "minutes = 1\nfor_minutes = 2"))
    hot, cold = {PLANNER: {"cost": 12 * USD}}, {PLANNER: {"cost": USD}}
    assert [office.pass_by(use) for use in (hot, cold, hot, hot)] == [[], [], [], ["agents raised warn"]]
    assert office.sent[0].onset == (office.minute - 2) * 60


@pytest.mark.parametrize(("measure", "said"), [("requests", "1,200"), ("tokens", "36,000"), ("errors", "60")])
def test_other_measures_have_lines_too(measure: str, said: str) -> None:
    """Requests, tokens (all kinds together) and errors are compared as they are counted, and no amount is claimed."""
    rule = f'[[rule]]\nname = "much"\nkind = "threshold"\nmeasure = "{measure}"\nminutes = 2\npage = 60'
    office = Office(rule)
    done = {"requests": 1200, "errors": 60, "input_tokens": 20_000, "output_tokens": 15_000, "cache_read_tokens": 1000}
    assert office.pass_by({TOTAL: done}) == ["much raised page"]
    line = f"Everything together: {said} {measure} in 2 minutes; the line is 60."
    assert (office.sent[0].message, office.sent[0].seen_usd) == (line, "0.000000000000")


def test_a_share_of_errors_counts_where_there_are_enough_requests() -> None:
    """All of 8 requests say nothing; 4 of 40 twice warn at 5 %, 32 of 40 page, and it ends with the errors."""
    office = Office(ERRORS)
    assert office.pass_by({PLANNER: {"requests": 4, "errors": 4}}, 4) == []
    assert office.pass_by({PLANNER: {"requests": 20, "errors": 2}}, 3) == ["errors raised warn"]
    assert office.sent[0].message == "agent 'planner': 4 of 40 requests (10.0 %) in 2 minutes failed; the line is 5 %."
    assert office.pass_by({PLANNER: {"requests": 20, "errors": 16}}, 3) == ["errors escalated page"]
    assert "32 of 40 requests (80.0 %)" in office.sent[1].message
    assert office.pass_by({PLANNER: {"requests": 20}}, 4) == ["errors resolved page"]


def test_a_model_without_a_price_is_named_at_once_and_until_it_is_priced() -> None:
    """Built in: one request is enough. A later edition of its lines with a price ends it; a day of quiet follows."""
    office = Office()
    first = office.minute
    assert office.pass_by({MODEL: {"requests": 3, "unpriced": 3}}, 2) == ["unpriced raised warn"]
    assert office.sent[0].message.startswith(
        "provider 'own', model 'llama' has no price, so all amounts leave it out (requests in 15 minutes: 3);"
    )
    for minute in (first, first + 1):
        office.write({MODEL: {"requests": 3, "cost": USD}}, minute, edition=1)
    assert office.pass_by({MODEL: {"requests": 3, "cost": USD}}, 5) == ["unpriced resolved warn"]
    assert office.pass_by({MODEL: {"requests": 3, "unpriced": 3}}, 3) == []


def test_a_model_that_is_no_longer_used_is_no_alarm() -> None:
    """15 minutes after its last request its window is empty, and five minutes later it is over."""
    office = Office()
    office.pass_by({MODEL: {"requests": 3, "unpriced": 3}})
    assert (office.pass_by({}, 18), office.pass_by({}, 1)) == ([], ["unpriced resolved warn"])


def test_silence_is_told_of_what_came_regularly() -> None:
    """An agent that came for ten minutes and then not for five warns, after ten it pages; its next request ends it."""
    office = Office(SILENCE)
    office.pass_by({PLANNER: {}}, 11)
    last = office.minute - 1
    assert office.pass_by({}, 4) == []
    assert office.pass_by({}, 1) == ["silence raised warn"]
    assert office.sent[0].onset == (last + 1) * 60
    assert office.pass_by({}, 5) == ["silence escalated page"]
    assert office.pass_by({PLANNER: {}}) == ["silence resolved page"]
    assert office.pass_by({}, 20) == []


def test_silence_is_not_told_of_what_comes_now_and_then() -> None:
    """An agent that is silent for longer than the line every time is so again: nothing is said."""
    office = Office(SILENCE)
    for _ in range(6):
        assert office.pass_by({PLANNER: {}}, 2) == []
        assert office.pass_by({}, 7) == []


def test_silence_is_not_told_while_somebody_is_catching_up() -> None:
    """With the clock ten minutes further nothing is raised, and nothing that is up is ended; with it in step, it is."""
    office = Office(SILENCE)
    office.pass_by({PLANNER: {}}, 11)
    assert office.pass_by({}, 6, behind=10) == []
    assert office.pass_by({}, 1) == ["silence raised warn"]
    assert office.pass_by({}, 3, behind=10) == []


def test_silence_survives_a_restart_and_is_not_told_of_the_past() -> None:
    """A watcher that takes over knows who came; after two days away it does not report who stopped in the meantime."""
    office = Office(SILENCE)
    office.pass_by({PLANNER: {}}, 16)
    office.take_over()
    assert office.pass_by({}, 5) == ["silence raised warn"]
    away = Office(
        SILENCE, kept={key: value for key, value in office.kept.items() if b"stretch" in key or b"rules" in key}
    )
    away.minute = office.minute + 2 * 1440
    assert away.pass_by({}, 10) == []


def test_a_key_that_nobody_waits_for_is_forgotten() -> None:
    """A week after its last request an alarm of silence ends, and nothing is kept of the key any more."""
    office = Office(SILENCE)
    office.pass_by({PLANNER: {}}, 12)
    office.pass_by({}, 20)
    assert any(b"stretch" in key for key in office.kept)
    office.minute += 7 * 1440 - 15
    office.pass_by({}, 12)
    assert [alert.state for alert in office.sent] == ["raised", "escalated", "resolved"]
    office.pass_by({}, 40)
    assert set(office.kept) == {b'["rules"]'}


def test_old_price_data_is_said_once_by_one_partition() -> None:
    """The watcher of partition 0 says it, the others do not; its onset is the day on which it became too old."""
    office, other = (Office(prices=OLD_PRICES, partition=partition) for partition in (0, 1))
    assert (office.pass_by({}, 5), other.pass_by({}, 5)) == (["price_age raised warn"], [])
    assert office.sent[0].onset == 1_761_868_800  # 31 October 2025, 60 days after 1 September
    assert "(genai-prices 0.1) knows is 2025-09-01, 84 days ago" in office.sent[0].message
    office.prices = PriceData("genai-prices 0.2", date(2025, 11, 20))
    office.take_over()
    assert office.pass_by({}, 6) == ["price_age resolved warn"]
    assert Office(prices=None).pass_by({}, 3) == []


@pytest.mark.parametrize(
    ("key", "covered"),
    [
        ('["*", "*"]', [0, 1, 2, 3]),
        ('["own", "*"]', [0, 1]),
        ('["*", "b \\"\\"\\u007f"]', [1, 2]),
        ('["own", "a"]', [0]),
    ],
)
def test_a_star_stands_for_each_value_that_is_given(key: str, covered: list[int]) -> None:
    """``*`` covers each key by itself, whatever characters it has; what is not given (empty) has no rule of its own."""
    keys = [("own", "a"), ("own", 'b ""\x7f'), ("x", 'b ""\x7f'), ("x,", 'c,""'), ("", "a"), ("own", "")]
    text = f'[[rule]]\nname = "r"\nkind = "threshold"\nseries = "provider+model"\nkey = {key}\nminutes = 1\nwarn = 1'
    office = Office(text)
    office.pass_by({("provider+model", one): {"cost": USD} for one in keys})
    assert sorted(keys.index((alert.key[0], alert.key[1])) for alert in office.sent) == covered


def test_a_rule_that_everybody_breaks_raises_a_thousand_alarms_and_no_more() -> None:
    """Those that are highest over their line come first."""
    office = Office('[[rule]]\nname = "r"\nkind = "threshold"\nseries = "user_id"\nminutes = 1\nwarn = 1\npage = 9')
    many: dict[SpikeKey, dict[str, int]] = {
        ("user_id", (f"u{n}",)): {"cost": USD * (9 if n >= 1190 else 1)} for n in range(1200)
    }
    office.pass_by(many)
    assert len(office.sent) == 1000
    assert sum(alert.severity == "page" for alert in office.sent) == 10


class Calls(Rule):
    """Too many requests an error: the rule of the page's example, written here as there."""

    kind: ClassVar[str] = "calls"

    @property
    def window_minutes(self) -> int:
        """Ten minutes."""
        return 10

    def judge(self, seen: Seen) -> pl.DataFrame:
        """Compare the average."""
        warn, page = self.lines
        size = pl.col("tokens") // pl.col("requests").clip(1)
        return seen.window.select("key", size.alias("size"), level(size, warn=warn, page=page))

    def say(self, who: str, row: Mapping[str, Any]) -> str:
        """Name it."""
        return f"{who}: {row['size']} tokens a request."


def test_a_rule_is_added_by_a_class_and_a_name() -> None:
    """A class with a kind, a window, ``judge`` and ``say`` is all: its file, alarms, alerts and restarts are there."""
    text = '[[rule]]\nname = "large calls"\nkind = "calls"\nseries = "agent"\nkey = ["*"]\nwarn = 1000'
    office = Office(text, kinds={**KINDS, "calls": Calls})
    assert office.pass_by({PLANNER: {"requests": 3, "input_tokens": 3300}}, 2) == ["large calls raised warn"]
    assert office.sent[0].message == "agent 'planner': 1100 tokens a request."
    office.take_over()
    assert office.pass_by({PLANNER: {"requests": 90, "input_tokens": 90}}, 5) == ["large calls resolved warn"]
