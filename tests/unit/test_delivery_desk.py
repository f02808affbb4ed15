"""Is everybody told once, and always that it is over? The notifier's decisions, without clock, Kafka or network."""

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr
from tests.notifications import BEGIN, alert

from spendgauge.schemas import Alert
from spendgauge.schemas.silences import Acknowledgement, Silence, acknowledgement_key, silence_key
from spendgauge.streams.delivery.channels import Channel
from spendgauge.streams.delivery.desk import Desk, Order
from spendgauge.streams.delivery.incidents import REMEMBERED_MS, Heard
from spendgauge.streams.delivery.memory import read_memory, sent_key
from spendgauge.streams.delivery.tries import GIVE_UP_MS, Outcome

T0 = BEGIN * 1000
HOUR = 3_600_000
SENT = Outcome("sent")
FAILED = Outcome("failed", "it answers 503")
LOST = Outcome("failed", "it does not answer within 10 s", perhaps=True)


def channel(name: str = "ops", **more: Any) -> Channel:
    """Make a channel that wants all."""
    return Channel(name=name, kind="apprise", url=SecretStr("json://localhost"), **more)


class World:
    """A desk, what it has kept, and what was sent; ``restart`` makes another desk of what was kept."""

    def __init__(self, *channels: Channel) -> None:
        self.channels = channels or (channel(),)
        self.now_ms = T0
        self.kept: dict[bytes, bytes] = {}
        self.sent: list[tuple[str, str, str]] = []
        """Channel, step, incident."""
        self.lost: list[tuple[str, str, str]] = []
        """The same of what nobody knows whether it arrived."""
        self.said: list[Alert] = []
        self.words: dict[bytes, bytes | None] = {}
        self.restart()

    def restart(self) -> None:
        """Begin anew with what is kept, as another notifier would."""
        memory = read_memory(self.kept.items())
        self.desk = Desk(memory, self.channels, stream="s", now_ms=self.now_ms, late_ms=HOUR)
        self.desk.listen(self.words.items())

    def hear(self, *alerts: Alert, at_ms: int | None = None) -> None:
        """Hear lines, written now."""
        at_ms = self.now_ms if at_ms is None else at_ms
        self._keep(self.desk.absorb([Heard(one, at_ms) for one in alerts], now_ms=self.now_ms))

    def silence(self, *, until_ms: int, **what: Any) -> None:
        """Silence some alerts from now on."""
        word = Silence(silence_id="s", by="ada", created_at=_at(self.now_ms), until=_at(until_ms), **what)
        self._say(silence_key("s"), word.model_dump_json().encode())

    def acknowledge(self, incident_id: str = "a") -> None:
        """Say that somebody is at an incident."""
        word = Acknowledgement(incident_id=incident_id, by="ada", at=_at(self.now_ms))
        self._say(acknowledgement_key(incident_id), word.model_dump_json().encode())

    def turn(self, outcomes: Iterable[Outcome] = (), *, rounds: int = 20) -> list[str]:
        """Send all that is due, with these outcomes and then successes; give the steps that were sent, in order."""
        left, before = list(outcomes), len(self.sent)
        self._keep(self.desk.look(now_ms=self.now_ms))
        for _ in range(rounds):
            orders = self.orders()
            if not orders:
                break
            for order in orders:
                self.settle(order, left.pop(0) if left else SENT)
        return [step for _, step, _ in self.sent[before:]]

    def orders(self) -> list[Order]:
        """Ask what is to be sent, and keep what must be kept before."""
        self._keep(self.desk.begin(self.desk.orders([one.name for one in self.channels], now_ms=self.now_ms)))
        orders, verdict = self.desk.confirm(held=True, now_ms=self.now_ms)
        self._keep(verdict)
        return orders

    def settle(self, order: Order, outcome: Outcome) -> None:
        """End an attempt."""
        if outcome.fate == "sent" or outcome.perhaps:
            told = self.sent if outcome.fate == "sent" else self.lost
            told.append((order.channel, order.step, order.incident_id))
        self._keep(self.desk.settle(order, outcome, now_ms=self.now_ms, chance=0.5))

    def _say(self, key: bytes, value: bytes) -> None:
        self.words[key] = value
        self.desk.listen([(key, value)])

    def _keep(self, verdict: Any) -> None:
        for key, value in verdict.entries:
            if value is None:
                self.kept.pop(key, None)
            else:
                self.kept[key] = value
        self.said += verdict.alerts


def _at(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


@pytest.mark.parametrize("others", [0, 3])
def test_a_clock_that_is_set_back_holds_nothing_up(others: int) -> None:
    """What was to wait for seconds does not wait for the hours that the clock was wrong: neither a message nor, where
    several have failed, the channel."""
    world = World()
    world.now_ms = T0 + 5 * HOUR
    world.hear(*(alert(str(number)) for number in range(others + 1)))
    world.turn([FAILED] * 9, rounds=9)
    world.now_ms = T0
    assert len(world.turn(rounds=1)) == 1


def test_a_life_is_three_messages() -> None:
    """Raised, graver, over: one message each, and nothing for a line that says the same again."""
    world = World()
    world.hear(alert())
    assert world.turn() == ["warn"]
    world.hear(alert(), alert(state="escalated", severity="warn"))
    assert world.turn() == []
    world.hear(alert(state="escalated", severity="page", at=130))
    assert world.turn() == ["page"]
    world.hear(alert(state="resolved", severity="page"))
    assert world.turn() == ["page_resolved"]
    assert world.turn() == []


def test_an_incident_of_many_is_one_message() -> None:
    """Children bring a message only where they are graver; it is over with the last of them, once."""
    world = World()
    world.hear(alert("a"), alert("b", incident_id="a"))
    assert world.turn() == ["warn"]
    world.hear(alert("c", severity="page", incident_id="a"), alert("d", severity="page", incident_id="a"))
    assert world.turn() == ["page"]
    for name in "abc":
        world.hear(alert(name, state="resolved", severity="page", incident_id="a"))
        assert world.turn() == []
    world.hear(alert("d", state="resolved", severity="page", incident_id="a"))
    assert world.turn() == ["page_resolved"]


def test_the_first_alert_speaks_for_its_incident() -> None:
    """The message of a severity is the alert's that the others joined, where it is as grave, else the gravest's."""
    world = World()
    world.hear(alert("b", incident_id="a"), alert("a", key=("parent",)))
    (order,) = world.orders()
    assert order.message.notification.data.alert.key == ("parent",)
    world.settle(order, SENT)
    world.hear(alert("b", state="escalated", severity="page", incident_id="a"))
    (order,) = world.orders()
    assert order.message.notification.data.alert.alert_id == "b"
    assert order.message.notification.type == "alert.escalated"


def test_info_is_never_told() -> None:
    """What is only to be noted brings no message, nor does its end, and is not kept; what gets graver is told."""
    world = World()
    world.hear(alert(severity="info"))
    assert world.turn() == []
    world.hear(alert(state="resolved", severity="info"), alert("b", severity="info"), alert("c", state="resolved"))
    assert world.turn() == []
    assert world.kept == {}
    world.hear(alert("b", state="escalated"))
    assert world.turn() == ["warn"]


def test_what_was_over_before_it_was_told_is_not_told() -> None:
    """Lines that are read together count as they end: after an outage nobody hears of what is over."""
    world = World()
    world.hear(alert("a"), alert("a", state="resolved"), alert("b"))
    world.turn()
    assert world.sent == [("ops", "warn", "b")]


def test_what_is_old_is_told_as_old() -> None:
    """A notifier that begins over a week-old log tells nothing of what is over; of what is up, once, since when."""
    world = World()
    world.now_ms = T0 + 7 * 24 * HOUR
    page = alert("old", state="escalated", severity="page")
    world.hear(alert("over"), alert("over", state="resolved"), alert("old"), page, at_ms=T0)
    world.hear(alert("new"), at_ms=world.now_ms - HOUR)
    (old,) = world.orders()
    assert old.message.notification.data.subject.startswith("PAGE spike since 2026-09-21 14:14 UTC: feature 'chat'")
    world.settle(old, SENT)
    (fresh,) = world.orders()
    assert fresh.message.notification.data.subject.startswith("WARN spike: feature 'chat'")
    world.settle(fresh, SENT)
    world.restart()
    assert world.turn() == []
    world.hear(alert("old", state="resolved", severity="page"), alert("new", state="resolved"))
    world.now_ms += 7 * 24 * HOUR
    world.restart()
    assert sorted(world.turn()) == ["page_resolved", "warn_resolved"]


def test_again_after_it_was_over() -> None:
    """An incident that comes up again is told where it is graver than before, and then again that it is over."""
    world = World()
    world.hear(alert())
    world.turn()
    world.hear(alert(state="resolved"))
    assert world.turn() == ["warn_resolved"]
    world.hear(alert("b", incident_id="a", at=300))
    assert world.turn() == []
    world.hear(alert("b", incident_id="a", state="escalated", severity="page", at=400))
    assert world.turn() == ["page"]
    world.hear(alert("b", incident_id="a", state="resolved", severity="page", at=500))
    assert world.turn() == ["page_resolved"]


def test_a_restart_and_a_replay_tell_nothing_again() -> None:
    """What is kept is enough: another notifier that reads the whole topic again sends nothing."""
    lines = [alert(), alert(state="escalated", severity="page"), alert(state="resolved", severity="page")]
    world = World()
    for line in lines:
        world.hear(line)
        world.turn()
        world.restart()
        assert world.turn() == []
    world.hear(*lines)
    assert world.turn() == []
    for line in lines:
        world.hear(line)
        assert world.turn() == []
    assert [step for _, step, _ in world.sent] == ["warn", "page", "page_resolved"]


def test_killed_before_the_record_it_is_said_again_with_the_same_key() -> None:
    """An attempt whose outcome nobody kept is made again, under the same key; other messages have others."""
    world = World(channel("ops"), channel("dev"))
    world.hear(alert())
    first = world.orders()
    world.restart()
    again = world.orders()
    assert [order.message for order in again] == [order.message for order in first]
    assert len({order.message.key for order in first}) == 2


def test_a_silence_tells_nothing_until_it_ends() -> None:
    """Silenced alerts are not told, nor their end; what is still up when the silence ends is told then."""
    world = World()
    world.silence(until_ms=T0 + HOUR, rule="spike", series="feature", key=("*",))
    world.hear(alert("a"), alert("b"), alert("c", key=("chat", "x")))
    world.turn()
    assert [incident for _, _, incident in world.sent] == ["c"]
    world.hear(alert("a", state="resolved"))
    assert world.turn() == []
    world.now_ms = T0 + HOUR
    world.turn()
    assert [incident for _, _, incident in world.sent] == ["c", "b"]


def test_a_silence_does_not_keep_an_end_back() -> None:
    """Of what was told before it was silenced it is told that it is over, but not that it got graver."""
    world = World()
    world.hear(alert())
    world.turn()
    world.silence(until_ms=T0 + HOUR)
    world.hear(alert(state="escalated", severity="page"))
    assert world.turn() == []
    world.hear(alert(state="resolved", severity="page"))
    assert world.turn() == ["warn_resolved"]


def test_a_silence_that_is_taken_back_is_none() -> None:
    """A record without a value removes a silence at once."""
    world = World()
    world.silence(until_ms=T0 + HOUR)
    world.hear(alert())
    assert world.turn() == []
    world.desk.listen([(silence_key("s"), None)])
    assert world.turn() == ["warn"]


def test_an_acknowledged_incident_is_told_only_where_it_gets_graver() -> None:
    """Nobody hears again what somebody is at: but of a higher severity, and of the end, those hear who heard of it."""
    world = World(channel("ops"), channel("late"))
    world.hear(alert())
    orders = world.orders()
    world.settle(orders[0], SENT)
    world.settle(orders[1], FAILED)
    world.now_ms += 60_000
    world.acknowledge()
    world.hear(alert("b", incident_id="a"), at_ms=world.now_ms + 1)
    assert world.turn() == []
    world.now_ms += 60_000
    world.hear(alert("b", incident_id="a", state="escalated", severity="page"))
    assert world.turn() == ["page", "page"]
    for name in "ab":
        world.hear(alert(name, incident_id="a", state="resolved", severity="page"))
    assert world.turn() == ["page_resolved", "page_resolved"]


QUIET = {"from": "22:00", "until": "07:00", "time_zone": "Europe/Zurich"}
EVENING = int(datetime(2026, 9, 21, 20, 30, tzinfo=UTC).timestamp() * 1000)
"""Half past ten at night in Zurich."""


def test_quiet_hours_hold_what_can_wait() -> None:
    """A warning waits until the quiet hours end, and is dropped where it is over by then; a page comes at once."""
    world = World(channel(quiet=QUIET))
    world.now_ms = EVENING
    world.hear(alert("a"), alert("b"), alert("c", severity="page"))
    world.turn()
    assert world.sent == [("ops", "page", "c")]
    world.hear(alert("a", state="resolved"), alert("c", state="resolved", severity="page"))
    assert world.turn() == ["page_resolved"]
    world.now_ms += 9 * HOUR
    world.turn()
    assert world.sent[2:] == [("ops", "warn", "b")]
    world.now_ms = EVENING + 24 * HOUR
    world.hear(alert("b", state="resolved"))
    assert world.turn() == []
    world.now_ms += 9 * HOUR
    assert world.turn() == ["warn_resolved"]


def test_a_channel_hears_what_it_wants() -> None:
    """Severity, rules and keys choose; a channel's end is that of the alerts that it hears of."""
    world = World(
        channel("pager", min_severity="page"),
        channel("team", only=[{"series": "team", "key": ["search"]}, {"series": "user_id"}]),
        channel("money", rules=["budget"]),
    )
    world.hear(alert("a"), alert("t", incident_id="a", series="team", key=("search",)))
    world.hear(alert("o", series="team", key=("other",)), alert("u", rule="budget", series="user_id", key=("u1",)))
    world.turn()
    assert sorted(world.sent) == [("money", "warn", "u"), ("team", "warn", "a"), ("team", "warn", "u")]
    world.hear(alert("t", incident_id="a", state="resolved", series="team", key=("search",)))
    world.turn()
    assert world.sent[3:] == [("team", "warn_resolved", "a")]
    world.hear(alert("a", state="escalated", severity="page"))
    world.turn()
    assert world.sent[4:] == [("pager", "page", "a")]


def test_a_filter_that_changes_says_nothing_false() -> None:
    """A channel that no longer hears of an incident hears that it is over when all of it is, not before."""
    world = World()
    world.hear(alert())
    world.turn()
    world.channels = (channel(rules=["budget"]),)
    world.desk.reload(world.channels)
    assert world.turn() == []
    world.hear(alert(state="resolved"))
    assert world.turn() == ["warn_resolved"]


def test_a_message_that_fails_alone_waits_alone() -> None:
    """After a failure a message waits twice as long each time, up to a minute; what has not failed does not wait."""
    world = World()
    world.hear(alert("a"))
    times = []
    for _ in range(9):
        while not (orders := world.orders()):
            world.now_ms += 50
        times.append(world.now_ms - T0)
        world.settle(orders[0], FAILED)
    waits = [later - sooner for sooner, later in pairwise(times)]
    assert waits == [750, 1500, 3000, 6000, 12_000, 24_000, 45_000, 45_000]
    world.hear(alert("b"))
    world.turn()
    assert world.sent == [("ops", "warn", "b")]


def _attempts(world: World, *, until_ms: int, outcome: Outcome = FAILED) -> list[tuple[int, str]]:
    """Let time pass; every attempt on ``ops`` ends so, all others get through. Give when which incident was tried."""
    found = []
    while world.now_ms < until_ms:
        for order in world.orders():
            if order.channel == "ops":
                found.append((world.now_ms - T0, order.incident_id))
            world.settle(order, outcome if order.channel == "ops" else SENT)
        world.now_ms += 50
    return found


def test_a_channel_that_fails_is_tried_with_one_message_at_a_time() -> None:
    """Two hundred incidents that wait for a dead channel make no more attempts than one: the pause is the channel's."""
    world = World(channel("ops"), channel("dev"))
    world.hear(*(alert(f"n{number:03}") for number in range(200)), alert("p", severity="page"))
    tried = _attempts(world, until_ms=T0 + HOUR // 4)
    waits = [later - sooner for (sooner, _), (later, _) in pairwise(tried)]
    assert waits[:7] == [50, 1500, 3000, 6000, 12_000, 24_000, 45_000]
    assert set(waits[7:]) == {45_000}
    assert [incident for _, incident in tried[:3]] == ["p", "n000", "n001"]
    assert len({incident for _, incident in tried}) == len(tried)
    assert Counter(name for name, _, _ in world.sent) == {"dev": 201}
    world.hear(alert("q", severity="page"))
    world.now_ms += 60_000
    assert [order.incident_id for order in world.orders() if order.channel == "ops"] == ["q"]


def test_what_waited_goes_out_in_order_and_slowly() -> None:
    """When a channel works again it gets pages, then the oldest first, one a second until nothing waits."""
    world = World()
    names = [f"n{number}" for number in range(6)]
    for name in names:
        world.hear(alert(name), at_ms=world.now_ms)
        world.now_ms += 50
    _attempts(world, until_ms=T0 + 10_000)
    world.hear(alert("n1", state="resolved"), alert("n4", state="escalated", severity="page"))
    tried = _attempts(world, until_ms=T0 + 40_000, outcome=SENT)
    assert [incident for _, incident in tried] == ["n4", "n0", "n2", "n3", "n5"]
    assert [later - sooner for (sooner, _), (later, _) in pairwise(tried)] == [1000] * 4
    world.hear(alert("x"), alert("y"))
    assert world.turn() == ["warn", "warn"]


def test_a_message_that_always_fails_keeps_no_other_back() -> None:
    """A message that a receiver stumbles over waits by itself; the others get through, before and after it."""
    world = World()
    world.hear(alert("poison", severity="page"))
    for number in range(20):
        world.hear(alert(f"n{number:02}", at=number))
        for _ in range(40):
            for order in world.orders():
                world.settle(order, FAILED if order.incident_id == "poison" else SENT)
            world.now_ms += 50
    assert [incident for _, _, incident in world.sent] == [f"n{number:02}" for number in range(20)]


def test_what_may_have_arrived_is_told_that_it_is_over() -> None:
    """Of what nobody answered in time the end is told; of what cannot have arrived, or was refused, it is not."""
    world = World()
    world.hear(alert("a"))
    world.turn([LOST], rounds=1)
    world.hear(alert("a", state="resolved"))
    world.now_ms += 60_000
    assert world.turn() == ["warn_resolved"]
    for outcome in (FAILED, Outcome("refused", "it answers 400 Bad Request")):
        world.hear(alert(outcome.fate))
        world.turn([outcome], rounds=1)
        world.hear(alert(outcome.fate, state="resolved"))
        world.now_ms += 60_000
        assert world.turn() == []


def test_killed_while_it_sends_it_tells_the_end() -> None:
    """Who is killed while a message is under way has kept that: the next one sends it again, or that it is over."""
    world = World()
    world.hear(alert("a"), alert("b"))
    (order,) = world.orders()
    world.restart()
    world.hear(alert("a", state="resolved"), alert("b", state="resolved"))
    world.turn()
    assert (order.incident_id, world.sent) == ("a", [("ops", "warn_resolved", "a")])


def test_who_refuses_a_repetition_may_have_the_first() -> None:
    """After an attempt without an answer a refusal is no proof that nothing arrived: the end is told."""
    world = World()
    world.hear(alert())
    assert world.turn([LOST], rounds=1) == []
    world.now_ms += 60_000
    assert world.turn([Outcome("refused", "it answers 409 Conflict")]) == []
    world.hear(alert(state="resolved"))
    assert world.turn() == ["warn_resolved"]


def test_what_changes_before_it_is_kept_is_not_sent() -> None:
    """An order is sent only if it is due still when that is kept, and nobody has taken over; else it never was."""
    world = World()
    world.hear(alert("a"), alert("b"))
    for held in (True, False):
        (order,) = world.desk.orders(["ops"], now_ms=world.now_ms)
        world._keep(world.desk.begin([order]))
        if held:
            world.hear(alert("a", state="resolved"))
        sent, verdict = world.desk.confirm(held=held, now_ms=world.now_ms)
        world._keep(verdict)
        assert sent == []
        assert [key for key in world.kept if b'"sent"' in key] == []
    world.turn()
    assert world.sent == [("ops", "warn", "b")]


def test_a_service_that_asks_for_time_gets_it() -> None:
    """``Retry-After`` stops the whole channel for so long, pages too, and no other channel."""
    world = World(channel("ops"), channel("dev"))
    world.hear(alert("a"))
    for order in world.orders():
        asked = Outcome("failed", "it answers 429 Too Many Requests", 60.0)
        world.settle(order, asked if order.channel == "ops" else SENT)
    world.hear(alert("b", severity="page"))
    world.now_ms += 59_000
    world.turn()
    assert {name for name, _, _ in world.sent} == {"dev"}
    world.now_ms += 1_000
    assert world.turn() == ["page"]
    world.now_ms += 1_000
    world.turn()
    assert [one for one in world.sent if one[0] == "ops"] == [("ops", "page", "b"), ("ops", "warn", "a")]


def test_what_was_not_told_in_time_is_told_as_it_is() -> None:
    """A channel that failed hears of the present: the graver severity only, or nothing at all."""
    world = World()
    world.hear(alert("a"), alert("b"))
    assert world.turn([FAILED, FAILED]) == []
    world.hear(alert("a", state="escalated", severity="page"), alert("b", state="resolved"))
    world.now_ms += HOUR
    world.turn()
    assert world.sent == [("ops", "page", "a")]


def test_a_refused_message_is_not_sent_again() -> None:
    """What a receiver refuses for good is kept as refused: nothing is tried again, and no end is told of it."""
    world = World()
    world.hear(alert())
    assert world.turn([Outcome("refused", "it answers 404 Not Found")]) == []
    world.now_ms += HOUR
    world.restart()
    assert world.turn() == []
    world.hear(alert(state="resolved"))
    assert world.turn() == []


def test_an_end_that_nobody_hears_is_given_up_after_a_day() -> None:
    """A receiver that is away for good is not tried for ever: the end is kept as refused."""
    world = World()
    world.hear(alert())
    world.turn()
    world.hear(alert(state="resolved"))
    world.turn([FAILED])
    world.now_ms += GIVE_UP_MS + 1
    world.turn([FAILED])
    world.now_ms += HOUR
    assert world.turn() == []
    world.restart()
    assert world.turn() == []


def test_a_channel_that_cannot_be_reached_is_an_alert_for_the_others() -> None:
    """The third failure in a row raises it, once; the others hear of it, itself never; success resolves it."""
    world = World(channel("ops"), channel("dev"))
    world.hear(alert())
    for order in world.orders():
        world.settle(order, FAILED if order.channel == "ops" else SENT)
    for _ in range(4):
        world.now_ms += HOUR // 6
        for order in world.orders():
            world.settle(order, FAILED)
    (raised,) = world.said
    assert (raised.rule, raised.key, raised.state, raised.severity) == ("delivery", ("ops",), "raised", "warn")
    assert raised.message == "Channel ops does not get its messages: it answers 503."
    world.hear(raised)
    world.restart()
    world.now_ms += HOUR
    world.turn()
    assert set(world.sent[1:]) == {("dev", "warn", raised.incident_id), ("ops", "warn", "a")}
    assert len(world.sent) == 3
    assert [one.state for one in world.said] == ["raised", "resolved"]
    assert world.said[1].alert_id == raised.alert_id
    world.hear(world.said[1])
    world.turn()
    assert world.sent[3:] == [("dev", "warn_resolved", raised.incident_id)]


def test_somebody_elses_rule_of_that_name_is_told_like_any() -> None:
    """A rule of one's own that is called delivery says nothing of channels, whatever its key is."""
    world = World()
    world.hear(alert("a", rule="delivery", series="total", key=()), alert("b", rule="delivery", key=("ops",)))
    assert world.turn() == ["warn", "warn"]
    assert world.desk.failing == frozenset()


def test_a_page_that_does_not_get_through_is_a_page_for_the_others() -> None:
    """The alert gets as grave as what was not delivered; a refusal raises it at once."""
    world = World()
    world.hear(alert("a"))
    world.turn([Outcome("refused", "it answers 401 Unauthorized")])
    world.hear(alert("b", severity="page"))
    world.turn([Outcome("refused", "it answers 401 Unauthorized")])
    assert [(one.state, one.severity) for one in world.said] == [("raised", "warn"), ("escalated", "page")]


def test_an_attempt_that_does_not_end_is_a_failure_too() -> None:
    """A channel that hangs is told of, and never given a second message meanwhile."""
    world = World()
    world.hear(alert("a"), alert("b"))
    (order,) = world.orders()
    assert world.orders() == []
    world.now_ms += 91_000
    assert world.turn() == []
    assert [one.message for one in world.said] == ["Channel ops does not get its messages: it hangs."]
    world.settle(order, SENT)
    assert [one.state for one in world.said] == ["raised", "resolved"]


def test_a_channel_that_is_taken_away_fails_no_more() -> None:
    """The alert about a channel is over when the file has it no more, also after a restart."""
    world = World()
    world.hear(alert())
    world.turn([Outcome("refused", "it answers 401 Unauthorized")])
    world.hear(*world.said)
    world.channels = (channel("dev"),)
    world.restart()
    world.turn()
    assert world.said[-1].state == "resolved"
    assert world.said[-1].message == "Channel ops was taken out of the file of the channels."
    world.turn()
    assert len(world.said) == 2


def test_what_is_long_over_is_forgotten_and_stays_untold() -> None:
    """45 days after its last line an incident that is over is removed; a record so old begins none."""
    world = World()
    world.hear(alert("a"), alert("b"))
    world.turn()
    world.hear(alert("a", state="resolved"))
    world.turn()
    world.now_ms += REMEMBERED_MS + HOUR
    assert world.turn() == []
    assert [key for key in world.kept if b'"a"' in key] == []
    assert len([key for key in world.kept if b'"b"' in key]) == 2
    world.hear(alert("a"), at_ms=T0)
    assert world.turn() == []


def test_what_it_does_not_know_it_leaves_aside() -> None:
    """Entries of another version, or of nobody, stop nothing."""
    odd = [(b"", b""), (b"[1]", b"{}"), (b'["alert","a"]', b"{}"), (b'["sent","a","ops","loud"]', b"{}"), (b"{", b"")]
    assert read_memory(odd).alerts == {}


REFUSED = Outcome("refused", "it answers 400")
LINES = st.lists(
    st.tuples(
        st.sampled_from("abc"),
        st.sampled_from(["raised", "escalated", "resolved"]),
        st.sampled_from(["info", "warn", "page"]),
        st.booleans(),
    ),
    max_size=12,
)
MOVES = st.lists(
    st.one_of(
        st.tuples(st.just("hear"), LINES),
        st.tuples(st.just("turn"), st.lists(st.sampled_from([SENT, FAILED, LOST, REFUSED]), max_size=4)),
        st.tuples(st.just("kill"), st.none()),
        st.tuples(st.just("restart"), st.none()),
        st.tuples(st.just("replay"), st.none()),
        st.tuples(st.just("wait"), st.integers(0, HOUR)),
    ),
    max_size=12,
)


@settings(max_examples=80, deadline=None)
@given(MOVES)
def test_whatever_happens_each_message_is_sent_once_and_its_end(moves: list[Any]) -> None:
    """No step is sent twice on a channel; of all that was sent, or may have been, the end is sent too, or refused."""
    world = World(channel("ops"), channel("pager", min_severity="page"))
    log: list[Alert] = []
    lost: list[tuple[str, str, str]] = []
    for at, (move, what) in enumerate(moves):
        if move == "hear":
            lines = [
                alert(name, state, severity, incident_id="a" if joined else name, at=BEGIN + 60 * (at + 1))
                for name, state, severity, joined in what
            ]
            log += lines
            world.hear(*lines)
        elif move == "turn":
            world.turn(what)
        elif move == "kill":
            lost += [(order.channel, order.step, order.incident_id) for order in world.orders()]
            world.restart()
        elif move == "restart":
            world.restart()
        elif move == "replay":
            world.hear(*log)
        else:
            world.now_ms += what
    names = {line.alert_id for line in log}
    world.hear(*(alert(name, "resolved", "page", at=BEGIN + 6000) for name in sorted(names)))
    for _ in range(9):
        world.now_ms += 60_000
        world.turn()
    assert len(world.sent) == len(set(world.sent))
    for name, step, incident in world.sent + lost + world.lost:
        ends = {sent_key(incident, name, "warn_resolved"), sent_key(incident, name, "page_resolved")}
        assert step.endswith("resolved") or ends & world.kept.keys()


@pytest.mark.parametrize("fate", ["sent", "failed"])
def test_an_outcome_for_a_channel_that_is_gone_raises_nothing(fate: Any) -> None:
    """A message that was on its way when its channel was taken away is kept if it was sent, and complained of never."""
    world = World()
    world.hear(alert())
    (order,) = world.orders()
    world.channels = ()
    world.desk.reload(())
    world.settle(order, Outcome(fate, "why"))
    assert world.said == []
    assert (b'["sent","a","ops","warn"]' in world.kept) is (fate == "sent")
