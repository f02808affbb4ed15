"""Which lines may be read at once?

Polars' JSON reader is quick and lenient: it ignores unknown names, takes the first of two equal names, turns a number
into text where text is wanted, and gives null for what does not fit. So two things are counted in each line before it
is read, and compared with what came back: the members, by ``":``, and the strings, by their quotes. That counts right
only in a flat object without escaped quotes and without space before a colon (a name that begins with a colon is
counted twice, and so never taken for less); every other line goes to pydantic.
"""

from typing import Final

import polars as pl

from spendgauge.schemas.chunks.rules import RULES
from spendgauge.schemas.events import MAX_EVENT_BYTES

__all__ = ["TAGS_MARK", "guard"]

TAGS_MARK: Final = "tags#"
"""The name that stands for ``tags`` while Polars reads: it has no maps with free names."""

_JSON: Final = pl.col("json")
_STRING: Final = r'"[^"\\\x00-\x1f]*"'
_TAG: Final = f"{_STRING} *: *{_STRING}"
_TAGS: Final = rf'"tags" *: *(\{{ *(?:{_TAG}(?: *, *{_TAG})* *)?\}})'
_NULLABLE: Final = "|".join(name for name, rule in RULES.items() if rule.nullable)
_NULL_MEMBER: Final = rf'"(?:{_NULLABLE})":\s*null'
_MISLEADING: Final = (
    # nested values
    (_JSON.str.contains("[", literal=True) | (_JSON.str.count_matches("{", literal=True) > 1), r":\s*[\[{]"),
    # escaped quotes, and surrogates, of which Polars makes something else
    (_JSON.str.contains("\\", literal=True), r'\\"|\\u[dD]'),
    # names that a colon does not follow at once
    (pl.any_horizontal(_JSON.str.contains(space, literal=True) for space in (" :", "\t", "\r")), r'"\s+:'),
)
"""What would be counted wrong: a cheap sign of it, and the pattern that tells."""


def guard(lines: pl.DataFrame) -> pl.DataFrame:
    """Keep the lines that can be counted; add ``json``, ``tags``, ``members``, ``quotes`` and ``nulls``.

    ``json`` is the text with a string in place of its tags, which keeps valid what is valid and invalid what is not;
    ``tags`` is their text or null; ``nulls`` counts the members that are null and may be.
    """
    text = pl.col("text").str.strip_chars(" \t\r")
    tagged = lines["text"].str.contains('"tags"', literal=True).any()
    json = text.str.replace(_TAGS, f'"{TAGS_MARK}":""') if tagged else text
    tags = text.str.extract(_TAGS) if tagged else pl.lit(None, pl.String)
    guarded = lines.with_columns(json=json, tags=tags).filter(
        pl.col("text").str.len_bytes() <= MAX_EVENT_BYTES,
        ~pl.col("text").str.contains("\ufffd", literal=True),  # it may stand for bytes that are not UTF-8
        _JSON.str.starts_with("{"),
        _JSON.str.ends_with("}"),
    )
    for sign, pattern in _MISLEADING:
        if guarded.select(sign.any()).item():
            guarded = guarded.filter(~_JSON.str.contains(pattern))
    has_null = guarded["json"].str.contains("null", literal=True).any()
    return guarded.with_columns(
        members=_JSON.str.count_matches('":', literal=True),
        quotes=_JSON.str.count_matches('"', literal=True),
        nulls=_JSON.str.count_matches(_NULL_MEMBER) if has_null else pl.lit(0, pl.UInt32),
    )
