"""How does the store talk to ClickHouse's engine in this process (chdb)?

Facts this is built on, each tried with chdb 26.9:

- A query that fails after it produced output leaves that output in its handle, and the next query on the handle
  returns it. So each request gets a fresh handle (0.4 ms), and a session's handle is rinsed after an error.
- Handles run side by side: a slow SELECT delays neither another SELECT nor an INSERT.
- The engine reads ``./config.xml`` and files in the home unless it is given a configuration file.
- Its user may read and write any file (``file()``, ``INTO OUTFILE``, a dictionary's ``executable`` source), which
  must not be open to whoever can reach the port: the grants leave those out.
- Its database ``default`` looks for unknown tables in the file system; it is replaced by a plain one.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from chdb import _chdb

from spendgauge.deploy.store_protocol import StoreError, StoreQuery, store_error
from spendgauge.deploy.store_sql import Insert, Statement, quote_identifier, quote_text, read_statement

__all__ = ["Answer", "Engine"]

_STREAMS: Final = frozenset(
    (
        *("native", "rowbinary", "csv", "tsv", "tabseparated", "tsvraw", "tabseparatedraw"),
        *("jsoneachrow", "jsonlines", "ndjson", "jsoncompacteachrow"),
    )
)
"""Formats whose pieces, one behind the other, are the whole: the engine encodes each piece by itself."""

_CONTROL: Final = frozenset(("USE", "SET", "ATTACH", "DETACH", "SYSTEM", "KILL", "BEGIN", "COMMIT", "ROLLBACK"))
_MARK: Final = "log_comment"
"""The setting that carries a request's query id into ``system.processes``; the engine offers no other way."""
_PIECE: Final = 1 << 20

_CONFIG: Final = """<clickhouse>
  <users_config>{path}/users.xml</users_config>
  <tmp_path>{path}/tmp/</tmp_path>
  <user_files_path>{path}/user_files/</user_files_path>
</clickhouse>
"""
_USERS: Final = """<clickhouse>
  <profiles><default><implicit_select>0</implicit_select></default></profiles>
  <quotas><default/></quotas>
  <users><default>
    <password/>
    <networks><ip>::/0</ip></networks>
    <profile>default</profile>
    <quota>default</quota>
    <grants><query>GRANT {grants} ON *.*</query></grants>
  </default></users>
</clickhouse>
"""
_GRANTS: Final = (
    "SHOW, SELECT, INSERT, ALTER, CREATE DATABASE, CREATE TABLE, CREATE VIEW, CREATE FUNCTION, DROP, UNDROP TABLE, "
    "TRUNCATE, OPTIMIZE, CHECK, KILL QUERY, dictGet, INTROSPECTION, SYSTEM FLUSH, SYSTEM MERGES, SYSTEM TTL MERGES, "
    "SYSTEM DROP CACHE, SYSTEM VIEWS, SYSTEM RELOAD DICTIONARY"
)


@dataclass
class Answer:
    """What a statement gives: the pieces of its result, and what is known of the work."""

    chunks: Iterator[bytes]
    format: str | None
    """None: the statement has no result."""
    summary: Mapping[str, str] = field(default_factory=dict)


class Engine:
    """One data directory, open in this process. Safe to use from several threads at once."""

    def __init__(self, path: Path) -> None:
        """Open or create the directory. The engine needs it as the working directory of the process."""
        os.chdir(path)
        for folder in ("tmp", "user_files"):
            Path(folder).mkdir(exist_ok=True)
        Path("config.xml").write_text(_CONFIG.format(path=_xml(path)), encoding="utf-8")
        Path("users.xml").write_text(_USERS.format(grants=_GRANTS), encoding="utf-8")
        _chdb.set_signal_handlers_enabled(0)
        self._root = self._connect()
        self._replace_default_database()
        self.version = self._ask("SELECT version()")
        self.timezone = self._ask("SELECT timezone()")

    def run(self, query: StoreQuery) -> Answer:
        """Run one request on a handle of its own.

        The answer's pieces may still be running: read them to the end or close them. Raises ``StoreError``.
        """
        handle = self._connect()
        try:
            answer = _run_on(handle, query)
        except BaseException:
            handle.close()
            raise
        return Answer(_closing(answer.chunks, handle), answer.format, answer.summary)

    def cancel(self, query_id: str) -> None:
        """Ask the engine to stop a running statement."""
        with suppress(StoreError):
            self._ask(f"KILL QUERY WHERE Settings['{_MARK}'] = {quote_text(query_id)} ASYNC")

    def close(self) -> None:
        """Close the engine; what was acknowledged is on disk already."""
        self._root.close()

    def _connect(self) -> Any:
        return _chdb.connect("./engine?config-file=config.xml")

    def _replace_default_database(self) -> None:
        known = Path("engine/metadata/default.sql").exists()
        _execute(self._root, "DETACH DATABASE default")
        _execute(self._root, "ATTACH DATABASE default" if known else "CREATE DATABASE default ENGINE = Atomic")

    def _ask(self, sql: str) -> str:
        handle = self._connect()
        try:
            return bytes(_execute(handle, sql).bytes()).decode().strip()
        finally:
            handle.close()


def _run_on(handle: Any, query: StoreQuery) -> Answer:
    statement = read_statement(query.sql)
    _prepare(handle, query)
    _refuse(handle, statement)
    if statement.insert is not None:
        return _insert(handle, statement.insert)
    format_name = statement.format or query.format
    if statement.verb in ("SELECT", "WITH") and not query.whole and format_name.lower() in _STREAMS:
        return Answer(_stream(handle, query, format_name), format_name)
    result = _execute(handle, query.sql, format_name, query.parameters)
    return Answer(iter((result.bytes(),)), format_name if statement.answers else None, _summary(result))


def _prepare(handle: Any, query: StoreQuery) -> None:
    """Give a fresh handle the request's database, settings and parameters."""
    if query.database:
        _execute(handle, f"USE {quote_identifier(query.database)}")
    settings = {_MARK: query.query_id, **query.settings}
    settings |= {f"param_{name}": value for name, value in query.parameters.items()}
    if query.read_only:
        settings["readonly"] = "2"
    for name in settings:
        if not name.replace(".", "_").isidentifier():
            raise StoreError(115, f"{name!r} is not the name of a setting")
    _execute(handle, "SET " + ", ".join(f"{name} = {quote_text(value)}" for name, value in settings.items()))


def _refuse(handle: Any, statement: Statement) -> None:
    """Refuse what a server does not do: several statements at once, and files beside the engine."""
    head = statement.insert.head + " FORMAT " + statement.insert.format if statement.insert else statement.sql
    seen = handle.classify_query(head)
    if not statement.verb:
        raise StoreError(62, "the request has no statement")
    if seen["statement_count"] > 1:
        raise StoreError(62, "the request has several statements; send them one at a time")
    writes_a_file = seen["query_class"].name == "CONTROL" and statement.verb not in _CONTROL
    if statement.names_a_file or writes_a_file:
        raise StoreError(497, "INTO OUTFILE and FROM INFILE are a client's work: read the answer, or send the rows")


def _insert(handle: Any, insert: Insert) -> Answer:
    """Feed rows to the engine as one INSERT; nothing is written before the last piece where the rows fit one block."""
    try:
        inserter = handle.send_insert(insert.head, insert.format)
        for at in range(0, len(insert.data), _PIECE):
            handle.insert_append(inserter, insert.data[at : at + _PIECE])
        result = handle.insert_done(inserter)
    except RuntimeError as error:
        raise store_error(str(error)) from None
    return Answer(iter(()), None, _summary(result))


def _stream(handle: Any, query: StoreQuery, format_name: str) -> Iterator[bytes]:
    """Give the result in pieces as the engine makes them."""
    done = False
    result = None
    try:
        result = handle.send_query(query.sql, format_name, params=dict(query.parameters))
        while not done:
            piece = handle.streaming_fetch_result(result)
            done = piece.rows_read() == 0
            if data := piece.bytes():
                yield data
    except RuntimeError as error:
        done = True
        raise store_error(str(error)) from None
    finally:
        if not done and result is not None:
            handle.streaming_cancel_query(result)


def _closing(chunks: Iterator[bytes], handle: Any) -> Iterator[bytes]:
    try:
        yield from chunks
    finally:
        handle.close()


def _execute(
    handle: Any, sql: str | bytes, format_name: str = "TabSeparated", parameters: Mapping[str, str] | None = None
) -> Any:
    try:
        return handle.query(sql, format_name, params=dict(parameters or {}))
    except RuntimeError as error:
        raise store_error(str(error)) from None


def _summary(result: Any) -> dict[str, str]:
    written = result.rows_written()
    return {
        "read_rows": str(result.storage_rows_read()),
        "read_bytes": str(result.storage_bytes_read()),
        "written_rows": str(written),
        "written_bytes": str(result.bytes_written()),
        "result_rows": str(written or result.rows_read()),
        "result_bytes": str(result.size()),
        "elapsed_ns": str(int(result.elapsed() * 1e9)),
    }


def _xml(path: Path) -> str:
    from xml.sax.saxutils import escape

    return escape(str(path))
