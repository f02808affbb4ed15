"""Does ``channels.toml`` mean what it says, and does a slip in it get one sentence without any secret?"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from structlog.testing import LogCapture
from tests.notifications import SECRET, channels_file
from tests.pages import Page
from tests.producers import FakeClock
from tests.rooms import ROOT

from spendgauge.deploy.stack.plan import check_children
from spendgauge.deploy.stack.settings import StackSettings
from spendgauge.schemas import ConfigurationError
from spendgauge.streams.delivery.channels import parse_channels
from spendgauge.streams.delivery.files import ChannelFile
from spendgauge.streams.delivery.messages import Message
from spendgauge.streams.delivery.quiet import QuietHours
from spendgauge.streams.delivery.senders import Senders, make_sender
from spendgauge.streams.delivery.targets import Target, read_targets
from spendgauge.streams.delivery.tries import Outcome

HOOK: dict[str, Any] = {"name": "ops", "kind": "webhook", "url": "https://h.example/tOkEn", "secret_env": "S"}
CHAT: dict[str, Any] = {"name": "chat", "kind": "apprise", "url_env": "CHAT_URL"}
FULL = """
[[channel]]
name = "ops"
kind = "webhook"
url = "https://hooks.example/spendgauge"
secret_file = "secret"
timeout_seconds = 5
min_severity = "page"
rules = ["spike", "budget"]
only = [{ series = "team", key = ["search"] }, { series = "total" }]
quiet = { from = "22:00", until = "07:00", time_zone = "Europe/Zurich" }
"""


class Deaf:
    """A sender that sends nothing."""

    def send(self, _message: Message) -> Outcome:
        """Say it was sent."""
        return Outcome("sent")

    def close(self) -> None:
        """Close nothing."""


def test_a_file_says_all_that_a_channel_can() -> None:
    """Each field is read; what is left out has its default."""
    (full,) = parse_channels(FULL)
    assert (full.min_severity, full.rules, full.timeout_seconds) == ("page", ("spike", "budget"), 5)
    assert [(one.series, one.key) for one in full.only] == [("team", ("search",)), ("total", ())]
    assert full.quiet is not None
    assert full.quiet.time_zone == "Europe/Zurich"
    assert parse_channels("") == ()
    assert "hooks.example" not in repr(full)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"name": "a b"}, "channel 'a b': name = 'a b' cannot be used: it should match pattern"),
        ({"kind": "slack"}, "channel 'ops': kind = 'slack' cannot be used: it should be 'webhook' or 'apprise'."),
        ({"url": ""}, "channel 'ops': its url cannot be used: write http:// or https://, a host and a path."),
        ({"url": "ftp://h/tOkEn"}, "channel 'ops': its url cannot be used: write http:// or https://"),
        ({"url_env": "U"}, "channel 'ops': write either url, or url_env with the name of the environment variable"),
        ({"secret_file": "s"}, "channel 'ops': a webhook is signed: write either secret_env or secret_file"),
        ({"secret_env": "NONE"}, "channel 'ops': secret_env names NONE, which is not set; set it where"),
        ({"secret_env": "WEAK"}, "channel 'ops': its secret cannot be used: a secret is whsec_ and 24 to 64 bytes"),
        ({"secret_env": SECRET}, "channel 'ops': secret_env cannot be used: write the name of an environment variable"),
        (
            {"secret_env": "https://h/tOkEn"},
            "channel 'ops': secret_env cannot be used: write the name of an environment",
        ),
        ({"url_env": "https://h/tOkEn"}, "channel 'ops': url_env cannot be used: write the name of an environment var"),
        ({"secret_file": "https://h/tOkEn"}, "channel 'ops': secret_file cannot be used: write the name of a file"),
        (
            {"timeout_seconds": "https://h/tOkEn"},
            "channel 'ops': timeout_seconds cannot be used: write a number.",
        ),
        ({"timeout_seconds": 0}, "channel 'ops': timeout_seconds = 0 cannot be used: it should be greater"),
        ({"min_severity": "info"}, "channel 'ops': min_severity = 'info' cannot be used: it should be 'warn' or"),
        ({"secret": "tOkEn"}, "channel 'ops': secret is not known; the fields are name, kind, url, url_env"),
        ({"only": '[{ team = "a" }]'}, "channel 'ops': only.0.series is missing; add it."),
        ({"only": '[{ series = "a", x = "a" }]'}, "channel 'ops': only.0.x is not known; the fields are series, key."),
        ({"quiet": '{ from = "22", until = "07:00" }'}, "quiet.from = '22' cannot be used: write a time of day such"),
        ({"quiet": '{ from = "22:00", until = "22:00" }'}, "from and until are the same; for pages only"),
        (
            {"quiet": '{ from = "22:00", until = "07:00", time_zone = "Mars" }'},
            "channel 'ops': quiet.time_zone = 'Mars' cannot be used: write the name of a time zone, such as",
        ),
    ],
)
def test_a_slip_gets_one_sentence(tmp_path: Path, changes: dict[str, Any], sentence: str) -> None:
    """An error names the file, the channel and the value, says what to do, and shows neither URL nor secret."""
    path = channels_file(tmp_path, HOOK | changes)
    with pytest.raises(ConfigurationError) as caught:
        read_targets(path, {"S": SECRET, "WEAK": "whsec_tOkEn"})
    said = str(caught.value)
    assert said.startswith("channels.toml, channel ")
    assert sentence in said
    assert "tOkEn" not in said
    assert SECRET not in said
    assert said.endswith(".")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[[channel]", "channels.toml is not valid TOML: "),
        ("[channel]", "channels.toml: 'channel' must be written as [[channel]], once a channel."),
        ("[[channels]]", "channels.toml: 'channels' must be written as [[channel]], once a channel."),
        (FULL + FULL, "channels.toml, channel 'ops': the name is given twice; "),
        (
            "[[channel]]\nkind = 'apprise'\nurl = 'json://h'",
            "channels.toml, channel number 1: name is missing; add it.",
        ),
        (
            "[[channel]]\nname = 'a'\nkind = 'apprise'\nurl = 'json://h'\nsecret_env = 'A'",
            "channels.toml, channel 'a': secret_env is for webhooks only; ",
        ),
    ],
)
def test_a_slip_in_the_file_gets_one_sentence(text: str, sentence: str) -> None:
    """What is wrong with the file as a whole is said too."""
    with pytest.raises(ConfigurationError) as caught:
        parse_channels(text)
    assert str(caught.value).startswith(sentence)


def test_secrets_come_from_variables_and_files(tmp_path: Path) -> None:
    """A secret's file is looked for beside the channels'; several secrets are apart by white space; none is shown."""
    (tmp_path / "secret").write_text(f"{SECRET}\n{SECRET}\n")
    chat = CHAT | {"name": "chat"}
    path = channels_file(tmp_path, HOOK | {"secret_file": "secret"} | {"secret_env": ""}, chat)
    path.write_text(path.read_text().replace('secret_env = ""\n', ""))
    hook, service = read_targets(path, {"CHAT_URL": "json://user:tOkEn@localhost\n"})
    assert len(hook.secrets) == 2
    assert service.url.get_secret_value() == "json://user:tOkEn@localhost"
    assert "tOkEn" not in repr((hook, service))
    assert SECRET[6:] not in repr(hook)
    (tmp_path / "secret").unlink()
    with pytest.raises(ConfigurationError, match=r"secret_file secret cannot be read: No such file or directory\."):
        read_targets(path, {"CHAT_URL": "json://localhost"})


@pytest.mark.parametrize("url", ["", "nothing://tOkEn", "json://a b://tOkEn", "json://tOkEn, json://b"])
def test_an_apprise_url_that_is_none_is_refused(url: str, caplog: pytest.LogCaptureFixture) -> None:
    """What apprise does not know, or what is two, ends in a sentence; neither it nor apprise's log shows the URL."""
    (chat,) = parse_channels("[[channel]]\nname = 'chat'\nkind = 'apprise'\nurl_env = 'U'")
    with pytest.raises(ConfigurationError) as caught:
        make_sender(Target(chat, SecretStr(url)), FakeClock())
    assert str(caught.value).startswith("channel 'chat': its url is not one apprise URL, such as")
    assert "tOkEn" not in str(caught.value) + caplog.text


def test_a_changed_file_is_used_and_a_bad_one_is_not(tmp_path: Path, log: LogCapture) -> None:
    """An edit is in use within two seconds; one that cannot be used is said once, and the old channels stay."""
    made: list[str] = []

    def make(target: Target) -> Deaf:
        made.append(f"{target.channel.name} {target.channel.timeout_seconds:g}")
        return Deaf()

    clock, senders = FakeClock(), Senders(make)
    path = channels_file(tmp_path, HOOK)
    file = ChannelFile(path, {"S": SECRET}, senders, clock)
    channels_file(tmp_path, HOOK, HOOK | {"name": "dev"})
    assert not file.look()
    clock.seconds += 2
    assert file.look()
    assert senders.idle == {"ops", "dev"}
    path.write_text("[[channel")
    for _ in range(3):
        clock.seconds += 2
        assert not file.look()
    assert senders.idle == {"ops", "dev"}
    assert file.error is not None
    channels_file(tmp_path, HOOK | {"timeout_seconds": 3})
    clock.seconds += 2
    assert file.look()
    assert file.error is None
    assert made == ["ops 10", "dev 10", "ops 3"]
    assert senders.idle == {"ops"}
    assert [entry["log_level"] for entry in log.entries] == ["info", "error", "info"]
    senders.close()


def test_no_file_is_an_error() -> None:
    """A notifier without channels says so and does not start."""
    with pytest.raises(ConfigurationError, match="no channels are set, so there is nobody to tell"):
        ChannelFile(None, {}, Senders(lambda _: Deaf()), FakeClock())


@pytest.mark.parametrize(
    ("hours", "at", "quiet"),
    [
        (("22:00", "07:00", "UTC"), "2026-09-21T21:59:59", False),
        (("22:00", "07:00", "UTC"), "2026-09-21T22:00:00", True),
        (("22:00", "07:00", "UTC"), "2026-09-22T06:59:59", True),
        (("22:00", "07:00", "UTC"), "2026-09-22T07:00:00", False),
        (("12:00", "13:00", "UTC"), "2026-09-22T12:30:00", True),
        (("12:00", "13:00", "UTC"), "2026-09-22T13:00:00", False),
        (("22:00", "07:00", "Asia/Kolkata"), "2026-09-22T01:29:59", True),
        (("22:00", "07:00", "Asia/Kolkata"), "2026-09-22T01:30:00", False),
        # 2026-03-29 in Zurich the clock goes from 02:00 to 03:00: an end at 02:30 is then at 03:00
        (("22:00", "02:30", "Europe/Zurich"), "2026-03-29T00:59:59", True),
        (("22:00", "02:30", "Europe/Zurich"), "2026-03-29T01:00:00", False),
        # 2026-10-25 it goes back from 03:00 to 02:00: 02:10 comes twice, and is quiet twice
        (("22:00", "02:30", "Europe/Zurich"), "2026-10-25T00:10:00", True),
        (("22:00", "02:30", "Europe/Zurich"), "2026-10-25T00:40:00", False),
        (("22:00", "02:30", "Europe/Zurich"), "2026-10-25T01:10:00", True),
    ],
)
def test_quiet_is_what_the_clock_on_the_wall_says(hours: tuple[str, str, str], at: str, quiet: bool) -> None:
    """[from, until) by the place's own clock, over midnight, and where the clock is put forward or back."""
    begin, until, zone = hours
    own = QuietHours.model_validate({"from": begin, "until": until, "time_zone": zone})
    assert own.hold(int(datetime.fromisoformat(at).replace(tzinfo=UTC).timestamp() * 1000)) is quiet


def test_the_page_shows_channels_that_can_be_used() -> None:
    """The example of docs/delivery.md is read as it stands."""
    (text,) = [block.text for block in Page(ROOT / "docs" / "delivery.md").blocks() if block.language == "toml"]
    assert [one.name for one in parse_channels(text)] == ["pager", "chat", "team-search"]


def test_a_stack_does_not_start_with_channels_that_cannot_be_used(tmp_path: Path) -> None:
    """What would end the notifier at once is said before anything starts."""
    path = channels_file(tmp_path, HOOK)
    check_children(StackSettings(data=tmp_path, channels=path), {"S": SECRET})
    with pytest.raises(ConfigurationError, match="secret_env names S, which is not set"):
        check_children(StackSettings(data=tmp_path, channels=path), {})
    path = channels_file(tmp_path, CHAT)
    check_children(StackSettings(data=tmp_path, channels=path), {"CHAT_URL": "json://localhost"})
    with pytest.raises(ConfigurationError, match="channel 'chat': its url is not one apprise URL"):
        check_children(StackSettings(data=tmp_path, channels=path), {"CHAT_URL": "nothing://localhost"})
