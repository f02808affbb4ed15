"""How does the store run statements on ClickHouse's engine in this process (chdb)?

Tried with chdb 26.9: handles run side by side, so a slow SELECT delays neither another SELECT nor an INSERT; the rows
of an ``INSERT`` go through a file, for the engine's own ``send_insert`` reports success where the table then refuses
them; the database ``default`` looks for unknown tables in the file system and is therefore replaced by a plain one.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, Final

from spendgauge.deploy.store.config import ENGINE_ADDRESS, write_configuration
from spendgauge.deploy.store.handles import Handles, Lease, apply_settings, execute
from spendgauge.deploy.store.protocol import StoreError, StoreQuery, store_error
from spendgauge.deploy.store.sql import Statement, from_file, quote_identifier, quote_text, read_statement
from spendgauge.schemas import Clock, ConfigurationError, SystemClock

__all__ = ["Answer", "Engine"]

_STREAMS: Final = frozenset(
    (
        *("native", "rowbinary", "csv", "tsv", "tabseparated", "tsvraw", "tabseparatedraw"),
        *("jsoneachrow", "jsonlines", "ndjson", "jsoncompacteachrow"),
    )
)
"""Formats whose pieces, one behind the other, are the whole: the engine encodes each piece by itself."""

_MARK: Final = "log_comment"
"""The setting that carries a request's query id into ``system.processes``; the engine offers no other way."""

_ROWS_FILE: Final = "rows-"


@dataclass
class Answer:
    """What a statement gives: the pieces of its result, and what is known of the work."""

    chunks: Iterator[bytes]
    format: str | None
    """None: the statement has no result."""
    summary: Mapping[str, str] = field(default_factory=dict)


class Engine:
    """One data directory, open in this process. Safe to use from several threads at once."""

    def __init__(self, path: Path, clock: Clock | None = None) -> None:
        """Open or create the directory, which becomes the working directory of the process (see ENGINE_ADDRESS)."""
        write_configuration(path)
        os.chdir(path)
        for left in Path("tmp").glob(f"{_ROWS_FILE}*"):
            left.unlink()  # of a store that was killed
        _chdb().set_signal_handlers_enabled(0)
        self._root = _connect()
        self._handles = Handles(_connect, clock or SystemClock())
        self._replace_default_database()
        self.version = self._ask("SELECT version()")
        self.timezone = self._ask("SELECT timezone()")

    def run(self, query: StoreQuery) -> Answer:
        """Run one request on a handle of its own.

        The answer's pieces may still be in the making: read them to the end or close them. Raises ``StoreError``.
        """
        statement = read_statement(query.sql)
        lease = self._handles.lease(query)
        try:
            _prepare(lease, query)
            _refuse(lease.handle, statement, read_only=query.read_only)
            answer = _answer(lease.handle, statement, query)
        except BaseException:
            lease.end(True)
            raise
        answer.chunks = _ending(answer.chunks, lease)
        return answer

    def cancel(self, query_id: str) -> None:
        """Ask the engine to stop a running statement."""
        with suppress(StoreError):
            self._ask(f"KILL QUERY WHERE Settings['{_MARK}'] = {quote_text(query_id)} ASYNC")

    def close(self) -> None:
        """Close the engine; what was acknowledged is on disk already."""
        self._handles.close()
        self._root.close()

    def _replace_default_database(self) -> None:
        """Make ``default`` a plain database, with the tables that it had.

        The folder of its tables appears with the first of them; until then the engine cannot attach what it wrote.
        """
        execute(self._root, "DETACH DATABASE default")
        if Path("engine/metadata/default").exists():
            execute(self._root, "ATTACH DATABASE default")
            return
        Path("engine/metadata/default.sql").unlink(missing_ok=True)
        execute(self._root, "CREATE DATABASE default ENGINE = Atomic")

    def _ask(self, sql: str) -> str:
        handle = _connect()
        try:
            return bytes(execute(handle, sql).bytes()).decode().strip()
        finally:
            handle.close()


def _connect() -> Any:
    return _chdb().connect(ENGINE_ADDRESS)


def _chdb() -> Any:
    # At the first use, and where no config.xml lies: loading it starts an engine in memory, which would read that.
    try:
        return import_module("chdb._chdb")
    except ModuleNotFoundError:
        raise ConfigurationError(
            "the embedded ClickHouse is not installed; install spendgauge[local], or name your own with --clickhouse"
        ) from None


def _prepare(lease: Lease, query: StoreQuery) -> None:
    """Give a handle the request's database, settings, parameters and tables."""
    if query.database:
        execute(lease.handle, f"USE {quote_identifier(query.database)}")
    parameters = {f"param_{name}": value for name, value in query.parameters.items()}
    apply_settings(lease, {_MARK: query.query_id, **query.settings, **parameters})
    for table in query.tables:
        name = quote_identifier(table.name)
        create = read_statement(f"CREATE TEMPORARY TABLE {name} ({table.structure})".encode())
        _refuse(lease.handle, create)
        execute(lease.handle, create.sql)
        lease.undo.append(f"DROP TEMPORARY TABLE {name}")
        _feed(lease.handle, f"INSERT INTO {name}", table.format, memoryview(table.data))


def _refuse(handle: Any, statement: Statement, *, read_only: bool = False) -> None:
    """Refuse what a server refuses: several statements at once, its own files, and changes by GET.

    The engine's own parser decides: it classes all that ends in ``INTO OUTFILE`` as CONTROL (or does not parse it).
    """
    insert = statement.insert
    seen = handle.classify_query(f"{insert.head}\nFORMAT {insert.format}" if insert else statement.sql)
    kind = seen["query_class"].name
    if not statement.verb:
        raise StoreError(62, "the request has no statement")
    if seen["statement_count"] > 1:
        raise StoreError(62, "the request has several statements; send them one at a time")
    if statement.may_read_a_file or (kind == "CONTROL" and statement.may_write_a_file):
        raise StoreError(497, "INTO OUTFILE and FROM INFILE are a client's work: read the answer, or send the rows")
    if statement.reads_its_rows:
        raise StoreError(48, "INSERT ... SELECT ... FROM input() is not supported; send the rows as an external table")
    if read_only and kind not in ("READ_ONLY", "UNKNOWN"):
        raise StoreError(164, f"a GET request only reads; send this {statement.verb} with POST")


def _answer(handle: Any, statement: Statement, query: StoreQuery) -> Answer:
    insert = statement.insert
    if insert is not None:
        return Answer(iter(()), None, _summary(_feed(handle, insert.head, insert.format, insert.data)))
    format_name = statement.format or query.format
    if statement.verb in ("SELECT", "WITH") and not query.whole and format_name.lower() in _STREAMS:
        return Answer(_stream(handle, query, format_name), format_name)
    result = execute(handle, query.sql, format_name, query.parameters)
    return Answer(iter((result.bytes(),)), format_name if statement.answers else None, _summary(result))


def _feed(handle: Any, head: str, format_name: str, rows: memoryview) -> Any:
    """Run one INSERT over rows in an input format: one atomic block where they are at most a million.

    The answer is the truth only because they go through a file: ``insert_done`` of chdb 26.9 raises nothing where a
    constraint is violated, or writing fails after the rows were parsed.
    """
    with NamedTemporaryFile(dir="tmp", prefix=_ROWS_FILE) as file:
        file.write(rows)
        file.flush()
        return execute(handle, from_file(head, file.name, format_name))


def _stream(handle: Any, query: StoreQuery, format_name: str) -> Iterator[bytes]:
    """Give the result in pieces as the engine makes them."""
    result = None
    done = False
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
        if result is not None and not done:
            handle.streaming_cancel_query(result)


def _ending(chunks: Iterator[bytes], lease: Lease) -> Iterator[bytes]:
    failed = True
    try:
        yield from chunks
        failed = False
    finally:
        lease.end(failed)


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
