"""What can happen to a line on its way? Hypothesis strategies for accidents, and many random edits at once."""

from random import Random
from typing import Final

from hypothesis import strategies as st

from spendgauge.schemas import UsageEvent

__all__ = ["concocted", "scrambled", "spoiled"]

_VALUES: Final = [
    *(
        "null",
        "true",
        "0",
        "-0",
        "1",
        "-1",
        "1.0",
        "1e2",
        "0.5",
        "-0.0",
        "01",
        "+1",
        "1.",
        ".5",
        "NaN",
        "Infinity",
        "1e400",
    ),
    *(
        "1e-400",
        "100000000",
        "100000001",
        "9223372036854775807",
        "9223372036854775808",
        "18446744073709551616",
        "9" * 40,
    ),
    *(
        '""',
        '"x"',
        '"5"',
        '":x"',
        '"a : b"',
        '"usage"',
        '"adjustment"',
        '"ok"',
        '"0.1"',
        '"-0.1"',
        '"1e3"',
        '"-0"',
        "[]",
        "{}",
    ),
    *('["x"]', '{"a":1}', '{"a":"b"}', '{"a":"b","a":"c"}', '{"a":null}', '"\\u0000"', '"\\ud800"', '"\\ud83d\\ude00"'),
    *('"\\"x"', '"\\x"', '"a\nb"', '"a\tb"', '"a\x00b"', '"2026-02-30T00:00:00.000Z"', '"2026-09-21T13:46:40.123Z"'),
    *(
        '"2026-09-21T23:59:60.000Z"',
        '"2026-09-21T24:00:00.000Z"',
        '"0000-01-01T00:00:00.000Z"',
        '"2026-09-21"',
        '"1700000000"',
    ),
    *(
        '"0001-01-01T00:00:00+01:00"',
        '"2019-12-31T23:59:59.999Z"',
        '"2100-01-01T00:00:00.000Z"',
        '"2026-09-21 13:46:40Z"',
        '"2026-09-21T13:46:40.Z"',
        '"٢٠٢٦-09-21T13:46:40.000Z"',
    ),
    *(
        f'"{"x" * 64}"',
        f'"{"é" * 256}"',
        f'"{"é" * 257}"',
        '"00000000-0000-0000-0000-000000000000"',
        "[" * 300,
        '{"a":' * 300,
    ),
]
"""JSON, and what is nearly JSON, to stand where it should not."""

_FIELDS: Final = [*UsageEvent.model_fields, "prompt", "tags#", "", "te\\u0061m", "tags\\u0023", "ev:ent", ":"]


@st.composite
def _member(draw: st.DrawFn) -> bytes:
    colon = draw(st.sampled_from([":", ": ", " :", "\t:", ":\r"]))
    return f'"{draw(st.sampled_from(_FIELDS))}"{colon}{draw(st.sampled_from(_VALUES))}'.encode()


@st.composite
def _with_member(draw: st.DrawFn, line: bytes) -> bytes:
    """Put a member in front, at the end or in the middle: often a second one of its name, or a wrong one."""
    member = draw(_member())
    match draw(st.sampled_from(["front", "end", "middle"])):
        case "front":
            return line.replace(b"{", b"{" + member + b",", 1)
        case "end":
            return line[: line.rfind(b"}")] + b"," + member + b"}"
        case _:
            return line.replace(b',"', b"," + member + b',"', 1)


@st.composite
def _with_value(draw: st.DrawFn, line: bytes) -> bytes:
    """Put another value in the place of one member's."""
    starts = [at for at in range(len(line)) if line.startswith(b'":', at)]
    if not starts:
        return line
    start = draw(st.sampled_from(starts)) + 2
    ends = [end for end in (line.find(b',"', start), line.rfind(b"}")) if end >= start]
    return line[:start] + draw(st.sampled_from(_VALUES)).encode() + line[min(ends, default=len(line)) :]


@st.composite
def _with_bytes(draw: st.DrawFn, line: bytes) -> bytes:
    """Overwrite, delete or insert some bytes."""
    at = draw(st.integers(0, len(line)))
    end = draw(st.integers(at, min(len(line), at + 3)))
    tokens = [
        b"",
        b"{",
        b"}",
        b"[",
        b"]",
        b'"',
        b":",
        b",",
        b"\\",
        b" ",
        b"\x00",
        b"\t",
        b"null",
        b"\xff",
        b"\xc3",
        b"\xed\xa0\x80",
    ]
    return line[:at] + draw(st.one_of(st.sampled_from(tokens), st.binary(max_size=3))) + line[end:]


@st.composite
def _whole(draw: st.DrawFn, line: bytes) -> bytes:
    """Cut it, double it, wrap it, or put something else in its place."""
    cut = draw(st.integers(0, len(line)))
    return draw(
        st.sampled_from(
            [
                *(line[:cut], line[cut:], line + line, line + b" " + line, line + b"null", line + b"}", b"null" + line),
                *(b"[" + line + b"]", b'{"event":' + line + b"}", b"\xef\xbb\xbf" + line, line + b"\x00", line.upper()),
                *(
                    b"null",
                    b"{}",
                    b"[]",
                    b"5",
                    b'"x"',
                    b"{",
                    b"}",
                    b"\xff",
                    b"[" * 2000,
                    b"{" + b" " * 9000 + b"}",
                    b"\x0b",
                ),
                *(
                    line.replace(b"{", b"{" + b" " * 8000, 1),
                    line.replace(b'"', b"'"),
                    line.decode("utf-8", "replace").encode("utf-16"),
                ),
            ]
        )
    )


@st.composite
def spoiled(draw: st.DrawFn, lines: st.SearchStrategy[bytes]) -> bytes:
    """Draw a line after one to three accidents; it holds no newline, and may still be valid."""
    line = draw(lines)
    for accident in draw(
        st.lists(st.sampled_from([_with_member, _with_value, _with_bytes, _whole]), min_size=1, max_size=3)
    ):
        line = draw(accident(line))
    return line.replace(b"\n", b" ")


_FRAGMENTS: Final = (
    *(
        b"{",
        b"}",
        b"[",
        b"]",
        b'"',
        b":",
        b",",
        b"\\",
        b" ",
        b"\x00",
        b"\t",
        b"\x0b",
        b"0",
        b"-",
        b"e9",
        b".5",
        b"null",
        b"true",
    ),
    *(
        b'"x":1',
        b',"seq":2',
        b'"source":"s"',
        b'\\"',
        b"\\u0041",
        b"\\ud83d",
        b"\xff",
        b"\xc3",
        b"\xc2\xa0",
        b"}{",
        b'":"',
        b"{}",
    ),
)


def scrambled(lines: list[bytes], *, count: int, seed: int) -> list[bytes]:
    """Make ``count`` lines out of these by random edits of bytes; one in four is left whole. None holds a newline.

    Every other edit strikes beside one of JSON's own characters, where it does most harm.
    """
    random = Random(seed)
    made = []
    for _ in range(count):
        line = random.choice(lines)
        for _ in range(random.choice((0, 1, 1, 2))):
            at = random.choice((random.randrange(len(line) + 1), _beside_structure(line, random)))
            end = min(len(line), at + random.choice((0, 0, 1, 1, 4, 40)))
            other = random.choice(lines)
            start = random.randrange(len(other) + 1)
            pieces = (b"", random.choice(_FRAGMENTS), random.randbytes(1), line[at:end] * 2, other[start : start + 30])
            line = line[:at] + random.choice(pieces) + line[end:]
        made.append(line.replace(b"\n", b" "))
    return made


def _beside_structure(line: bytes, random: Random) -> int:
    places = [at for at, byte in enumerate(line) if byte in b'{}[]":,\\']
    return random.choice(places) + random.choice((0, 1)) if places else 0


_FEW_NAMES: Final = (
    *(
        "team",
        "feature",
        "team",
        "feature",
        "input_tokens",
        "attempt",
        "seq",
        "source",
        "quality_score",
        "tags",
        "tags",
    ),
    *("zz", "zz", "te\\u0061m", "tags#", "tags\\u0023", ":", "reasoning_tokens", "output_tokens", "kind", "started_at"),
)
_FEW_VALUES: Final = (
    *(
        '"x"',
        '"x"',
        '"x"',
        "5",
        "5",
        "5",
        "null",
        "null",
        '""',
        '"5"',
        "true",
        "1.0",
        "-0",
        "0.5",
        "-1",
        '":x"',
        '": "',
        '"x:"',
    ),
    *(
        '"\\"x\\""',
        '"a\\\\"',
        '"\\ud800"',
        '"\\ud83d\\ude00"',
        '"\\u00e9"',
        "[]",
        '["x"]',
        '[":"]',
        "{}",
        '{"a":"b"}',
        '{"a":"b"}',
    ),
    *(
        '{"a":"b","a":"c"}',
        '{"a" : "b"}',
        '{"a":"\\n"}',
        '{"a":1}',
        '{"a":"\t"}',
        '"a\tb"',
        '"\ufffd"',
        '"\u00a0"',
        '"{"',
        '"["',
        '"usage"',
    ),
)
_COLONS: Final = (*":::::::", ": ", " :", "\t:", ":\t", ":  ", ":\u00a0", "\u00a0:")
_COMMAS: Final = (*",,,,,,,,,,", ", ", " ,", ",,", "", ",\r")


def concocted(start: str, *, count: int, seed: int) -> list[bytes]:
    """Make ``count`` objects of the members in ``start`` and up to five of few names and values, many of them wrong.

    So few that wrong ones meet: a number as text beside an unknown name, a value beside a null of the same name.
    """
    random = Random(seed)
    made = []
    for _ in range(count):
        members = [start]
        for _ in range(random.choice((0, 1, 2, 2, 3, 5))):
            name, value = random.choice(_FEW_NAMES), random.choice(_FEW_VALUES)
            members += [random.choice(_COMMAS), f'"{name}"{random.choice(_COLONS)}{value}']
        made.append(f"{{{''.join(members)}}}".encode())
    return made
