"""How is ClickHouse asked, and what does it say when it cannot answer? One sentence, with its code and the remedy."""

import re
from typing import Any, BinaryIO, Final

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import Error
from urllib3.exceptions import HTTPError

from spendgauge.insights.queries import Query
from spendgauge.schemas import SpendgaugeError
from spendgauge.sinks.clickhouse import reason_of

__all__ = ["QueryError", "ask_rows", "ask_stream", "ask_values"]

_BLOCK_BYTES: Final = 64 * 1024
_BOILERPLATE: Final = re.compile(r"\.?( \([A-Z_]+\))?( \(version [^)]*\))?( \(for url [^)]*\))?$")
_NO_TABLES: Final = frozenset((60, 81))


class QueryError(SpendgaugeError):
    """The database refused a query or did not finish it; ``code`` is ClickHouse's own, where it gave one."""

    def __init__(self, message: str, code: int | None) -> None:
        super().__init__(message)
        self.code = code


def ask_rows(client: Client, query: Query) -> list[dict[str, Any]]:
    """Ask and give the rows by column name. Raises ``QueryError``."""
    names, rows = _ask(client, query)
    return [dict(zip(names, row, strict=True)) for row in rows]


def ask_values(client: Client, query: Query) -> list[tuple[Any, ...]]:
    """Ask and give the rows as tuples. Raises ``QueryError``."""
    return _ask(client, query)[1]


def ask_stream(client: Client, sql: str, output: BinaryIO, *, default_format: str) -> None:
    """Write the answer as it comes, in the format that the text names, else in this one.

    The server finishes before it answers, so that a query that fails half-way is an error and not a short answer.
    Raises ``QueryError``.
    """
    headers = {"X-ClickHouse-Format": default_format}
    settings = {"wait_end_of_query": 1, "output_format_pretty_row_numbers": 0}
    try:
        with client.raw_stream(sql, settings=settings, transport_settings=headers) as answer:
            while block := answer.read(_BLOCK_BYTES):
                output.write(block)
    except (Error, HTTPError) as error:
        raise _sentence(error) from None
    output.flush()


def _ask(client: Client, query: Query) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
    try:
        result = client.query(query.sql, parameters=query.parameters)
    except Error as error:
        raise _sentence(error) from None
    return tuple(result.column_names), [tuple(row) for row in result.result_rows]


def _sentence(error: Error | HTTPError) -> QueryError:
    if isinstance(error, HTTPError) or error.code is None:
        return QueryError(f"ClickHouse did not answer: {reason_of(error)}", None)
    reason = _BOILERPLATE.sub("", reason_of(error))
    advice = "; create the tables with `spendgauge migrate`" if error.code in _NO_TABLES else ""
    return QueryError(f"ClickHouse refuses (code {error.code}): {reason}{advice}", error.code)
