"""Do the commands about alerts and quotas say what is up, who is at it, and what is wrong, as somebody types them?"""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from tests.commands import Done, Run, typing
from tests.sink_runs import now_ms, produce
from tests.sinks import alert, chunk, quota_refusal, store

from spendgauge.deploy.alerts import words
from spendgauge.deploy.alerts.words import Subject
from spendgauge.schemas import ClickHouseSettings, KafkaSettings, UnavailableError, topic_specs
from spendgauge.schemas.incidents import short_id
from spendgauge.schemas.kafka import create_topics
from spendgauge.schemas.prices import PriceBook
from spendgauge.schemas.quotas import QuotaLimit, QuotaStanding
from spendgauge.sinks.clickhouse import connect
from spendgauge.sinks.migrate import migrate

pytestmark = pytest.mark.integration


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    kafka: KafkaSettings,
    clickhouse: ClickHouseSettings,
) -> Run:
    """Type commands, in this process, where fresh topics and a fresh, migrated database are found."""
    create_topics(kafka, topic_specs(kafka.topics))
    migrate(clickhouse)
    here = {**kafka.environment(), **clickhouse.environment(), "SPENDGAUGE_DATA": str(tmp_path), "COLUMNS": "100"}
    return typing(monkeypatch, capsys, **here)


def steps(clickhouse: ClickHouseSettings, *lines: bytes) -> None:
    """Store lines of cost.alerts, as the sink does."""
    store(connect(clickhouse), [chunk("cost.alerts", *lines)], book=PriceBook.load())


def spike(agent: str, minutes_ago: int, **fields: Any) -> bytes:
    """Write a step of the alert of an agent, so many minutes ago."""
    at = now_ms() // 60_000 * 60 - 60 * minutes_ago
    known = {"alert_id": f"spike:{agent}", "key": (agent,), "since_onset_usd": "12.346000000000", "onset": at - 60}
    return alert(**{**known, "evaluated_at": at, "message": f"agent {agent!r} spends much.", **fields})


def test_nothing_is_up(run: Run) -> None:
    """A stack without alerts answers, in words or in no line of JSON, and succeeds."""
    assert run("alerts", "list") == Done(0, "nothing is up\n", "")
    assert run("alerts", "list", "--severity", "page", "--since", "1h").out == "nothing was up of severity page\n"
    assert run("alerts", "list", "--since", "7d", "--json") == Done(0, "", "")
    assert run("alerts", "silences") == Done(0, "nothing is silenced\n", "")
    assert run("quotas") == Done(0, "there are no quotas; write some into budgets.toml\n", "")


def test_what_is_up_is_listed(run: Run, clickhouse: ClickHouseSettings) -> None:
    """The gravest first, in a hundred characters; what is over only with --since, what is only noted when asked."""
    page = {"state": "escalated", "severity": "page", "excess_usd_per_hour": "99.000000000000"}
    steps(
        clickhouse,
        *(spike("warned", 9), spike("gone", 8), spike("gone", 3, state="resolved"), spike("noted", 7, severity="info")),
        *(spike("paged", 6), spike("paged", 4, **page)),
        spike("child", 5, incident_id="spike:paged", series="session_id"),
    )
    done = run("alerts", "list")
    assert (done.status, done.err) == (0, "")
    assert [line.split()[1] for line in done.out.splitlines()[1::2]] == ["page", "warn"]
    assert max(map(len, done.out.splitlines())) <= 100
    title, first, said = done.out.splitlines()[:3]
    assert title.split()[:2] == ["INCIDENT", "SEVERITY"]
    assert re.sub(r" [A-Z][a-z]{2} \d\d \d\d:\d\d +", " TIME ", first) == (
        f"{short_id('spike:paged')}  page     TIME 2/2        12.35        99.00  spike agent=paged"
    )
    assert said.strip() == "agent 'paged' spends much."
    both = run("alerts", "list", "--since", "1h", "--json", "--severity", "info").out.splitlines()
    told = {one["key"][0]: one for one in map(json.loads, both)}
    assert set(told) == {"warned", "gone", "noted", "paged"}
    assert told["gone"]["resolved_at"] > told["gone"]["raised_at"]
    assert (told["paged"]["since_onset_usd"], told["paged"]["alerts"], told["paged"]["up"]) == ("12.346000000000", 2, 2)
    assert run("alerts", "list", "--since", "2m").out.count("agent=gone") == 0


def test_somebody_is_at_it(run: Run, clickhouse: ClickHouseSettings) -> None:
    """An incident is acknowledged by the first of its short id, and the list says by whom; that can be taken back."""
    steps(clickhouse, spike("a", 5), spike("b", 4))
    name = short_id("spike:a")
    done = run("alerts", "ack", name[:5], "--by", "ann", "--reason", "on it")
    assert done == Done(0, f"{name} (spike agent=a) is acknowledged by ann\n", "")
    listed = run("alerts", "list").out
    assert re.findall(r"^ +(acknowledged by ann), \w+ \d\d \d\d:\d\d: (on it)$", listed, re.M) == [
        ("acknowledged by ann", "on it")
    ]
    assert run("alerts", "unsilence", name) == Done(0, f"{name} is taken back\n", "")
    assert "acknowledged" not in run("alerts", "list").out


def test_some_alerts_are_silenced(run: Run, clickhouse: ClickHouseSettings) -> None:
    """A silence says what it is about and until when, marks what it matches, and can be taken back."""
    steps(clickhouse, spike("a", 5), spike("b", 4))
    made = run("alerts", "silence", "--series", "agent", "--key", "a", "--for", "2h", "--by", "ann", "--reason", "load")
    name = made.out.split()[0]
    assert re.fullmatch(r"[0-9a-f]{8} +until \w+ \d\d \d\d:\d\d UTC  any rule agent=a  by ann: load\n", made.out)
    assert run("alerts", "silences").out == made.out
    (known,) = map(json.loads, run("alerts", "silences", "--json").out.splitlines())
    assert (known["silence_id"], known["key"], known["by"]) == (name, ["a"], "ann")
    marked = {
        one["key"][0]: one["silenced_by"] for one in map(json.loads, run("alerts", "list", "--json").out.splitlines())
    }
    assert marked == {"a": [name], "b": []}
    assert run("alerts", "list").out.count("silenced by ann until") == 1
    assert run("alerts", "unsilence", name).status == 0
    assert run("alerts", "silences").out == "nothing is silenced\n"


def test_topics_that_are_not_there_are_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under another prefix there is nothing to read or to say something on; how to make it is said."""
    monkeypatch.setenv("SPENDGAUGE_TOPIC_PREFIX", "other.")
    for command in (("quotas",), ("alerts", "silences"), ("alerts", "unsilence", "x"), ("alerts", "tail")):
        done = run(*command)
        assert (done.status, done.out) == (1, "")
        assert re.fullmatch(
            r"spendgauge: topic other\.cost\.\w+ does not exist at \S+; create the topics with `.*`\n", done.err
        )


def test_what_cannot_be_meant_is_a_sentence(run: Run, clickhouse: ClickHouseSettings) -> None:
    """An incident that is unknown, over or one of several, a silence that is not there: what there is, is said."""
    assert run("alerts", "ack", "x") == Done(1, "", "spendgauge: no incident 'x' is up; nothing is up\n")
    steps(clickhouse, spike("a", 9), spike("a", 5, state="resolved"), spike("b", 4))
    unknown = run("alerts", "ack", "nothing")
    assert unknown.err == (f"spendgauge: no incident 'nothing' is up; up are {short_id('spike:b')} (spike agent=b)\n")
    assert re.fullmatch(r"spendgauge: incident \S+ was over at .* UTC\n", run("alerts", "ack", short_id("spike:a")).err)
    steps(clickhouse, *(spike(f"many-{n}", 3) for n in range(40)))
    several = run("alerts", "ack", short_id("spike:many-0")[0])
    assert (several.status, "may be any of" in several.err, several.err.count("\n")) == (1, True, 1)
    assert run("alerts", "unsilence", "x").err == "spendgauge: there is no silence 'x'; there is none\n"
    missing = run("alerts", "silence", "--key", "a", "--for", "2h")
    assert missing.err == "spendgauge: say whose key a is: --series agent, or provider+model\n"
    short = run("alerts", "silence", "--series", "provider+model", "--key", "a", "--for", "2h")
    assert short.err.startswith("spendgauge: key ('a',) must have 2 values, one for each dimension of provider+model")
    unknown = run("alerts", "silence", "--series", "nosuch", "--for", "2h")
    assert unknown.err.startswith("spendgauge: 'nosuch' in the series 'nosuch' is no dimension of an event; use total")
    assert run("alerts", "silences").out == "nothing is silenced\n"
    assert run("alerts", "silence", "--for", "0h").err.startswith("spendgauge: a silence lasts more than no time")
    assert run("alerts", "silence", "--for", "soon").status == 2
    assert run("alerts", "list", "--severity", "bad").status == 2
    assert run("quotas", "mine").err == "spendgauge: there is no quota 'mine'; there are: none\n"


def test_without_kafka_the_list_still_answers(
    run: Run, clickhouse: ClickHouseSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broker that is down hides who is at it, not what is up: the list says so, and is shown."""
    steps(clickhouse, spike("a", 5))
    monkeypatch.setenv("SPENDGAUGE_KAFKA", "127.0.0.1:1")
    done = run("alerts", "list")
    assert (done.status, "agent=a" in done.out) == (0, True)
    assert done.err.startswith("spendgauge: what is acknowledged and silenced is not known: no Kafka broker answers")


def test_a_word_that_nobody_takes_is_one_sentence(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no broker answers, a silence is an error that says so; the client's own log stays quiet."""
    monkeypatch.setattr(words, "_TIMEOUT_SECONDS", 1)
    with pytest.raises(UnavailableError, match=r"^no Kafka broker answers at 127\.0\.0\.1:1 "):
        words.mute(
            KafkaSettings(kafka="127.0.0.1:1"), Subject(rule="spike"), by="a", reason="", length_ms=1, now_ms=now_ms()
        )
    assert capfd.readouterr().err == ""


def test_steps_and_refusals_are_followed(run: Run, kafka: KafkaSettings) -> None:
    """`alerts tail` and `tail` print the same lines as they are on the topic."""
    produce(kafka, kafka.topics.alerts, spike("a", 5), spike("b", 4))
    produce(kafka, kafka.topics.refusals, quota_refusal())
    followed = run("alerts", "tail", "--from-start", "--count", "2")
    assert [json.loads(line)["key"] for line in followed.out.splitlines()] == [["a"], ["b"]]
    assert run("tail", "alerts", "--from-start", "--count", "2") == followed
    assert run("tail", "refusals", "--from-start", "--count", "1").out == quota_refusal().decode() + "\n"


def test_quotas_are_listed(run: Run, kafka: KafkaSettings) -> None:
    """Who has reached a limit first, then who is nearest to one, then what nobody has spent of."""
    common: dict[str, Any] = {"unit": "usd", "period": "day", "days": None, "time_zone": "UTC"}
    users = QuotaLimit(
        kind="limit",
        name="a user",
        series="user_id",
        key=("*",),
        soft="5.000000000000",
        hard="10.000000000000",
        **common,
    )
    chat = QuotaLimit(
        kind="limit",
        name="chat",
        series="feature",
        key=("chat",),
        soft=None,
        hard="1000",
        **{**common, "unit": "tokens"},
    )
    standings = [standing("u-1", "0.123456789012", "ok"), standing("u-2", "9.500000000000", "soft")]
    standings.append(standing("u-3", "3.000000000000", "ok", resets_in=-60))
    for key, value in (users.entry(), chat.entry(), *(one.entry() for one in standings)):
        send(kafka, key, value)
    lines = run("quotas").out.splitlines()
    assert [re.sub(r"\w+ \d\d \d\d:\d\d", "TIME", " ".join(line.split())) for line in lines[1:]] == [
        "a user user_id=u-2 9.50 5.00 10.00 TIME soft",
        "a user user_id=u-1 0.12 5.00 10.00 TIME ok",
        "a user user_id=u-3 0.00 5.00 10.00 TIME ok",
        "chat feature=chat 0 - 1,000 ok",
    ]
    assert max(map(len, lines)) <= 100
    (told,) = map(json.loads, run("quotas", "chat", "--json").out.splitlines())
    assert (told["key"], told["spent"], told["hard"], told["resets_at"]) == (["chat"], "0", "1000", None)


def standing(user: str, spent: str, state: str, *, resets_in: int = 3600) -> QuotaStanding:
    """Say what a user has spent of the quota "a user"."""
    seconds = now_ms() // 1000
    return QuotaStanding.model_validate(
        {
            "kind": "standing",
            "name": "a user",
            "series": "user_id",
            "key": (user,),
            "unit": "usd",
            "spent": spent,
            "state": state,
            "period_start": seconds - 3600,
            "resets_at": seconds + resets_in,
            "as_of_ms": seconds * 1000,
            "partition": 0,
        }
    )


def send(kafka: KafkaSettings, key: bytes, value: bytes) -> None:
    """Write one record of cost.quotas."""
    from confluent_kafka import Producer

    producer = Producer({"bootstrap.servers": kafka.kafka})
    producer.produce(kafka.topics.quotas, key=key, value=value)
    assert producer.flush(20) == 0
