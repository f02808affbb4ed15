"""What does a request mean, and how is an error said?"""

import pytest

from spendgauge.deploy.store.protocol import (
    StoreError,
    error_text,
    is_foreign_page,
    read_credentials,
    read_query,
    status_of,
    store_error,
)

LOCAL = ("127.0.0.1", "localhost", "::1")


def test_parameters_are_sorted_by_whom_they_speak_to() -> None:
    """Known names speak to the server, ``param_`` names to the statement, all others are settings."""
    query = read_query(
        {"query": "SELECT {x:Int8}", "database": "d", "param_x": "1", "max_threads": "2", "wait_end_of_query": "1"},
        {},
        body=b"",
        query_id="q",
    )
    assert (query.sql, query.database, query.query_id) == (b"SELECT {x:Int8}", "d", "q")
    assert (query.parameters, query.settings, query.whole) == ({"x": "1"}, {"max_threads": "2"}, True)


def test_the_statement_is_the_parameter_then_the_body() -> None:
    """INSERT in the address and rows in the body make one statement."""
    assert read_query({"query": "INSERT INTO t FORMAT CSV"}, {}, body=b"1").sql == b"INSERT INTO t FORMAT CSV\n1"
    assert read_query({}, {}, body=b"SELECT 1").sql == b"SELECT 1"


def test_a_get_only_reads() -> None:
    """GET and HEAD may not change anything, POST may."""
    assert [read_query({}, {}, body=b"", method=m).read_only for m in ("GET", "HEAD", "POST")] == [True, True, False]


def test_the_header_wins_for_the_format() -> None:
    """``X-ClickHouse-Format`` wins over ``default_format``, which wins over TabSeparated."""
    both = read_query({"default_format": "CSV"}, {"X-ClickHouse-Format": "JSON"}, body=b"")
    assert [both.format, read_query({"default_format": "CSV"}, {}, body=b"").format] == ["JSON", "CSV"]
    assert read_query({}, {}, body=b"").format == "TabSeparated"


@pytest.mark.parametrize("name", ["compress", "decompress"])
def test_native_framing_is_refused_rather_than_ignored(name: str) -> None:
    """A client that wants ClickHouse's own framing is told, instead of reading what it cannot decode."""
    with pytest.raises(StoreError, match="not supported") as caught:
        read_query({name: "1"}, {}, body=b"SELECT 1")
    assert status_of(caught.value.code) == 501


def test_an_external_table_needs_columns() -> None:
    """Columns come from a structure, or from types alone (then they are named _1, _2)."""
    table = read_query({"t_types": "Int8,String"}, {}, body=b"", files={"t": b"1"}).tables[0]
    assert (table.structure, table.format) == ("_1 Int8, _2 String", "TabSeparated")
    with pytest.raises(StoreError, match="has no columns"):
        read_query({}, {}, body=b"", files={"t": b"1"})


@pytest.mark.parametrize("text", ["", "0", "-1", "abc", "3601"])
def test_a_session_lives_between_a_second_and_an_hour(text: str) -> None:
    """Any other timeout is refused with its value."""
    with pytest.raises(StoreError, match="session_timeout is"):
        read_query({"session_timeout": text}, {}, body=b"")


@pytest.mark.parametrize(
    ("params", "headers", "known"),
    [
        ({}, {}, ("default", "")),
        ({"user": "u", "password": "p"}, {}, ("u", "p")),
        ({}, {"Authorization": "Basic dTpwOnE="}, ("u", "p:q")),
        ({"user": "x"}, {"X-ClickHouse-User": "u", "X-ClickHouse-Key": "p"}, ("u", "p")),
        ({}, {"X-ClickHouse-Key": "p"}, ("default", "p")),
    ],
)
def test_who_asks_is_read_from_any_of_three_places(
    params: dict[str, str], headers: dict[str, str], known: tuple[str, str]
) -> None:
    """ClickHouse's headers, HTTP Basic or the parameters say who asks; nobody is ``default``."""
    credentials = read_credentials(params, headers)
    assert (credentials.user, credentials.password) == known


def test_broken_credentials_are_an_error() -> None:
    """An Authorization header that is not base64 is refused as a failed login."""
    with pytest.raises(StoreError) as caught:
        read_credentials({}, {"Authorization": "Basic %%%"})
    assert status_of(caught.value.code) == 403


@pytest.mark.parametrize(
    ("headers", "foreign"),
    [
        ({"Host": "127.0.0.1:8123"}, False),
        ({"Host": "localhost:8123"}, False),
        ({"Host": "[::1]:8123"}, False),
        ({}, False),
        ({"Host": "evil.example:8123"}, True),
        ({"Host": "127.0.0.1.evil.example"}, True),
        ({"Host": "127.0.0.1:8123", "Origin": "http://evil.example"}, True),
        ({"Host": "127.0.0.1:8123", "Origin": "null"}, True),
        ({"Host": "127.0.0.1:8123", "Origin": "http://127.0.0.1:9000"}, True),
        ({"Host": "127.0.0.1:8123", "Origin": "http://127.0.0.1:8123"}, False),
        ({"Host": "127.0.0.1:8123", "Sec-Fetch-Site": "cross-site"}, True),
        ({"Host": "127.0.0.1:8123", "Sec-Fetch-Site": "same-site"}, True),
        ({"Host": "127.0.0.1:8123", "Sec-Fetch-Site": "none"}, False),
    ],
)
def test_a_page_of_another_site_is_recognised(headers: dict[str, str], foreign: bool) -> None:
    """A foreign origin, a rebound name, or a browser's own word that the page is not ours."""
    assert is_foreign_page(headers, LOCAL) is foreign


def test_an_engine_error_loses_its_wrappers() -> None:
    """The engine repeats code, name and version at each level; one of each is left."""
    error = store_error(
        "Code: 73. DB::Exception: Code: 73. DB::Exception: Unknown format Nope. (UNKNOWN_FORMAT) "
        "(version 26.9.2.1). (UNKNOWN_FORMAT)"
    )
    assert error.code == 73
    assert error_text(error, "26.9") == (
        "Code: 73. DB::Exception: Unknown format Nope. (UNKNOWN_FORMAT) (version 26.9)\n"
    )


def test_an_own_error_looks_like_an_engine_error() -> None:
    """Clients find code and name in the body, whoever raised it."""
    text = error_text(StoreError(497, "no"), "26.9")
    assert text == "Code: 497. DB::Exception: no. (ACCESS_DENIED) (version 26.9)\n"


@pytest.mark.parametrize(("code", "status"), [(60, 404), (62, 400), (516, 403), (159, 408), (48, 501), (395, 500)])
def test_an_error_code_has_the_status_of_clickhouse(code: int, status: int) -> None:
    """As ``exceptionCodeToHTTPStatus`` has it."""
    assert status_of(code) == status
