"""Does the embedded ClickHouse answer as a server does? Every HTTP client must work against it unchanged."""

import asyncio
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from time import monotonic
from urllib.parse import urlsplit

import clickhouse_connect
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError, StreamFailureError
from clickhouse_connect.driver.external import ExternalData
from tests.stores import ask

from spendgauge.schemas import ClickHouseSettings

pytestmark = pytest.mark.integration


def url_of(clickhouse: ClickHouseSettings) -> str:
    """The address without user and database."""
    parts = urlsplit(clickhouse.clickhouse)
    return f"http://127.0.0.1:{parts.port}"


def database_of(clickhouse: ClickHouseSettings) -> str:
    """The test's own database."""
    return urlsplit(clickhouse.clickhouse).path.strip("/")


@pytest.mark.parametrize("codec", [False, "lz4", "zstd", "gzip"])
def test_a_client_reads_back_what_it_wrote(clickhouse: ClickHouseSettings, codec: bool | str) -> None:
    """clickhouse-connect inserts and reads the same values, whatever packs them on the way."""
    rows = [(n, f"ü{n}", Decimal(n).scaleb(-12), None if n % 2 else n) for n in range(5_000)]
    with clickhouse_connect.get_client(dsn=clickhouse.clickhouse, compress=codec) as client:
        client.command(
            "CREATE TABLE t (a UInt32, b String, c Decimal(38, 12), d Nullable(Int64)) ENGINE = MergeTree ORDER BY a"
        )
        assert client.insert("t", rows, column_names=["a", "b", "c", "d"]).written_rows == 5_000
        assert client.query("SELECT * FROM t ORDER BY a").result_rows == rows


def test_the_async_client_works(clickhouse: ClickHouseSettings) -> None:
    """clickhouse-connect's async client inserts and reads, several at once."""

    async def work() -> list[int]:
        client = await clickhouse_connect.get_async_client(dsn=clickhouse.clickhouse, autogenerate_session_id=False)
        await client.command("CREATE TABLE t (a UInt32) ENGINE = MergeTree ORDER BY a")
        await asyncio.gather(*(client.insert("t", [[n]], column_names=["a"]) for n in range(8)))
        answers = await asyncio.gather(*(client.query("SELECT count() FROM t") for _ in range(8)))
        await client.close()
        return [answer.result_rows[0][0] for answer in answers]

    assert asyncio.run(work()) == [8] * 8


def test_parameters_are_bound_by_the_engine(clickhouse: ClickHouseSettings) -> None:
    """Server-side parameters of any type arrive as they were, quotes and line breaks included."""
    text = "it's\n\ta \\ `test`; DROP TABLE t --"
    with clickhouse_connect.get_client(dsn=clickhouse.clickhouse) as client:
        answer = client.query(
            "SELECT {a:String}, {b:Array(UInt8)}, {c:Nullable(Int8)}", {"a": text, "b": [1], "c": None}
        )
        client.command("CREATE TABLE t (a String) ENGINE = MergeTree ORDER BY a")
        client.command("INSERT INTO {t:Identifier} VALUES ({a:String})", {"t": "t", "a": text})
        assert answer.result_rows == [(text, [1], None)]
        assert client.query("SELECT a FROM t").result_rows == [(text,)]


def test_parameters_may_come_in_a_form(clickhouse: ClickHouseSettings) -> None:
    """A multipart form with the statement and its parameters is read like an address."""
    with clickhouse_connect.get_client(dsn=clickhouse.clickhouse, form_encode_query_params=True) as client:
        assert client.query("SELECT {a:String} AS a", {"a": "x" * 100_000}).result_rows == [("x" * 100_000,)]


def test_external_tables_live_as_long_as_their_request(clickhouse: ClickHouseSettings) -> None:
    """Rows that come with a SELECT can be joined in it, and are gone afterwards."""
    data = ExternalData(file_name="given", data=b"1,a\n2,b\n", fmt="CSV", structure="n UInt8, s String")
    with clickhouse_connect.get_client(dsn=clickhouse.clickhouse) as client:
        for _ in range(2):
            assert client.query("SELECT s FROM given WHERE n = 2", external_data=data).result_rows == [("b",)]
        with pytest.raises(DatabaseError, match="UNKNOWN_TABLE"):
            client.query("SELECT * FROM given")


def test_the_columns_of_an_external_table_are_only_columns(clickhouse: ClickHouseSettings) -> None:
    """Nothing else of the machine can be reached through what should be a list of columns."""
    with clickhouse_connect.get_client(dsn=clickhouse.clickhouse) as client:
        for structure in ("n UInt8) INTO OUTFILE '/tmp/never' --", "n UInt8); SELECT 1 INTO OUTFILE '/tmp/never' --"):
            data = ExternalData(file_name="given", data=b"1\n", fmt="CSV", structure=structure)
            with pytest.raises(DatabaseError, match=r"ACCESS_DENIED|SYNTAX_ERROR"):
                client.query("SELECT 1", external_data=data)
    assert not Path("/tmp/never").exists()


def test_rows_that_the_engine_would_drop_are_refused(clickhouse: ClickHouseSettings) -> None:
    """The engine answers INSERT ... SELECT ... FROM input() and stores nothing: that is an error here."""
    table = f"{database_of(clickhouse)}.t"
    ask(url_of(clickhouse), f"CREATE TABLE {table} (a UInt8) ENGINE = MergeTree ORDER BY a")
    reply = ask(url_of(clickhouse), f"INSERT INTO {table} SELECT a * 2 FROM input('a UInt8') FORMAT CSV\n1\n2\n")
    assert (reply.status, reply.headers["X-ClickHouse-Exception-Code"]) == (501, "48")
    assert ask(url_of(clickhouse), f"INSERT INTO {table} SELECT 1 AS input").summary["written_rows"] == "1"


def test_comments_in_an_insert_mean_nothing(clickhouse: ClickHouseSettings) -> None:
    """A comment before the format does not swallow the rows."""
    table = f"{database_of(clickhouse)}.t"
    ask(url_of(clickhouse), f"CREATE TABLE {table} (a UInt8) ENGINE = MergeTree ORDER BY a")
    sql = f"INSERT INTO {table} -- whose\n/* which */ SETTINGS max_threads = 1 -- how\nFORMAT CSV\n1\n2\n"
    assert ask(url_of(clickhouse), sql).summary["written_rows"] == "2"


def test_settings_hold_for_one_request(clickhouse: ClickHouseSettings) -> None:
    """A setting in the address is in force for its request and not for the next one of the session."""
    with clickhouse_connect.get_client(dsn=clickhouse.clickhouse) as client:
        sql = "SELECT getSetting('max_block_size')"
        before = client.query(sql).result_rows
        assert client.query(sql, settings={"max_block_size": 77}).result_rows == [(77,)]
        assert client.query(sql).result_rows == before != [(77,)]


def test_a_session_keeps_what_it_set_and_made(clickhouse: ClickHouseSettings) -> None:
    """SET and temporary tables stay in their session, survive an error in it, and are not seen from outside."""
    with clickhouse_connect.get_client(dsn=clickhouse.clickhouse, session_id="mine") as client:
        client.command("CREATE TEMPORARY TABLE mine (a UInt8)")
        client.command("SET max_block_size = 78")
        client.command("INSERT INTO mine VALUES (1)")
        with pytest.raises(DatabaseError):
            client.query("SELECT number, throwIf(number = 300000) FROM numbers(400000)")
        assert client.query("SELECT a, getSetting('max_block_size') FROM mine").result_rows == [(1, 78)]
    assert ask(url_of(clickhouse), "SELECT * FROM mine").status == 404
    assert (
        ask(url_of(clickhouse), "SELECT 1", session_id="never", session_check=1).headers["X-ClickHouse-Exception-Code"]
        == "372"
    )


def test_a_session_serves_one_at_a_time(clickhouse: ClickHouseSettings) -> None:
    """A second request in a busy session is refused with SESSION_IS_LOCKED."""
    url = url_of(clickhouse)
    with ThreadPoolExecutor(4) as pool:
        replies = list(pool.map(lambda _: ask(url, "SELECT sleep(0.5)", session_id="busy"), range(4)))
    assert sorted(reply.headers.get("X-ClickHouse-Exception-Code", "") for reply in replies) == [
        "",
        "373",
        "373",
        "373",
    ]


@pytest.mark.parametrize(
    ("sql", "status", "code", "name"),
    [
        ("SELECT * FROM nope", 404, "60", "UNKNOWN_TABLE"),
        ("SELEC 1", 400, "62", "SYNTAX_ERROR"),
        ("SELECT 1; SELECT 2", 400, "62", "SYNTAX_ERROR"),
        ("", 400, "62", "SYNTAX_ERROR"),
        ("SELECT 1 FORMAT Nope", 404, "73", "UNKNOWN_FORMAT"),
        ("SELECT 1 SETTINGS nope = 1", 404, "115", "UNKNOWN_SETTING"),
        ("SELECT throwIf(1)", 500, "395", "FUNCTION_THROW_IF_VALUE_IS_NON_ZERO"),
    ],
)
def test_an_error_has_status_code_and_text(
    clickhouse: ClickHouseSettings, sql: str, status: int, code: str, name: str
) -> None:
    """An error carries ClickHouse's HTTP status, its code in a header, and one line of text with its name."""
    reply = ask(url_of(clickhouse), sql)
    assert (reply.status, reply.headers["X-ClickHouse-Exception-Code"]) == (status, code)
    assert reply.text.startswith(f"Code: {code}. DB::Exception: ")
    assert reply.text.count(f"({name})") == 1


def test_an_insert_that_the_table_refuses_is_an_error(clickhouse: ClickHouseSettings) -> None:
    """An answer without an error means that the rows are stored: what a constraint refuses is never acknowledged."""
    with clickhouse_connect.get_client(dsn=clickhouse.clickhouse) as client:
        client.command("CREATE TABLE t (a Int8, CONSTRAINT large CHECK a > 5) ENGINE = MergeTree ORDER BY a")
        refused: list[Callable[[], object]] = [
            lambda: client.insert("t", [[7], [1]], column_names=["a"]),
            lambda: client.raw_insert("t", insert_block=b"1\n", fmt="TSV"),
            lambda: client.command("INSERT INTO t SETTINGS max_threads = 1 VALUES (1)"),
        ]
        for insert in refused:
            with pytest.raises(DatabaseError) as raised:
                insert()
            assert raised.value.code == 469
        client.command("INSERT INTO t SETTINGS max_threads = 1 VALUES (6)")
        assert client.query("SELECT a FROM t").result_rows == [(6,)]


def test_an_error_leaves_nothing_behind(clickhouse: ClickHouseSettings) -> None:
    """What a failed statement had produced never shows up in another answer (an engine bug this is built around)."""
    for _ in range(3):
        failed = ask(url_of(clickhouse), "SELECT throwIf(number = 300000) FROM numbers(400000)", wait_end_of_query=1)
        assert (failed.status, ask(url_of(clickhouse), "SELECT 7").text) == (500, "7\n")


def test_an_error_in_the_middle_of_a_large_answer_is_said(clickhouse: ClickHouseSettings) -> None:
    """A client that already reads rows learns that they are not all, with the reason."""
    sql = "SELECT number, throwIf(number = 3000000, 'too far') FROM numbers(9000000)"
    with (
        clickhouse_connect.get_client(dsn=clickhouse.clickhouse) as client,
        pytest.raises(StreamFailureError, match="too far"),
        client.query_row_block_stream(sql) as stream,
    ):
        for _block in stream:
            pass


def test_curl_sees_a_broken_answer_as_a_failure(clickhouse: ClickHouseSettings, tmp_path: Path) -> None:
    """An answer that broke in the middle never ends like a whole one: curl exits with an error."""
    sql = "SELECT throwIf(number = 3000000) FROM numbers(9000000)"
    done = subprocess.run(
        ["curl", "-sS", "--data", sql, "--output", tmp_path / "out", url_of(clickhouse)],
        capture_output=True,
        check=False,
    )
    assert done.returncode == 18, done.stderr
    assert (tmp_path / "out").read_bytes().endswith(b"__exception__\r\n")


@pytest.mark.parametrize(
    "format_name", ["TSV", "JSONEachRow", "CSV", "Native", "RowBinary", "Arrow", "Parquet", "JSON"]
)
def test_a_streamed_answer_equals_the_whole_one(clickhouse: ClickHouseSettings, format_name: str) -> None:
    """Pieces one behind the other are, in every format, an answer with all rows."""
    sql = f"SELECT number AS n, toString(number) AS s FROM numbers(300000) FORMAT {format_name}"
    streamed = ask(url_of(clickhouse), sql)
    table = f"{database_of(clickhouse)}.t"
    ask(url_of(clickhouse), f"CREATE TABLE {table} (n UInt64, s String) ENGINE = MergeTree ORDER BY n")
    if format_name != "JSON":
        inserted = ask(url_of(clickhouse), streamed.body, query=f"INSERT INTO {table} FORMAT {format_name}")
        assert inserted.summary["written_rows"] == "300000"
        assert (
            ask(url_of(clickhouse), f"SELECT count(), sum(n), max(s) FROM {table}").text
            == "300000\t44999850000\t99999\n"
        )
    assert streamed.headers["X-ClickHouse-Format"] == format_name
    assert len(streamed.body) > 1_000_000


@pytest.mark.parametrize("encoding", ["lz4", "zstd", "gzip", "br", "deflate"])
def test_answers_are_packed_as_asked(clickhouse: ClickHouseSettings, encoding: str) -> None:
    """``Accept-Encoding`` is honoured, and refused by ``enable_http_compression=0``."""
    from spendgauge.deploy.store.encoding import Unpacker

    sql = "SELECT number FROM numbers(1000)"
    plain = ask(url_of(clickhouse), sql)
    packed = ask(url_of(clickhouse), sql, headers={"Accept-Encoding": encoding})
    unpacker = Unpacker(encoding, limit_bytes=1 << 20)
    assert packed.headers["Content-Encoding"] == encoding
    assert unpacker.feed(packed.body) + unpacker.finish() == plain.body
    off = ask(url_of(clickhouse), sql, headers={"Accept-Encoding": encoding}, enable_http_compression=0)
    assert off.body == plain.body


def test_the_summary_says_what_was_done(clickhouse: ClickHouseSettings) -> None:
    """Rows read, written and given are in ``X-ClickHouse-Summary``; the query id comes back."""
    table = f"{database_of(clickhouse)}.t"
    ask(url_of(clickhouse), f"CREATE TABLE {table} (a UInt8) ENGINE = MergeTree ORDER BY a")
    wrote = ask(url_of(clickhouse), f"INSERT INTO {table} VALUES (1),(2),(3)", query_id="my-own")
    read = ask(url_of(clickhouse), f"SELECT * FROM {table} WHERE a > 1", wait_end_of_query=1)
    assert (wrote.summary["written_rows"], wrote.headers["X-ClickHouse-Query-Id"]) == ("3", "my-own")
    assert (read.summary["read_rows"], read.summary["result_rows"]) == ("3", "2")


def test_get_reads_and_does_not_write(clickhouse: ClickHouseSettings) -> None:
    """The statement may be in the address; a GET that would change something is refused as READONLY."""
    url = url_of(clickhouse)
    assert ask(url, query="SELECT 1").text == "1\n"
    assert ask(url, query="SELECT 1", default_format="JSONEachRow").text == '{"1":1}\n'
    assert ask(url).text == "Ok.\n"
    refused = ask(url, query=f"CREATE TABLE {database_of(clickhouse)}.t (a Int8) ENGINE = Memory")
    assert refused.headers["X-ClickHouse-Exception-Code"] == "164"


def test_a_table_without_a_database_goes_to_default(clickhouse: ClickHouseSettings) -> None:
    """The database ``default`` is a plain one: tables can be made in it."""
    url = url_of(clickhouse)
    assert ask(url, "CREATE TABLE plain (a UInt8) ENGINE = MergeTree ORDER BY a").status == 200
    assert ask(url, "INSERT INTO plain VALUES (1)").status == 200
    assert ask(url, "SELECT database FROM system.tables WHERE name = 'plain'").text == "default\n"
    assert ask(url, "DROP TABLE plain SYNC").status == 200


def test_a_slow_select_keeps_nobody_waiting(clickhouse: ClickHouseSettings) -> None:
    """While every place for reading is taken, /ping answers and an INSERT is done at once."""
    url = url_of(clickhouse)
    table = f"{database_of(clickhouse)}.t"
    ask(url, f"CREATE TABLE {table} (a UInt8) ENGINE = MergeTree ORDER BY a")
    with ThreadPoolExecutor(10) as pool:
        slow = [pool.submit(ask, url, "SELECT sleep(2)") for _ in range(10)]
        started = monotonic()
        assert ask(url, path="/ping").text == "Ok.\n"
        assert ask(url, f"INSERT INTO {table} VALUES (1)").status == 200
        took = monotonic() - started
        assert not any(future.done() for future in slow)
        assert [future.result().status for future in slow] == [200] * 10
    assert took < 1.5


def test_many_clients_at_once_each_get_their_own_answer(clickhouse: ClickHouseSettings) -> None:
    """Answers of requests that run side by side are never mixed up."""
    url = url_of(clickhouse)
    with ThreadPoolExecutor(16) as pool:
        answers = list(
            pool.map(lambda n: ask(url, f"SELECT {n} + sum(number) * 0 FROM numbers(10000)").text, range(300))
        )
    assert answers == [f"{n}\n" for n in range(300)]


def test_a_statement_whose_client_left_is_stopped(clickhouse: ClickHouseSettings) -> None:
    """A SELECT that nobody waits for does not run on."""
    url = url_of(clickhouse)
    sql = "SELECT sum(sleepEachRow(0.1)) FROM numbers(600) SETTINGS max_block_size = 1"
    with pytest.raises(subprocess.TimeoutExpired):
        subprocess.run(["curl", "-sS", "--data", sql, url], timeout=1, check=False)
    deadline = monotonic() + 10
    running = "SELECT count() FROM system.processes WHERE query LIKE 'SELECT sum(sleep%'"
    while ask(url, running).text != "0\n":
        assert monotonic() < deadline, "the statement still runs"


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1 INTO OUTFILE '/tmp/never'",
        "SELECT 1 INTO /* */ OUTFILE '/tmp/never' TRUNCATE FORMAT CSV",
        "INSERT INTO t FROM INFILE '/etc/hostname' FORMAT CSV",
        "INSERT INTO FUNCTION file('/tmp/never', 'CSV', 'a Int8') VALUES (1)",
        "SELECT * FROM file('/etc/hostname', 'LineAsString')",
        "SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString')",
        "CREATE TABLE f (a String) ENGINE = File(LineAsString, '/etc/hostname')",
        "CREATE DICTIONARY d (a UInt64) PRIMARY KEY a SOURCE(EXECUTABLE(COMMAND 'id' FORMAT 'CSV')) LAYOUT(FLAT())",
        "BACKUP DATABASE default TO File('/tmp/never')",
        "SYSTEM SHUTDOWN",
    ],
)
def test_the_port_gives_the_data_and_nothing_else_of_the_machine(clickhouse: ClickHouseSettings, sql: str) -> None:
    """Files, programs, other addresses and the process itself cannot be reached through a statement."""
    reply = ask(url_of(clickhouse), sql, database=database_of(clickhouse))
    assert reply.headers["X-ClickHouse-Exception-Code"] in ("497", "60"), reply.text
    assert not Path("/tmp/never").exists()


@pytest.mark.parametrize(
    "headers", [{"Origin": "http://evil.example"}, {"Host": "evil.example"}, {"Sec-Fetch-Site": "cross-site"}]
)
def test_web_pages_of_other_sites_are_refused(clickhouse: ClickHouseSettings, headers: dict[str, str]) -> None:
    """A page in the user's browser can neither query nor write, not even blindly."""
    reply = ask(url_of(clickhouse), "SELECT 1", headers=headers)
    assert (reply.status, "other sites" in reply.text) == (403, True)


def test_only_the_default_user_is_known(clickhouse: ClickHouseSettings) -> None:
    """Another user, or a password where none is set, fails as a login does on a server."""
    for user, password in (("root", ""), ("default", "x")):
        reply = ask(url_of(clickhouse), "SELECT 1", user=user, password=password)
        assert (reply.status, reply.headers["X-ClickHouse-Exception-Code"]) == (403, "516")
