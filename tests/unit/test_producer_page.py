"""Does docs/producer.md say what the producer is?"""

import re
from dataclasses import fields

import pytest
from tests.pages import Page
from tests.rooms import ROOT

from spendgauge.producers import ProducerSettings, ProducerStats, create_producer
from spendgauge.producers.client import CONTRACT
from spendgauge.producers.failures import FAILURES

TEXT = Page(ROOT / "docs" / "producer.md").text


def test_the_page_lists_every_setting() -> None:
    """The table of settings has each field in order, with its default and its description."""
    settings = ProducerSettings.model_fields
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \| (.+) \|$", TEXT.partition("## Settings")[2], re.MULTILINE)
    assert [name for name, _, _ in rows] == list(settings)
    assert [text for _, _, text in rows] == [field.description for field in settings.values()]
    defaults = {name: field.default for name, field in settings.items() if field.default not in ("", {}, None)}
    plain = {name: f"`{','.join(value) if isinstance(value, tuple) else value}`" for name, value in defaults.items()}
    shown = {name: default for name, default, _ in rows if default}
    assert shown == plain | {"host": "the machine's"}


def test_the_page_names_every_count() -> None:
    """Each figure of ``stats()`` but the totals stands in the table of what can happen."""
    table = TEXT.partition("## What does it promise?")[2].partition("\n\n")[2].partition("\n\n")[0]
    assert {field.name for field in fields(ProducerStats)} - {"accepted", "records"} == set(
        re.findall(r"\| `(\w+)`[^|]*\|$", table, re.MULTILINE)
    ) | {"delivered"}


def test_the_page_lists_every_error() -> None:
    """The table of errors is the code's, kind and meaning, in its order."""
    rows = re.findall(r"^\| `(\w+)` \| (transient|hopeless|fatal) \| (.+) \|$", TEXT, re.MULTILINE)
    assert {name: (kind, meaning) for name, kind, meaning in rows} == FAILURES
    assert [name for name, _, _ in rows] == list(FAILURES)


def test_the_page_names_what_cannot_be_set() -> None:
    """The options that are fixed are named, all of them."""
    assert all(f"`{option}`" in TEXT for option in CONTRACT)


def test_the_page_names_the_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable that switches everything off is the one on the page."""
    (variable,) = set(re.findall(r"`(SPENDGAUGE_DISABLED)=1`", TEXT))
    monkeypatch.setenv(variable, "1")
    assert create_producer().emit() is None
