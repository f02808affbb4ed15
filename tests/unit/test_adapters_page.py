"""Does docs/adapters.md say which field goes where, as the code does it?"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import pytest
from tests.adapters import CASES
from tests.pages import Page
from tests.rooms import ROOT, modules

from spendgauge.producers.adapters.leaves import TAG
from spendgauge.schemas import UsageEvent

PAGE: Final = Page(ROOT / "docs" / "adapters.md")
SECTIONS: Final = {
    "anthropic": "Anthropic Messages",
    "openai": "OpenAI Chat Completions, Responses, Embeddings",
    "gemini": "Google Gemini",
    "bedrock": "Amazon Bedrock Converse",
    "claude_agent": "Claude Agent SDK",
    "litellm": "LiteLLM",
    "otel": "OpenTelemetry",
}
FAULTS: Final = {"capped", "convention", "image_gen", "tier", "total_differs", "unreadable"}


class Watched(Mapping[str, Any]):
    """JSON that notes which of its plain values are read, by their paths."""

    def __init__(self, value: Mapping[str, Any], read: set[str], path: str = "") -> None:
        self._value = value
        self._read = read
        self._path = path

    def __getitem__(self, name: str) -> Any:
        shown = "*" if self._path == "modelUsage." else name
        return self._seen(self._value[name], f"{self._path}{shown}")

    def __iter__(self) -> Iterator[str]:
        return iter(self._value)

    def __len__(self) -> int:
        return len(self._value)

    def _seen(self, value: Any, path: str) -> Any:
        if isinstance(value, Mapping):
            return Watched(value, self._read, f"{path}.")
        if isinstance(value, list):
            return [self._seen(entry, f"{path}[]") for entry in value]
        if value is not None:
            self._read.add(path)
        return value


def _rows(section: str) -> list[tuple[str, str]]:
    _, _, rest = PAGE.text.partition(f"## {section}\n")
    table = rest.partition("\n## ")[0]
    return re.findall(r"^\| `([^`]+)`[^|]*\| (.*) \|$", table, re.MULTILINE)


def _read_by(file: str) -> set[str]:
    read: set[str] = set()
    for case in CASES:
        if case.file == file and isinstance(case.document["input"], Mapping):
            case.run(Watched(case.document["input"], read))
    return read


@pytest.mark.parametrize("file", [name for name in SECTIONS if name != "otel"])
def test_the_page_names_the_fields_that_are_read(file: str) -> None:
    """A provider's table has exactly the fields that its adapter reads in the conformance cases."""
    assert {name for name, _ in _rows(SECTIONS[file])} == _read_by(file)


def test_the_page_names_the_attributes_that_are_read() -> None:
    """OpenTelemetry's table has exactly the attributes that the adapter knows."""
    (module,) = [module for module in modules("producers") if module.name.endswith(".adapters.otel")]
    known = set(re.findall(r'"((?:[a-z_]+\.)+[a-z_]+)"', module.text))
    assert {name for name, _ in _rows(SECTIONS["otel"])} == known


@pytest.mark.parametrize("section", SECTIONS.values())
def test_the_page_names_fields_of_the_event(section: str) -> None:
    """What a provider's field goes to is a field of the event, or a fault."""
    named = {name for _, text in _rows(section) for name in re.findall(r"`([a-z_0-9]+)`", text)}
    assert named <= {*UsageEvent.model_fields, *FAULTS}


def test_the_page_names_every_fault() -> None:
    """Every fault that the code knows is explained, and no other."""
    adapters = [module for module in modules("producers") if ".adapters." in module.name]
    added = {name for module in adapters for name in re.findall(r'faults\.add\("(\w+)"\)', module.text)}
    _, _, rest = PAGE.text.partition(f"`{TAG}`")
    assert added == FAULTS == set(re.findall(r"^\| `(\w+)` \|", rest.partition("\n## ")[0], re.MULTILINE))
