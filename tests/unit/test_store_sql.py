"""What must a server know of a statement before the engine reads it?"""

import pytest

from spendgauge.deploy.store.sql import from_file, quote_identifier, quote_text, read_statement


@pytest.mark.parametrize(
    ("sql", "verb"),
    [
        (b"select 1", "SELECT"),
        (b"  -- a comment\n /* and /one */ \n SELECT 1", "SELECT"),
        (b"(SELECT 1) UNION ALL (SELECT 2)", "SELECT"),
        (b"# a comment\nCREATE TABLE t (a Int8)", "CREATE"),
        (b"", ""),
        (b"-- nothing", ""),
    ],
)
def test_the_verb_is_the_first_word(sql: bytes, verb: str) -> None:
    """Comments and brackets before the first word do not hide it."""
    assert read_statement(sql).verb == verb


@pytest.mark.parametrize(
    ("sql", "named"),
    [
        (b"SELECT 1 FORMAT JSON", "JSON"),
        (b"SELECT 1 format Native;", "Native"),
        (b"SELECT 1 FORMAT JSON SETTINGS max_threads = 1", "JSON"),
        (b"SELECT 1", None),
        (b"SELECT 'FORMAT JSON'", None),
        (b"SELECT 1 AS format FROM t", None),
        (b"SELECT t.format FROM t", None),
        (b"SELECT * FROM (SELECT 1 FORMAT CSV)", None),
        (b"SELECT 1 -- FORMAT CSV", None),
        (b"SELECT $x$ FORMAT CSV $x$", None),
        (b'SELECT "a FORMAT CSV", `b FORMAT CSV`', None),
    ],
)
def test_the_format_is_the_clause_and_nothing_that_looks_like_it(sql: bytes, named: str | None) -> None:
    """Only a FORMAT clause outside strings, names, comments and brackets counts."""
    assert read_statement(sql).format == named


@pytest.mark.parametrize(
    ("sql", "head", "format_name", "data"),
    [
        (b"INSERT INTO t FORMAT CSV\n1,2\n", "INSERT INTO t", "CSV", b"1,2\n"),
        (b"INSERT INTO t (a, b) FORMAT Native \t\r\n\x00\xff\n", "INSERT INTO t (a, b)", "Native", b"\x00\xff\n"),
        (b"INSERT INTO t FORMAT CSV\n\n1", "INSERT INTO t", "CSV", b"\n1"),
        (b"insert into t values (1, 'FORMAT')", "insert into t", "Values", b" (1, 'FORMAT')"),
        (b"INSERT INTO d.t (format, values) VALUES(1,2)", "INSERT INTO d.t (format, values)", "Values", b"(1,2)"),
        (b"INSERT INTO t SETTINGS a=1 FORMAT CSV 1", "INSERT INTO t SETTINGS a=1", "CSV", b"1"),
        (b"INSERT INTO d.format FORMAT CSV\n1", "INSERT INTO d.format", "CSV", b"1"),
        (b"INSERT INTO values VALUES (1)", "INSERT INTO values", "Values", b" (1)"),
        (b"INSERT INTO t FORMAT CSV", "INSERT INTO t", "CSV", b""),
    ],
)
def test_an_insert_is_cut_where_its_rows_begin(sql: bytes, head: str, format_name: str, data: bytes) -> None:
    """The rows begin behind the format's name, its blanks and one line break, or right behind VALUES."""
    insert = read_statement(sql).insert
    assert insert is not None
    assert (insert.head, insert.format, bytes(insert.data)) == (head, format_name, data)


@pytest.mark.parametrize(
    ("head", "into", "rest"),
    [
        ("INSERT INTO t (a)", "INSERT INTO t (a)", ""),
        ("INSERT INTO t SETTINGS a=1", "INSERT INTO t", "SETTINGS a=1"),
        ("INSERT INTO settings (settings)", "INSERT INTO settings (settings)", ""),
        ("INSERT INTO d.settings SETTINGS a='SETTINGS'", "INSERT INTO d.settings", "SETTINGS a='SETTINGS'"),
    ],
)
def test_rows_may_stand_in_a_file(head: str, into: str, rest: str) -> None:
    """The file's name goes before the settings, where ClickHouse's grammar wants it."""
    assert from_file(head, "/a'b", "CSV") == f"{into}\nFROM INFILE '/a\\'b' COMPRESSION 'none'\n{rest}\nFORMAT CSV"


@pytest.mark.parametrize("sql", [b"INSERT INTO t SELECT 1", b"INSERT INTO t WITH 1 AS x SELECT x", b"INSERT INTO t"])
def test_an_insert_of_a_query_brings_no_rows(sql: bytes) -> None:
    """INSERT ... SELECT is left to the engine whole."""
    assert read_statement(sql).insert is None


@pytest.mark.parametrize(
    "sql",
    [
        b"INSERT INTO t FROM INFILE '/etc/hostname' FORMAT CSV",
        b"INSERT INTO t FROM /* */ infile '/etc/hostname'",
        b"INSERT INTO t /* SELECT */ FROM INFILE '/etc/hostname' SELECT 1",
    ],
)
def test_reading_a_file_of_the_server_is_seen(sql: bytes) -> None:
    """FROM INFILE is noticed however it is spelled."""
    assert read_statement(sql).may_read_a_file


def test_rows_may_say_infile() -> None:
    """A row that holds the word is a row."""
    assert not read_statement(b"INSERT INTO t FORMAT CSV\nFROM INFILE\n").may_read_a_file


@pytest.mark.parametrize(("sql", "answers"), [(b"SHOW TABLES", True), (b"DROP TABLE t", False), (b"SET a = 1", False)])
def test_only_some_statements_answer(sql: bytes, answers: bool) -> None:
    """A statement without a result gets no format header."""
    assert read_statement(sql).answers is answers


def test_quotes_are_escaped() -> None:
    """A value cannot end its own quotes."""
    assert quote_text("it's \\ ok") == r"'it\'s \\ ok'"
    assert quote_identifier("a`b\\") == r"`a\`b\\`"


def test_writing_a_file_of_the_server_is_seen() -> None:
    """INTO OUTFILE is noticed however it is spelled; in the rows of an INSERT it is a word like any other."""
    assert read_statement(b"SELECT 1 INTO/**/Outfile 'x'").may_write_a_file
    assert not read_statement(b"INSERT INTO t FORMAT CSV\nINTO OUTFILE\n").may_write_a_file
