"""Which lines are odd, each in its own way? Bad ones with their reason, valid ones with what they say.

Most of them deceive Polars' JSON reader, or the counting that guards it.
"""

import json
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from tests.strategies import NOW_MS

from spendgauge.schemas import DIMENSIONS, LEAVES, UsageEvent

__all__ = ["ACCEPTED", "AN_ID", "FULL", "GOOD", "NOW", "REJECTED", "START", "line"]

AN_ID: Final = "0190c5b0-3d6e-7c41-9f0e-2a6f1d0b7e55"
ANOTHER_ID: Final = "0190c5b0-3d6e-7c41-9f0e-2a6f1d0b7e56"
NOW: Final = "2026-09-21T14:13:20.000Z"
START: Final = f'"event_id":"{AN_ID}","occurred_at":"{NOW}","provider":"openai","model":"gpt-5"'
GOOD: Final = f"{{{START}}}".encode()


def line(members: str = "", start: str = START) -> bytes:
    """Write an event with further members, as they stand."""
    return f"{{{start}{',' if members else ''}{members}}}".encode()


FULL: Final = (
    UsageEvent.model_validate(
        {
            **dict.fromkeys(
                (*LEAVES, "reasoning_tokens", "attempt", "latency_ms", "ttft_ms", "reported_total_tokens"), 1
            ),
            **dict.fromkeys((*DIMENSIONS, "error_type", "request_model", "response_id", "source"), "é"),
            "tenant": "é" * 256,
            "event_id": AN_ID,
            "seq": 1,
            "occurred_at": datetime.fromisoformat(NOW),
            "started_at": datetime.fromisoformat(NOW),
            "provider": "anthropic",
            "model": "claude",
            "operation": "embeddings",
            "service_tier": "batch",
            "usage_source": "estimated",
            "usage_convention": "inclusive",
            "status": "error",
            "quality_score": 0.25,
            "tags": {"region": "eu"},
            "reported_cost_usd": Decimal("0.01"),
        }
    )
    .model_dump_json(exclude={"kind", "adjusts"})
    .encode()
)
"""An event that names all fields but an adjustment's, so that a sample of lines knows them."""

REJECTED: Final = {
    "an unknown name": (line('"prompt":1'), "invalid_event"),
    "an unknown name before a space": (line('"prompt" :1'), "invalid_event"),
    "an unknown name before a tab": (line('"prompt"\t:1'), "invalid_event"),
    "a number as text, and quotes made up for": (line('"team":5,"zz":1'), "invalid_event"),
    "a number as text, an unknown name before a space": (line('"team":5,"zz" :1'), "invalid_event"),
    "a number as text, and two escaped quotes": (line('"team":5,"feature":"\\"x\\""'), "invalid_event"),
    "a number as text, and a string too many": (line('"team":5,"zz":"x"'), "invalid_event"),
    "two numbers as text": (line('"team":5,"feature":6,"z":1,"y":1'), "invalid_event"),
    "true as text": (line('"team":true'), "invalid_event"),
    "text as a number": (line('"input_tokens":"5"'), "invalid_event"),
    "text as a number, a number as text": (line('"input_tokens":"5","team":5'), "invalid_event"),
    "a whole float": (line('"input_tokens":1.0'), "invalid_event"),
    "an exponent": (line('"input_tokens":1e2'), "invalid_event"),
    "more than 64 bits": (line('"input_tokens":9223372036854775808'), "invalid_event"),
    "more than 128 bits": (line(f'"input_tokens":{"9" * 60}'), "invalid_event"),
    "null where it may not be": (line('"input_tokens":null'), "invalid_event"),
    "null where it may not be, among nulls": (line('"team":null,"attempt":null'), "invalid_event"),
    "a list as text": (line('"team":["x"]'), "invalid_event"),
    "a list as text after spaces": (line('"team":   ["x"]'), "invalid_event"),
    "an object as text": (line('"team":{"a":"b"}'), "invalid_event"),
    "tags in tags": (line('"tags":{"tags":{"a":"b"}}'), "invalid_event"),
    "tags as text": (line('"tags":"{}"'), "invalid_event"),
    "a number among tags": (line('"tags":{"a":1}'), "invalid_event"),
    "null as tags": (line('"tags":null'), "invalid_event"),
    "the mark that stands for tags": (line('"tags#":""'), "invalid_event"),
    "that mark escaped": (line('"tags\\u0023":""'), "invalid_event"),
    "that mark escaped, beside tags": (line('"tags\\u0023":"","tags":{"a":"b"}'), "invalid_event"),
    "tags with a number at their tail": (line('"tags":{"a":"b"}2'), "invalid_json"),
    "tags with a tab inside": (line('"tags":{"a":"\t"}'), "invalid_json"),
    "tags after a space that JSON does not know": (line('"tags":\u00a0{"a":"b"}'), "invalid_json"),
    "tags without a comma before": (line('"team":"x""tags":{"a":"b"}'), "invalid_json"),
    "tags without a value before": (line('"team":,"tags":{"a":"b"}'), "invalid_json"),
    "tags twice, the second wrong": (line('"tags":{"a":"b"},"tags":{"a":1}'), "invalid_event"),
    "a tag twice, the first too long": (line(f'"tags":{{"a":"{"x" * 257}","a":"b"}}'), "invalid_event"),
    "seventeen tags": (line(f'"tags":{json.dumps(dict.fromkeys(map(str, range(17)), ""))}'), "invalid_event"),
    "257 characters in a tag": (line(f'"tags":{{"a":"{"é" * 257}"}}'), "invalid_event"),
    "65 characters in a tag's name": (line(f'"tags":{{"{"é" * 65}":"a"}}'), "invalid_event"),
    "a tag without a name": (line('"tags":{"":"b"}'), "invalid_event"),
    "NaN": (line('"quality_score":NaN'), "invalid_event"),
    "infinity": (line('"quality_score":Infinity'), "invalid_event"),
    "beyond a double": (line('"quality_score":1e400'), "invalid_event"),
    "a leading zero": (line('"attempt":01'), "invalid_json"),
    "a lone surrogate": (line('"team":"\\ud800"'), "invalid_json"),
    "a lone trailing surrogate": (line('"team":"\\uDC00"'), "invalid_json"),
    "a raw control character": (line('"team":"a\x01b"'), "invalid_json"),
    "a raw tab": (line('"team":"a\tb"'), "invalid_json"),
    "a null byte behind": (GOOD + b"\x00", "invalid_json"),
    "a byte order mark": (b"\xef\xbb\xbf" + GOOD, "invalid_json"),
    "bytes that are not UTF-8": (line('"team":"x"').replace(b"x", b"\xff"), "invalid_json"),
    "bytes that are not UTF-8 among tags": (line('"tags":{"a":"x"}').replace(b"x", b"\xff"), "invalid_json"),
    "a surrogate in UTF-8": (line('"team":"x"').replace(b"x", b"\xed\xa0\x80"), "invalid_json"),
    "an overlong null": (line('"team":"x"').replace(b"x", b"\xc0\x80"), "invalid_json"),
    "cut short": (GOOD[:-5], "invalid_json"),
    "cut after a brace": (line('"team":"}"')[:-2], "invalid_json"),
    "two objects": (GOOD + GOOD, "invalid_json"),
    "two objects and a null": (GOOD + b"null" + GOOD, "invalid_json"),
    "a comma behind": (line().replace(b"}", b",}"), "invalid_json"),
    "a comment": (GOOD[:-1] + b"/**/}", "invalid_json"),
    "in a list": (b"[" + GOOD + b"]", "invalid_event"),
    "null": (b"null", "invalid_event"),
    "an empty object": (b"{}", "invalid_event"),
    "very deep": (line('"team":' + "[" * 3000), "invalid_json"),
    "a quote that is escaped": (line('"team":"x\\","zz":1,"y":"'), "invalid_json"),
    "a backslash that is escaped": (line('"team":"x\\\\","zz":1'), "invalid_event"),
    "a name with an escaped quote": (line('"a\\"tags":{"a":"b"}'), "invalid_event"),
    "a leap second": (line(start=START.replace("13:20.000", "13:60.000")), "invalid_event"),
    "a day that is not in the calendar": (line('"started_at":"2026-02-30T00:00:00.000Z"'), "invalid_event"),
    "the hour 24": (line('"started_at":"2026-02-20T24:00:00.000Z"'), "invalid_event"),
    "digits of another script": (line('"started_at":"٢٠٢٦-02-20T00:00:00.000Z"'), "invalid_event"),
    "a time without a zone": (line('"started_at":"2026-02-20T00:00:00.000"'), "invalid_event"),
    "before the tables begin": (line('"started_at":"2019-12-31T23:59:59.999Z"'), "invalid_event"),
    "after the tables end": (line('"started_at":"2100-01-01T00:00:00.000Z"'), "invalid_event"),
    "the nil UUID": (line(start=START.replace(AN_ID, "00000000-0000-0000-0000-000000000000")), "invalid_event"),
    "a UUID without hyphens": (line(start=START.replace(AN_ID, AN_ID.replace("-", ""))), "invalid_event"),
    "a Kelvin sign in a UUID": (line(start=START.replace("7c41", "7\u212a41")), "invalid_event"),
    "no model": (line(start=START.replace(',"model":"gpt-5"', "")), "invalid_event"),
    "an empty model": (line(start=START.replace("gpt-5", "")), "invalid_event"),
    "257 characters": (line(f'"team":"{"é" * 257}"'), "invalid_event"),
    "no attempt": (line('"attempt":0'), "invalid_event"),
    "a negative latency": (line('"latency_ms":-1'), "invalid_event"),
    "a score above one": (line('"quality_score":1.5'), "invalid_event"),
    "an unknown status": (line('"status":"fine"'), "invalid_event"),
    "more reasoning than output": (line('"output_tokens":1,"reasoning_tokens":2'), "invalid_event"),
    "reasoning without output": (line('"reasoning_tokens":1'), "invalid_event"),
    "a negative count": (line('"input_tokens":-1'), "invalid_event"),
    "a negative total": (line('"reported_total_tokens":-1'), "invalid_event"),
    "a negative amount": (line('"reported_cost_usd":"-0.01"'), "invalid_event"),
    "an amount as a number": (line('"reported_cost_usd":0.01'), "invalid_event"),
    "thirteen decimals": (line('"reported_cost_usd":"0.0000000000001"'), "invalid_event"),
    "an amount with a line end": (line('"reported_cost_usd":"1\\n"'), "invalid_event"),
    "a time with a line end": (line('"started_at":"2026-02-20T00:00:00.000Z\\n"'), "invalid_event"),
    "seq without a source": (line('"seq":1'), "invalid_event"),
    "seq with an empty source": (line('"source":"","seq":1'), "invalid_event"),
    "an adjustment of nothing": (line('"kind":"adjustment"'), "invalid_event"),
    "an adjustment of itself": (line(f'"kind":"adjustment","adjusts":"{AN_ID}"'), "invalid_event"),
    "itself in upper case": (line(f'"kind":"adjustment","adjusts":"{AN_ID.upper()}"'), "invalid_event"),
    "adjusts in a usage event": (line(f'"adjusts":"{ANOTHER_ID}"'), "invalid_event"),
    "one byte too long": (GOOD + b" " * (8193 - len(GOOD)), "too_large"),
    "spaces that make it too long": (line('"team":' + " " * 8100 + '"x"'), "too_large"),
}

ACCEPTED: Final[dict[str, tuple[bytes, dict[str, Any]]]] = {
    "a name twice: the last counts": (line('"attempt":2,"attempt":3'), {"attempt": 3}),
    "a name twice: the first was wrong": (line('"attempt":"x","attempt":3'), {"attempt": 3}),
    "a value, then null": (line('"source":"s","seq":1,"seq":null'), {"source": "s", "seq": None}),
    "null, then a value": (line('"team":null,"team":"x"'), {"team": "x"}),
    "null twice": (line('"team":null,"team":null'), {"team": ""}),
    "a number as text, corrected": (line('"team":5,"team":"x"'), {"team": "x"}),
    "null for a name": (line('"team": null,"seq":null'), {"team": "", "seq": None}),
    "an escaped name": (line('"te\\u0061m":"x"'), {"team": "x"}),
    "an escaped name for null": (line('"te\\u0061m":null'), {"team": ""}),
    "a pair of surrogates": (line('"team":"\\ud83d\\ude00"'), {"team": "😀"}),
    "an escaped null byte": (line('"team":"\\u0000"'), {"team": "\x00"}),
    "a replacement character": (line('"team":"\ufffd"'), {"team": "\ufffd"}),
    "quotes, escaped": (line('"team":"a\\"b\\\\"'), {"team": 'a"b\\'}),
    "JSON in a name": (line('"team":"{x}:[y], null"'), {"team": "{x}:[y], null"}),
    "a colon first": (line('"team":":x"'), {"team": ":x"}),
    "a model with brackets": (line('"request_model":"opus[1m]"'), {"request_model": "opus[1m]"}),
    "minus zero": (line('"input_tokens":-0'), {"input_tokens": 0}),
    "a whole score": (line('"quality_score":1'), {"quality_score": 1.0}),
    "a long score": (line('"quality_score":0.1000000000000000055511151231257827'), {"quality_score": 0.1}),
    "256 characters": (line(f'"team":"{"é" * 256}"'), {"team": "é" * 256}),
    "tags in any order": (line('"tags":{"b":"2","a":"é"}'), {"tags": '{"a":"é","b":"2"}'}),
    "tags with spaces": (line('"tags" : { "b" : "2" , "a" : "1" }'), {"tags": '{"a":"1","b":"2"}'}),
    "a tag twice: the last counts": (line('"tags":{"a":"1","a":"2"}'), {"tags": '{"a":"2"}'}),
    "tags twice: the last counts": (line('"tags":{"a":"1"},"tags":{}'), {"tags": "{}"}),
    "no tags": (line('"tags":{}'), {"tags": "{}"}),
    "tags with escapes": (line('"tags":{"a":"\\n\\u0001"}'), {"tags": '{"a":"\\n\\u0001"}'}),
    "upper case": (line(start=START.replace(AN_ID, AN_ID.upper())), {"event_id": AN_ID}),
    "an offset": (line('"started_at":"2026-09-21T19:43:20+05:30"'), {"started_at_ms": NOW_MS}),
    "nanoseconds": (line('"started_at":"2026-09-21T14:13:20.001999999Z"'), {"started_at_ms": NOW_MS + 1}),
    "a tenth": (line('"started_at":"2026-09-21T14:13:20.1+00:00"'), {"started_at_ms": NOW_MS + 100}),
    "an amount": (line('"reported_cost_usd":"000012.5"'), {"reported_cost_picodollars": 12_500_000_000_000}),
    "the smallest amount": (line('"reported_cost_usd":"0.000000000001"'), {"reported_cost_picodollars": 1}),
    "minus nothing": (line('"reported_cost_usd":"-0.0"'), {"reported_cost_picodollars": 0}),
    "a correction": (
        line(f'"kind":"adjustment","adjusts":"{ANOTHER_ID}","input_tokens":-7,"reported_cost_usd":"-0.5"'),
        {
            "kind": "adjustment",
            "adjusts": ANOTHER_ID,
            "input_tokens": -7,
            "reported_cost_picodollars": -500_000_000_000,
        },
    ),
    "white space around": (b" \t" + GOOD + b" \r", {"model": "gpt-5"}),
    "the longest line": (GOOD + b" " * (8192 - len(GOOD)), {"model": "gpt-5"}),
}
