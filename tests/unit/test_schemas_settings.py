"""Settings come from the environment in one piece, or say in one sentence why they cannot."""

from pathlib import Path
from typing import Annotated, Self

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, model_validator

from spendgauge.schemas import ClickHouseSettings, ConfigurationError, KafkaSettings
from spendgauge.schemas.settings import EnvironmentSettings, MonitorSettings
from spendgauge.sinks.settings import SinkSettings
from spendgauge.streams.settings import WorkerSettings

texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=10)
option_names = st.text("abcdefghijklmnopqrstuvwxyz._", min_size=1, max_size=10)


class WorkerLike(KafkaSettings, ClickHouseSettings):
    """What a process's settings look like."""

    prices: Path | None = Field(default=None, description="A file of prices.")
    flush_seconds: Annotated[float, Field(gt=0)] = Field(default=1.0, description="How often.")
    json_logs: bool = Field(default=False, description="Whether logs are JSON.")

    @model_validator(mode="after")
    def _has_patience(self) -> Self:
        if self.json_logs and self.flush_seconds > 60:
            raise ValueError("flush_seconds must be at most 60 with json_logs")
        return self


@given(
    st.dictionaries(option_names, texts, max_size=4),
    st.floats(0.001, 59),
    st.booleans(),
    st.none() | st.just(Path("p")),
)
def test_a_child_process_reads_what_its_parent_had(
    options: dict[str, str], seconds: float, json_logs: bool, prices: Path | None
) -> None:
    """What ``environment`` writes, ``from_environment`` reads back as equal settings."""
    parent = WorkerLike(
        kafka="a:1,b:2",
        kafka_options=options,
        topic_prefix="x.",
        flush_seconds=seconds,
        json_logs=json_logs,
        prices=prices,
    )
    assert WorkerLike.from_environment(parent.environment()) == parent


def test_a_flag_wins_over_the_environment_and_that_over_the_default() -> None:
    """A value given wins; None leaves the word to the environment, an empty variable to the default."""
    environment = {"SPENDGAUGE_KAFKA": "from-environment:1", "SPENDGAUGE_TOPIC_PREFIX": ""}
    assert KafkaSettings.from_environment(environment, kafka="flag:1").kafka == "flag:1"
    assert KafkaSettings.from_environment(environment, kafka=None).kafka == "from-environment:1"
    assert KafkaSettings.from_environment(environment).topic_prefix == ""
    assert KafkaSettings.from_environment({}).kafka == "127.0.0.1:9092"


def test_the_process_environment_is_read_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a mapping the process's own variables count, and others are none of our business."""
    monkeypatch.setenv("SPENDGAUGE_KAFKA", "broker:9092")
    monkeypatch.setenv("SPENDGAUGE_UNHEARD_OF", "1")
    assert KafkaSettings.from_environment().kafka == "broker:9092"


@pytest.mark.parametrize(
    ("variable", "value", "sentence"),
    [
        (
            "KAFKA_OPTIONS",
            "sasl.username=me,sasl.password secret",
            r"SPENDGAUGE_KAFKA_OPTIONS cannot be used: part 2 of 2 is not name=value; .*",
        ),
        ("TOPIC_PREFIX", "a b", r"SPENDGAUGE_TOPIC_PREFIX='a b' cannot be used: String should match pattern .*"),
        (
            "FLUSH_SECONDS",
            "soon",
            r"SPENDGAUGE_FLUSH_SECONDS='soon' cannot be used: Input should be a valid number, .*",
        ),
        ("FLUSH_SECONDS", "0", r"SPENDGAUGE_FLUSH_SECONDS='0' cannot be used: Input should be greater than 0\."),
    ],
)
def test_a_bad_value_is_one_sentence(variable: str, value: str, sentence: str) -> None:
    """A value that cannot work names its variable, itself and what is wrong."""
    with pytest.raises(ConfigurationError, match=f"^{sentence}$"):
        WorkerLike.from_environment({f"SPENDGAUGE_{variable}": value})


def test_values_that_do_not_go_together_are_one_sentence_without_the_rest() -> None:
    """A rule about several settings says so itself, and repeats none of the others, passwords among them."""
    secret = {"SPENDGAUGE_CLICKHOUSE": "http://me:secret@host:8123/db"}
    with pytest.raises(ConfigurationError, match=r"^flush_seconds must be at most 60 with json_logs\.$"):
        WorkerLike.from_environment(secret, flush_seconds=61.0, json_logs=True)


@pytest.mark.parametrize("settings", [KafkaSettings, ClickHouseSettings, MonitorSettings, WorkerSettings, SinkSettings])
def test_every_setting_is_described(settings: type[EnvironmentSettings]) -> None:
    """Each field says what it means."""
    assert [name for name, field in settings.model_fields.items() if not field.description] == []
