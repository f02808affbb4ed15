"""Does docs/events.md say what a usage event is?"""

import json
import re
from typing import get_args

from tests.pages import Page
from tests.rooms import ROOT

from spendgauge.schemas import UsageEvent
from spendgauge.schemas.chunks import decode_chunk
from spendgauge.schemas.chunks.rules import RULES, SIGNED, FieldRule
from spendgauge.schemas.json_schemas import MODELS, schema_file_name
from spendgauge.schemas.lines import event_line
from spendgauge.schemas.records import RecordChunk
from spendgauge.schemas.rejects import RejectReason

PAGE = Page(ROOT / "docs" / "events.md")
FORMS = {
    "event_id": "UUID",
    "adjusts": "UUID",
    "occurred_at": "RFC 3339 time with a zone",
    "started_at": "RFC 3339 time with a zone",
    "reported_cost_usd": "decimal text, below 1,000,000, at most 12 decimals",
    "tags": "names of 1 to 64, values of at most 256 characters; at most 16",
}


def _form(rule: FieldRule) -> str:
    """Say in words what a field's value looks like."""
    if rule.name in FORMS:
        return FORMS[rule.name]
    if rule.choices:
        return ", ".join(f"`{choice}`" if choice else "empty" for choice in rule.choices)
    if rule.kind == "string":
        return f"{'1 to' if rule.min_length else 'at most'} {rule.max_length} characters"
    low = 0 if rule.name in SIGNED else rule.minimum
    return f"{'number' if rule.kind == 'number' else 'integer'}, {low:,} to {rule.maximum:,}"


def _row(rule: FieldRule) -> str:
    given = "required" if rule.required else "" if rule.default in ("", None, {}) else f"`{rule.default}`"
    return f"| `{rule.name}` | {_form(rule)} | {given} | {UsageEvent.model_fields[rule.name].description} |"


def test_the_page_lists_every_field() -> None:
    """The table has each field of the model in order, with its form, its default and its description."""
    shown = re.findall(r"^\| `\w+` \|.*\|$", PAGE.text.partition("## Fields")[2].partition("\n## ")[0], re.MULTILINE)
    assert "\n".join(shown) == "\n".join(map(_row, RULES.values()))


def test_the_page_explains_every_reason() -> None:
    """The table of reasons has each reason that a reject can have, in order."""
    shown = re.findall(
        r"^\| `(\w+)` \|", PAGE.text.partition("## What is rejected")[2].partition("\n## ")[0], re.MULTILINE
    )
    assert shown == list(get_args(RejectReason))


def test_the_example_is_what_the_producer_writes() -> None:
    """The first example is valid, is accepted by the codec, and is written by our producer byte for byte."""
    example = next(block.text for block in PAGE.blocks() if block.language == "jsonl").strip()
    event = UsageEvent.model_validate_json(example)
    assert event_line(event).decode() == example
    now_ms = int(event.occurred_at.timestamp() * 1000)
    chunk = RecordChunk("s:1", "usage.events", 0, [0], [now_ms], [None], [example.encode()], [()])
    assert decode_chunk(chunk).frame["tags"].to_list() == [json.dumps(event.tags, separators=(",", ":"))]


def test_the_page_links_every_schema_file() -> None:
    """Each published schema is linked."""
    assert {schema_file_name(name) for name in MODELS} <= {link.rpartition("/")[2] for link in PAGE.links()}
