"""Is ClickHouse's address read right, and does a wrong one give one clear sentence?"""

import pytest

from spendgauge.schemas import ClickHouseSettings, ConfigurationError, UnavailableError
from spendgauge.sinks.clickhouse import Address, connect, parse_address, reason_of


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://h", Address("http", "h", 8123, "default", "spendgauge")),
        ("https://h/db", Address("https", "h", 8443, "default", "db")),
        ("http://me:p%40ss@h:1/a-b", Address("http", "h", 1, "me", "a-b", "p@ss")),
        ("http://me@[::1]:2/x/", Address("http", "::1", 2, "me", "x")),
    ],
)
def test_an_address_is_read(url: str, address: Address) -> None:
    """Scheme, host, port, user, password and database stand where URLs have them; what is missing has a default."""
    assert parse_address(url) == address


@pytest.mark.parametrize(
    "url",
    [
        "",
        "h:8123",
        "tcp://h",
        "http://",
        "http://h:x",
        "http://h:99999",
        "http://h/a b",
        "http://h/db?x=1",
        "http://h/`",
    ],
)
def test_no_address_says_what_one_looks_like(url: str) -> None:
    """What is not an address is refused with the form that is."""
    with pytest.raises(ConfigurationError, match=r"write http\(s\)://user:password@host:port/database"):
        parse_address(url)


@pytest.mark.parametrize("url", ["http://me:secret@127.0.0.1:1/db", "http://me:secret@h:x/db"])
def test_a_password_is_never_shown(url: str) -> None:
    """No error and no representation shows the password."""
    with pytest.raises((ConfigurationError, UnavailableError)) as raised:
        connect(ClickHouseSettings(clickhouse=url))
    assert "secret" not in str(raised.value)
    assert "secret" not in repr(Address("http", "h", 1, "me", "db", "secret"))


def test_nothing_there_is_one_sentence() -> None:
    """An address where nothing listens is named in the error, with what to do."""
    sentence = (
        r"no ClickHouse answers at http://127\.0\.0\.1:1 \(Connection refused\); "
        r"start one with `spendgauge up`, or name yours with --clickhouse or SPENDGAUGE_CLICKHOUSE"
    )
    with pytest.raises(UnavailableError, match=f"^{sentence}$"):
        connect(ClickHouseSettings(clickhouse="http://127.0.0.1:1/db"))


def test_a_reason_is_the_servers_own_words() -> None:
    """Of a server's error the sentence is kept, on one line, without the client's decoration."""
    error = RuntimeError("HTTP driver: Code: 60. DB::Exception: Table\nx does not   exist. (UNKNOWN_TABLE)")
    assert reason_of(error) == "Table x does not exist. (UNKNOWN_TABLE)"
    wrapped = RuntimeError("outside")
    wrapped.__cause__ = OSError(111, "Connection refused")
    assert reason_of(wrapped) == "Connection refused"
