"""Is no figure shown without a right answer? The plain calculation, the check, and the page that is filled."""

import json
from collections import Counter
from pathlib import Path

import pytest
from benchmarks import contest
from benchmarks.answers import Answer, Reference, WrongAnswerError
from benchmarks.contest import CONTESTANTS, OURS, Contestant, Result, Ring, hold_contest, ranked
from benchmarks.contestants import loops
from benchmarks.contestants.task import Prices, Stopwatch, Tariff, answer
from benchmarks.price_list import price_list
from benchmarks.report import Sheet, insert, markdown
from benchmarks.watch import Pace
from benchmarks.workload import Workload, frames

from spendgauge.schemas import LEAVES, KafkaSettings, UsageEvent
from spendgauge.schemas.prices import PriceBook

PRICES = Prices({("acme", "small", "standard"): Tariff(100, {"input_tokens": 3}, {"input_tokens": 5})})
MINUTE = 1_767_225_600
"""2026-01-01T00:00:00Z"""


def _line(tenant: str, second: int, tokens: int, **more: str) -> str:
    at = f"2026-01-01T00:{second // 60:02}:{second % 60:02}.000Z"
    call = {"provider": "acme", "model": "small", "tenant": tenant, "input_tokens": tokens, "occurred_at": at}
    return json.dumps(call | more)


@pytest.fixture
def reference() -> Reference:
    """Three events of a tenant in two minutes, and one of another."""
    reference = Reference(PRICES)
    reference.add([_line("a", 10, 1), _line("b", 20, 7), _line("a", 59, 10), _line("a", 60, 100)])
    return reference


def test_the_reference_adds_up_by_key_and_minute(reference: Reference) -> None:
    """Second 59 lies in the first window and second 60 in the next; 118 tokens at 3 picodollars are the whole."""
    right = {("a", MINUTE): 33, ("a", MINUTE + 60): 300, ("b", MINUTE): 21}
    assert reference.first({"a": 3, "b": 1}) == right
    assert (reference.events, reference.cost) == (4, 354)
    reference.check("someone", Answer({"a": 3, "b": 1}, right), events=4)


def test_who_stops_early_is_held_against_the_first_events_of_each_key(reference: Reference) -> None:
    """Of two events of one tenant the first two are meant, and nothing of the tenant that was not reached."""
    reference.check("someone", Answer({"a": 2}, {("a", MINUTE): 33}), events=2)


@pytest.mark.parametrize(
    ("keys", "costs", "said"),
    [
        ({"a": 3}, {("a", MINUTE): 33, ("a", MINUTE + 60): 300}, "answers for 3 events where 4 were to be counted"),
        ({"a": 4}, {("a", MINUTE): 33, ("a", MINUTE + 60): 300}, "counted 4 events of a, and there are 3"),
        ({"a": 3, "b": 1}, {("a", MINUTE): 34, ("a", MINUTE + 60): 300, ("b", MINUTE): 21}, "1 of 3 windows"),
        ({"a": 3, "b": 1}, {("a", MINUTE): 33, ("a", MINUTE + 60): 300}, "it has None picodollars, and right is 21"),
        ({"a": 3, "c": 1}, {}, "counted 1 events of c, and there are 0"),
    ],
    ids=["too few", "counted twice", "a picodollar more", "a window is missing", "an unknown key"],
)
def test_a_wrong_answer_fails(
    reference: Reference, keys: dict[str, int], costs: dict[tuple[str, int], int], said: str
) -> None:
    """Whatever is wrong, there is no figure, and a sentence says what."""
    with pytest.raises(WrongAnswerError, match=said):
        reference.check("someone", Answer(keys, costs), events=4)


def test_large_inputs_have_their_own_price() -> None:
    """101 tokens cost the second tariff, all of them; 100 the first; an unknown model nothing."""
    events = [json.loads(_line("a", 0, tokens)) for tokens in (100, 101)]
    assert [PRICES.cost(event) for event in events] == [300, 505]
    assert PRICES.cost(json.loads(_line("a", 0, 1, model="other"))) == 0


def test_the_price_list_prices_as_the_book_does(tmp_path: Path) -> None:
    """Written, read again and looked up, the table gives every simulated event the cost that the book gives it."""
    price_list().write(tmp_path / "prices.json")
    prices, book = Prices.read(tmp_path / "prices.json"), PriceBook.load()
    lines = [line for frame in frames(Workload(3000, tenants=16)) for line in frame["line"]]
    wrong = [
        line
        for line in lines
        if prices.cost(json.loads(line)) != (book.price_event(UsageEvent.model_validate_json(line)) or 0)
    ]
    assert wrong == []


def test_tenants_are_sources_where_keys_are_windowed() -> None:
    """So that nobody must repartition, each event's source is its tenant, and there are about as many as asked."""
    events = [json.loads(line) for frame in frames(Workload(3000, tenants=64)) for line in frame["line"]]
    assert [event for event in events if event["source"] != event["tenant"]] == []
    assert 32 < len({event["tenant"] for event in events}) <= 64


def test_the_stopwatch_times_the_events_between_begin_and_end(capsys: pytest.CaptureFixture[str]) -> None:
    """Two events are counted between begin and the last end; what is printed is what ``Answer`` takes in."""
    watch = Stopwatch()
    watch.begin()
    for _ in range(2):
        watch.events += 1
        watch.keys["a"] += 1
        watch.end()
    watch.begin()
    watch.events += 1
    answer(watch, {("a", MINUTE): 5})
    said = json.loads(capsys.readouterr().out)
    assert said["pace"]["events"] == 2
    assert said["megabytes"] > 1
    assert Answer.of(said) == Answer({"a": 2}, {("a", MINUTE): 5})


def _ring(reference: Reference) -> Ring:
    workload = Workload(4, tenants=2)
    return Ring(KafkaSettings(), workload, reference, 400, Path("prices.json"))


def _said(costs: list[list[object]]) -> dict[str, object]:
    pace = {"events": 4, "seconds": 2.0, "cpu_seconds": 1.0}
    return {"pace": pace, "megabytes": 50.0, "events": 4, "size": 400, "keys": {"a": 3, "b": 1}, "costs": costs}


@pytest.fixture
def _unpinned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contest, "stay_beside_servers", lambda: None)


@pytest.mark.usefixtures("_unpinned")
def test_a_contest_ends_at_the_first_wrong_answer(reference: Reference, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who drops an event is named, and there is no table."""
    monkeypatch.setattr(contest, "run_pinned", lambda *_, **__: _said([["a", MINUTE, 33], ["b", MINUTE, 21]]))
    told: list[str] = []
    with pytest.raises(WrongAnswerError, match="somebody is wrong"):
        hold_contest(_ring(reference), rounds=2, progress=told.append, who=(Contestant("somebody", "loops", "one"),))
    assert told == []


@pytest.mark.usefixtures("_unpinned")
def test_a_contest_takes_turns(reference: Reference, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two contestants in three rounds are six runs, in turn, each with its figures."""
    right: list[list[object]] = [["a", MINUTE, 33], ["a", MINUTE + 60, 300], ["b", MINUTE, 21]]
    monkeypatch.setattr(contest, "run_pinned", lambda *_, **__: _said(right))
    who, told = (Contestant("one", "loops", "one"), Contestant("other", "loops", "all")), list[str]()
    results = hold_contest(_ring(reference), rounds=3, progress=told.append, who=who)
    assert [line.split(": ")[1] for line in told] == ["one", "other"] * 3
    assert results == {one: [Result(Pace(4, 2.0, 1.0), 50.0)] * 3 for one in who}


@pytest.mark.usefixtures("_unpinned")
def test_an_accident_is_told_and_run_again(reference: Reference, monkeypatch: pytest.MonkeyPatch) -> None:
    """A contestant that crashes may try once more under another name, and it is said that it did; twice is the end."""
    names: list[str] = []

    def crash(*arguments: str, **_: object) -> dict[str, object]:
        names.append(arguments[arguments.index("--name") + 1])
        raise RuntimeError("ended with 1")

    monkeypatch.setattr(contest, "run_pinned", crash)
    told: list[str] = []
    with pytest.raises(RuntimeError, match="ended with 1"):
        hold_contest(_ring(reference), rounds=2, progress=told.append, who=(Contestant("one", "loops", "one"),))
    assert told == ["one failed, and is run again: ended with 1"]
    assert names == ["0-loopsone", "0-loopsone-again"]


def test_the_ranking_holds_medians_against_ours(reference: Reference) -> None:
    """Ours at 10, 20 and 90 a second is 20; a peer at 5 is a quarter of that and stands above, being slower."""
    ours = [Result(Pace(90, 9, 9), 100), Result(Pace(100, 5, 10), 300), Result(Pace(90, 1, 1), 200)]
    peer = Contestant("a peer", "loops", "one")
    sheet = ranked(_ring(reference), {OURS: ours, peer: [Result(Pace(10, 2, 1), 50)]})
    assert list(sheet.rows) == [
        ("a peer", "5.00", "0.25", "100,000", "50.0"),
        (OURS.title, "20.0", "1.00", "100,000", "200"),
    ]


def test_the_loop_by_hand_adds_up_what_we_add_up() -> None:
    """The bare loop's measures are the leaves and the reasoning, as in the rates."""
    assert (*LEAVES, "reasoning_tokens") == loops._MEASURES


def test_every_contestant_can_be_told_apart() -> None:
    """Titles are unique, and each module that is named exists."""
    assert Counter(one.title for one in CONTESTANTS).most_common(1)[0][1] == 1
    folder = Path(contest.__file__).parent / "contestants"
    assert [one for one in CONTESTANTS if one.module and not (folder / f"{one.module}.py").exists()] == []


def test_the_page_is_written_between_its_marks(tmp_path: Path) -> None:
    """Only what stands between the marks of the part is replaced, as often as it is measured."""
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- measured: a -->\nold\n<!-- end: a -->\nafter <!-- measured: b -->\n")
    sheet = Sheet("A title", ("who", "figure"), [("we", "1.00")], ("A note.",))
    for _ in range(2):
        insert(page, "a", markdown(sheet))
    assert page.read_text() == (
        "before\n<!-- measured: a -->\n**A title**\n\n| who | figure |\n| --- | ---: |\n| we | 1.00 |\n\nA note.\n"
        "<!-- end: a -->\nafter <!-- measured: b -->\n"
    )


@pytest.mark.parametrize(
    "text", ["", "<!-- end: a --><!-- measured: a -->", "<!-- measured: a -->\n<!-- measured: a --><!-- end: a -->"]
)
def test_a_page_without_its_marks_is_left_alone(tmp_path: Path, text: str) -> None:
    """Where the marks are missing, doubled or the wrong way round, nothing is written."""
    page = tmp_path / "page.md"
    page.write_text(text)
    with pytest.raises(ValueError, match=r"page\.md must have"):
        insert(page, "a", "new")
    assert page.read_text() == text
