"""What does a statement ask for, as far as a server must know before the engine reads it?

The engine parses SQL; this only finds the first word, the ``FORMAT`` clause, and where the data of an ``INSERT``
begins. Words inside strings, quoted names, comments and brackets are not seen. No I/O, no engine.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

__all__ = ["Insert", "Statement", "from_file", "quote_identifier", "quote_text", "read_statement"]

_TOKEN: Final = re.compile(
    rb"""(?P<skip> \s+ | --[^\n]* | \#[ !][^\n]* | /\*.*?\*/ )
       | (?P<text> '(?:[^'\\]|\\.|'')*' )
       | (?P<name> `(?:[^`\\]|\\.)*` | "(?:[^"\\]|\\.)*" )
       | (?P<heredoc> \$(?P<tag>\w*)\$.*?\$(?P=tag)\$ )
       | (?P<word> [A-Za-z_]\w* )
       | (?P<number> \d[\w.]* )
       | (?P<other> . )""",
    re.DOTALL | re.VERBOSE,
)
_ANSWERING: Final = frozenset(
    ("SELECT", "WITH", "FROM", "SHOW", "DESCRIBE", "DESC", "EXISTS", "EXPLAIN", "CHECK", "KILL", "BACKUP", "RESTORE")
)
_READS_A_FILE: Final = re.compile(rb"infile", re.IGNORECASE)
_WRITES_A_FILE: Final = re.compile(rb"outfile", re.IGNORECASE)
_READS_ITS_ROWS: Final = re.compile(rb"\bFROM\s+input\s*\(", re.IGNORECASE)


@dataclass(frozen=True)
class Insert:
    """An ``INSERT`` whose rows follow the statement: what to run, the rows' format, and the rows that came with it."""

    head: str
    format: str
    data: memoryview


@dataclass(frozen=True)
class Statement:
    """What a server must know of a statement."""

    sql: bytes
    verb: str
    """The first word in capitals; ``(`` reads as ``SELECT``; empty for an empty statement."""
    format: str | None
    """The output format that the statement itself names."""
    insert: Insert | None

    @property
    def may_read_a_file(self) -> bool:
        """Whether it may be ``INSERT ... FROM INFILE``: behind a port, that reads the server's own files."""
        head = self.insert.head.encode() if self.insert else self.sql
        return self.verb == "INSERT" and bool(_READS_A_FILE.search(head))

    @property
    def may_write_a_file(self) -> bool:
        """Whether it may end in ``INTO OUTFILE``: behind a port, that writes the server's own files."""
        return self.insert is None and bool(_WRITES_A_FILE.search(self.sql))

    @property
    def reads_its_rows(self) -> bool:
        """Whether it is ``INSERT ... SELECT ... FROM input(...)``, which the engine answers and stores nothing of."""
        return self.verb == "INSERT" and self.insert is None and bool(_READS_ITS_ROWS.search(self.sql))

    @property
    def answers(self) -> bool:
        """Whether it has a result, if perhaps an empty one."""
        return self.verb in _ANSWERING


def read_statement(sql: bytes) -> Statement:
    """Read a statement and, for an ``INSERT`` that brings rows, the rows behind it (which may be any bytes)."""
    verb = _verb(sql)
    if verb == "INSERT":
        return Statement(sql, verb, None, _split_insert(sql))
    return Statement(sql, verb, _output_format(sql), None)


def from_file(head: str, path: str, format_name: str) -> str:
    """Write the INSERT that ``head`` begins with its rows in a file."""
    raw = head.encode()
    at = len(raw)
    previous = b""
    for token, start, _ in _tokens(raw):
        if token == b"SETTINGS" and previous not in (b"INTO", b"TABLE", b"."):
            at = start
            break
        previous = token
    file = f"FROM INFILE {quote_text(path)} COMPRESSION 'none'"
    return "\n".join((_text(raw[:at]), file, _text(raw[at:]), f"FORMAT {format_name}"))  # a comment ends with its line


def quote_text(value: str) -> str:
    """Write a string literal."""
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def quote_identifier(name: str) -> str:
    """Write a quoted name."""
    escaped = name.replace("\\", "\\\\").replace("`", "\\`")
    return f"`{escaped}`"


def _tokens(sql: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Give each bare word and punctuation mark outside all brackets as (upper-case bytes, start, end)."""
    depth = 0
    for match in _TOKEN.finditer(sql):
        if match.lastgroup in ("skip", "tag"):
            continue
        token = match[0]
        depth = max(depth - (token in (b")", b"]", b"}")), 0)
        if depth == 0:
            yield token.upper(), match.start(), match.end()
        depth += token in (b"(", b"[", b"{")


def _verb(sql: bytes) -> str:
    token = next((token for token, _, _ in _tokens(sql)), b"")
    return "SELECT" if token == b"(" else token.decode(errors="replace")


def _output_format(sql: bytes) -> str | None:
    """Find the last ``FORMAT name`` outside brackets."""
    found = None
    before = previous = b""
    for token, start, end in _tokens(sql):
        if previous == b"FORMAT" and before not in (b".", b"AS", b",") and token[:1].isalpha():
            found = sql[start:end].decode()
        before, previous = previous, token
    return found


def _split_insert(sql: bytes) -> Insert | None:
    """Cut ``INSERT ... FORMAT name <rows>`` or ``INSERT ... VALUES <rows>``; None where the rows come from a query."""
    previous = b""
    format_at = None
    for token, start, end in _tokens(sql):
        if format_at is not None:
            return Insert(_text(sql[:format_at]), _text(sql[start:end]), memoryview(sql)[_after_format(sql, end) :])
        if previous != b".":
            if token in (b"SELECT", b"WITH"):
                return None
            if token == b"VALUES" and previous not in (b"INTO", b"TABLE"):
                return Insert(_text(sql[:start]), "Values", memoryview(sql)[end:])
            if token == b"FORMAT" and previous not in (b"INTO", b"TABLE"):
                format_at = start
        previous = token
    return None


def _text(sql: bytes) -> str:
    return sql.decode("utf-8", "replace").strip()


def _after_format(sql: bytes, at: int) -> int:
    """Skip the blanks and the one line break between a format's name and the rows (as ClickHouse's parser does)."""
    while sql[at : at + 1] in (b" ", b"\t", b"\f"):
        at += 1
    if sql[at : at + 1] == b"\r":
        at += 1
    if sql[at : at + 1] == b"\n":
        at += 1
    return at
