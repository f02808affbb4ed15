"""How is ClickHouse reached? One client over HTTP, for the embedded engine and for real servers alike."""

import logging
import re
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import SplitResult, unquote, urlsplit

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import Error

from spendgauge.schemas import ClickHouseSettings, ConfigurationError, UnavailableError

__all__ = ["Address", "connect", "parse_address", "reason_of"]

_DEFAULT_PORTS: Final = {"http": 8123, "https": 8443}
_DEFAULT_DATABASE: Final = "spendgauge"
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_UNKNOWN_DATABASE: Final = 81
_REFUSED_LOGINS: Final = frozenset((192, 193, 194, 516))
_NOISY_LOGGERS: Final = ("clickhouse_connect", "urllib3.connectionpool")


@dataclass(frozen=True)
class Address:
    """Where a database is, and who asks."""

    scheme: str
    host: str
    port: int
    user: str
    database: str
    password: str = field(default="", repr=False)

    def __str__(self) -> str:
        """Write the address without the password."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


def parse_address(url: str) -> Address:
    """Read ``http(s)://user:password@host:port/database``; port, user and database have defaults.

    Raises ``ConfigurationError`` where it is not such an address.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ConfigurationError(_malformed(url)) from None
    database = unquote(parts.path.strip("/")) or _DEFAULT_DATABASE
    if not _is_address(parts) or not _NAME.fullmatch(database):
        raise ConfigurationError(_malformed(url))
    return Address(
        scheme=parts.scheme,
        host=parts.hostname or "",
        port=port or _DEFAULT_PORTS[parts.scheme],
        user=unquote(parts.username or "default"),
        database=database,
        password=unquote(parts.password or ""),
    )


def connect(
    settings: ClickHouseSettings, *, use_database: bool = True, timeout_seconds: float = 300, **options: Any
) -> Client:
    """Open a client and hear the server answer.

    ``use_database`` False connects where the database may not exist yet. ``options`` go to
    ``clickhouse_connect.get_client``. No session: statements of one client may run side by side.

    Raises ``UnavailableError`` where nothing answers or the database does not exist, ``ConfigurationError`` where the
    address cannot be read or the login is refused.
    """
    address = parse_address(settings.clickhouse)
    _quiet()
    try:
        return clickhouse_connect.get_client(
            **{
                "interface": address.scheme,
                "host": address.host,
                "port": address.port,
                "username": address.user,
                "password": address.password,
                "database": address.database if use_database else None,
                "autogenerate_session_id": False,
                "connect_timeout": 5,
                "send_receive_timeout": timeout_seconds,
                "client_name": "spendgauge",
                **options,
            }
        )
    except Error as error:
        raise _failure(address, error) from None


def reason_of(error: BaseException) -> str:
    """Give the server's own words, or the system's where the server was not reached, on one line."""
    server = re.search(r"DB::Exception: (.*)", str(error), re.DOTALL)
    if server:
        return " ".join(server[1].split())[:300]
    while isinstance(inner := getattr(error, "reason", None) or error.__cause__, BaseException):
        error = inner
    return " ".join((getattr(error, "strerror", None) or str(error)).split())[:300]


def _failure(address: Address, error: Error) -> UnavailableError | ConfigurationError:
    if error.code == _UNKNOWN_DATABASE:
        return UnavailableError(
            f"database {address.database} does not exist at {address}; create it with `spendgauge migrate`"
        )
    if error.code in _REFUSED_LOGINS:
        return ConfigurationError(
            f"ClickHouse at {address} refuses user {address.user}; "
            "check user and password in --clickhouse or SPENDGAUGE_CLICKHOUSE"
        )
    return UnavailableError(
        f"no ClickHouse answers at {address} ({reason_of(error)}); "
        "start one with `spendgauge up`, or name yours with --clickhouse or SPENDGAUGE_CLICKHOUSE"
    )


def _is_address(parts: SplitResult) -> bool:
    return parts.scheme in _DEFAULT_PORTS and bool(parts.hostname) and not parts.query and not parts.fragment


def _malformed(url: str) -> str:
    shown = re.sub(r"(//[^:/@]*:)[^@]*@", r"\1***@", url)
    return f"{shown!r} is not a ClickHouse address; write http(s)://user:password@host:port/database"


def _quiet() -> None:
    """Silence the client's own warnings: the error that is raised says it once, where it is handled."""
    for name in _NOISY_LOGGERS:
        logging.getLogger(name).setLevel(logging.ERROR)
