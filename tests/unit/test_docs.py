"""Is the documentation sound? One question a page, links that lead somewhere, examples that parse."""

import ast
import json
import re
import tomllib
from collections.abc import Callable

import pytest
from tests.pages import Block, Page, pages
from tests.rooms import ROOT

each_page = pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
BLOCKS = [block for page in pages() for block in page.blocks()]
READERS: dict[str, Callable[[str], object]] = {"json": json.loads, "toml": tomllib.loads, "python": ast.parse}


@pytest.mark.parametrize("page", [page for page in pages() if page.name != "README.md"], ids=lambda page: page.name)
def test_a_page_answers_one_question(page: Page) -> None:
    """A page of docs/ has one title, and it is a question."""
    assert [title.endswith("?") for title in page.headings(1)] == [True]


@each_page
def test_links_lead_somewhere(page: Page) -> None:
    """Every relative link names a file of the project, and its anchor a heading there."""
    for link in page.links():
        if link.startswith(("http://", "https://", "mailto:")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.path.parent / path).resolve() if path else page.path
        assert target.is_relative_to(ROOT), link
        assert target.exists(), link
        assert not anchor or anchor in Page(target).anchors(), link


def test_every_page_can_be_found_from_the_readme() -> None:
    """README.md links to every page of docs/."""
    linked = set(pages()[0].links())
    assert {page.name for page in pages()[1:]} <= linked


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: f"{block.page}:{block.line}")
def test_a_block_says_what_it_is(block: Block) -> None:
    """Every fenced block names its language; JSON, TOML and Python parse."""
    assert block.language
    for text in block.text.splitlines() if block.language == "jsonl" else [block.text]:
        READERS.get(block.language.removesuffix("l"), str)(text)


@each_page
def test_pages_name_no_machine(page: Page) -> None:
    """No page holds a path of somebody's machine."""
    assert re.findall(r"/(?:home|Users|work|root)/\S*", page.text) == []
