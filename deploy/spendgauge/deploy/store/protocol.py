"""What does a request of ClickHouse's HTTP interface mean, and how is an error said?

Pure: values in, values out. Source: ClickHouse's documentation of the HTTP interface, and the statuses of its
``HTTPHandler`` (``exceptionCodeToHTTPStatus``).
"""

import base64
import binascii
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

__all__ = [
    "Credentials",
    "ExternalTable",
    "StoreError",
    "StoreQuery",
    "error_text",
    "is_foreign_page",
    "read_credentials",
    "read_query",
    "status_of",
    "store_error",
]

_RESERVED: Final = frozenset(
    (
        *("query", "query_id", "database", "default_format", "user", "password", "quota_key", "role", "stacktrace"),
        *("session_id", "session_timeout", "session_check", "close_session", "client_protocol_version"),
        *("compress", "decompress", "enable_http_compression", "wait_end_of_query", "buffer_size"),
        *("send_progress_in_http_headers", "http_headers_progress_interval_ms"),
        "cancel_http_readonly_queries_on_client_close",
    )
)
"""Parameters that speak to the server, not to the engine."""

_STATUS_OF_CODE: Final = {
    **dict.fromkeys((6, 8, 15, 25, 26, 27, 36, 37, 38, 41, 44, 53, 62, 72, 117, 123, 167, 168, 223), 400),
    **dict.fromkeys((321, 376, 427, 441, 675, 676), 400),
    194: 401,
    **dict.fromkeys((192, 193, 516), 403),
    **dict.fromkeys((46, 47, 50, 56, 60, 63, 73, 78, 81, 115, 152, 336), 404),
    159: 408,
    381: 411,
    **dict.fromkeys((229, 307), 413),
    48: 501,
    **dict.fromkeys((76, 202, 209, 439), 503),
}
_NAME_OF_CODE: Final = {
    48: "NOT_IMPLEMENTED",
    62: "SYNTAX_ERROR",
    115: "UNKNOWN_SETTING",
    164: "READONLY",
    202: "TOO_MANY_SIMULTANEOUS_QUERIES",
    216: "QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING",
    271: "CANNOT_DECOMPRESS",
    307: "TOO_MANY_BYTES",
    372: "SESSION_NOT_FOUND",
    373: "SESSION_IS_LOCKED",
    374: "INVALID_SESSION_TIMEOUT",
    408: "BAD_REQUEST_PARAMETER",
    497: "ACCESS_DENIED",
    516: "AUTHENTICATION_FAILED",
}
_CODE: Final = re.compile(r"Code: (\d+)\. (?:DB::)+\w*Exception: ")
_VERSION: Final = re.compile(r" \(version [\d.]+[^)]*\)")
_REPEATED_NAME: Final = re.compile(r"( \([A-Z_0-9]+\))(?:\.?\1)+$")


class StoreError(Exception):
    """A request that cannot be answered; carries ClickHouse's error code and the text that says why."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


@dataclass(frozen=True)
class StoreQuery:
    """One request: what to run, where, and with which settings."""

    sql: bytes
    query_id: str
    database: str
    format: str
    """The output format where the statement names none."""
    settings: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)
    tables: tuple["ExternalTable", ...] = ()
    session: str = ""
    session_seconds: int = 60
    session_must_exist: bool = False
    session_ends: bool = False
    whole: bool = False
    """The answer is wanted only when it is complete."""
    read_only: bool = False


@dataclass(frozen=True)
class ExternalTable:
    """A table that comes with a request and lives as long."""

    name: str
    structure: str
    """Its columns, as in ``CREATE TABLE``."""
    format: str
    data: bytes


@dataclass(frozen=True)
class Credentials:
    """Who asks."""

    user: str
    password: str


def read_query(
    params: Mapping[str, str],
    headers: Mapping[str, str],
    *,
    body: bytes,
    files: Mapping[str, bytes] | None = None,
    method: str = "POST",
    query_id: str = "",
) -> StoreQuery:
    """Read a request. The statement is the parameter ``query``, then the body; ``files`` are external tables.

    Raises ``StoreError`` for what this server cannot do rather than do something else.
    """
    for name in ("compress", "decompress"):
        if _flag(params, name):
            raise StoreError(48, f"{name}=1 (ClickHouse's own framing) is not supported; use HTTP's encodings")
    asked = params.get("query", "").encode()
    own = {f"{name}{suffix}" for name in files or () for suffix in ("_format", "_structure", "_types")}
    return StoreQuery(
        sql=asked + b"\n" + body if asked and body else asked or body,
        query_id=params.get("query_id") or query_id,
        database=params.get("database") or headers.get("X-ClickHouse-Database") or "",
        format=headers.get("X-ClickHouse-Format") or params.get("default_format") or "TabSeparated",
        settings={k: v for k, v in params.items() if k not in _RESERVED | own and not k.startswith("param_")},
        parameters={k.removeprefix("param_"): v for k, v in params.items() if k.startswith("param_")},
        tables=tuple(_external_table(params, name, data) for name, data in (files or {}).items()),
        session=params.get("session_id", ""),
        session_seconds=_seconds(params.get("session_timeout", "60")),
        session_must_exist=_flag(params, "session_check"),
        session_ends=_flag(params, "close_session"),
        whole=_flag(params, "wait_end_of_query"),
        read_only=method in ("GET", "HEAD"),
    )


def read_credentials(params: Mapping[str, str], headers: Mapping[str, str]) -> Credentials:
    """Read who asks: from ClickHouse's own headers, else HTTP Basic, else the parameters, else ``default``."""
    if "X-ClickHouse-User" in headers or "X-ClickHouse-Key" in headers:
        return Credentials(headers.get("X-ClickHouse-User") or "default", headers.get("X-ClickHouse-Key", ""))
    kind, _, token = headers.get("Authorization", "").partition(" ")
    if kind.lower() == "basic":
        try:
            user, _, password = base64.b64decode(token, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            raise StoreError(516, "the Authorization header is not base64 of user:password") from None
        return Credentials(user or "default", password)
    return Credentials(params.get("user") or "default", params.get("password", ""))


def is_foreign_page(headers: Mapping[str, str], hosts: Collection[str]) -> bool:
    """Whether a browser sends this for a web page that is not ours (or for a name that was rebound to this machine)."""
    host = headers.get("Host", "")
    if host and hosts and _host_name(f"//{host}") not in hosts:
        return True
    if headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
        return True
    origin = headers.get("Origin")
    return origin is not None and urlsplit(origin).netloc != host


def store_error(message: str) -> StoreError:
    """Read the engine's message: its code, and its text, in which each level repeats code, name and version."""
    codes = _CODE.findall(message)
    if not codes:
        return StoreError(1000, message.strip())
    text = _VERSION.sub("", _CODE.sub("", message[message.index("Code: ") :])).strip()
    once = _REPEATED_NAME.sub(r"\1", text)
    return StoreError(int(codes[0]), f"Code: {codes[0]}. DB::Exception: {once}")


def error_text(error: StoreError, version: str) -> str:
    """Write an error as ClickHouse does: ``Code: 60. DB::Exception: ... (UNKNOWN_TABLE) (version 26.9.2.1)``."""
    text = error.text
    if not text.startswith("Code: "):
        name = _NAME_OF_CODE.get(error.code)
        text = f"Code: {error.code}. DB::Exception: {text}." + (f" ({name})" if name else "")
    return f"{text} (version {version})\n"


def status_of(code: int) -> int:
    """Give the HTTP status that ClickHouse sends with an error code."""
    return _STATUS_OF_CODE.get(code, 500)


def _flag(params: Mapping[str, str], name: str) -> bool:
    return params.get(name, "0") not in ("", "0", "false")


def _external_table(params: Mapping[str, str], name: str, data: bytes) -> ExternalTable:
    types = params.get(f"{name}_types", "").split(",")
    structure = params.get(f"{name}_structure") or ", ".join(f"_{n} {t}" for n, t in enumerate(types, 1) if t)
    if not structure:
        raise StoreError(408, f"the external table {name!r} has no columns; give {name}_structure or {name}_types")
    return ExternalTable(name, structure, params.get(f"{name}_format") or "TabSeparated", data)


def _host_name(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _seconds(text: str) -> int:
    if not text.isdigit() or not 0 < int(text) <= 3600:
        raise StoreError(374, f"session_timeout is {text!r}; give whole seconds from 1 to 3600")
    return int(text)
