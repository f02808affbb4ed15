"""Does each step of a rule become one alert, whoever dies, and wherever partitions are?"""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.alerting_worlds import said
from tests.rules_worlds import fleet

from spendgauge.schemas.alerts import Alert

_MINUTES = 45
_law = settings(deadline=None, max_examples=4)
_seeds = st.integers(0, 10**9)
_dooms = st.lists(
    st.one_of(
        st.tuples(st.just("alert"), st.integers(0, 2)),
        st.tuples(st.just("entry"), st.integers(0, 30)),
        st.tuples(st.just("commit"), st.integers(0, 9)),
    ),
    min_size=4,
    max_size=12,
)


def _lived(seed: int) -> list[Alert]:
    """Judge drawn traffic by one worker that has all partitions and lives."""
    return fleet(seed, minutes=_MINUTES)


def test_the_traffic_of_these_tests_does_everything() -> None:
    """What the laws here are held against is not silence: each rule raises and resolves, and what can escalates."""
    found = {(alert.rule, alert.state) for seed in range(4) for alert in _lived(seed)}
    for rule in ("agents", "errors", "silence"):
        assert {(rule, "raised"), (rule, "escalated"), (rule, "resolved")} <= found
    assert {("unpriced", "raised"), ("unpriced", "resolved"), ("price_age", "raised")} <= found


@_law
@given(seed=_seeds, dooms=_dooms, pause=st.integers(1, 7))
def test_workers_that_are_killed_before_any_write_lose_nothing_and_send_nothing_twice(
    seed: int, dooms: list[tuple[str, int]], pause: int
) -> None:
    """Two workers, killed between any two writes while partitions move between them, send what one that lives would."""
    sent = fleet(seed, minutes=_MINUTES, dooms=dooms, pause=pause)
    assert Counter(map(Alert.model_dump_json, sent)) == Counter(map(Alert.model_dump_json, _lived(seed)))


@_law
@given(seed=_seeds, dooms=_dooms, pause=st.integers(1, 7))
def test_with_lines_that_come_late_too_nothing_is_sent_twice(
    seed: int, dooms: list[tuple[str, int]], pause: int
) -> None:
    """Where lines come minutes late as well, each step is sent once, and what is escalated or resolved was raised."""
    sent = fleet(seed, minutes=_MINUTES, dooms=dooms, pause=pause, delays=[0, 0, 0, 1, 3, 9])
    assert max(Counter(map(said, sent)).values(), default=1) == 1
    assert {alert.alert_id for alert in sent} == {alert.alert_id for alert in sent if alert.state == "raised"}
