"""What do the pages say? README.md and docs/*.md, taken apart: headings, links, fenced blocks."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.rooms import ROOT

__all__ = ["Block", "Page", "pages"]

_FENCE = re.compile(
    r"(?:^<!-- not run: (?P<reason>[^\n]+?) -->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
_LINK = re.compile(r"(?<!!)\[[^\]]+\]\((?P<target>[^)\s]+)\)")
_HEADING = re.compile(r"^(#{1,4}) (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """One fenced block; ``reason`` says why it is not run, where the page says so."""

    page: str
    line: int
    language: str
    text: str
    reason: str | None


@dataclass(frozen=True)
class Page:
    """One page of the documentation."""

    path: Path

    @property
    def name(self) -> str:
        """Its path from the root."""
        return self.path.relative_to(ROOT).as_posix()

    @property
    def text(self) -> str:
        """All of it."""
        return self.path.read_text(encoding="utf-8")

    @property
    def prose(self) -> str:
        """It without its fenced blocks."""
        return _FENCE.sub("", self.text)

    def headings(self, level: int) -> list[str]:
        """List the headings of a level, in order."""
        return [text for marks, text in _HEADING.findall(self.prose) if len(marks) == level]

    def anchors(self) -> set[str]:
        """Name the anchors that its headings make."""
        texts = (text for _, text in _HEADING.findall(self.prose))
        return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in texts}

    def links(self) -> list[str]:
        """List what it links to."""
        return [match["target"] for match in _LINK.finditer(self.prose)]

    def blocks(self) -> Iterator[Block]:
        """Give its fenced blocks, in order."""
        text = self.text
        for match in _FENCE.finditer(text):
            line = text.count("\n", 0, match.start("text"))
            yield Block(self.name, line, match["language"], match["text"], match["reason"])


def pages() -> list[Page]:
    """List README.md and the pages of docs/."""
    return [Page(ROOT / "README.md"), *(Page(path) for path in sorted((ROOT / "docs").glob("*.md")))]
