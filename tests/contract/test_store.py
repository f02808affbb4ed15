"""What must be true of the embedded ClickHouse for the rest to stand: any HTTP client works as against a server."""

import pytest

from spendgauge.schemas import ClickHouseSettings

pytestmark = pytest.mark.integration


def test_a_client_connects_and_reads_back_what_it_wrote(clickhouse: ClickHouseSettings) -> None:
    """clickhouse-connect inserts columns and reads the same values."""
    import clickhouse_connect

    with clickhouse_connect.get_client(dsn=clickhouse.clickhouse) as client:
        client.command("CREATE TABLE t (a UInt32, b String) ENGINE = MergeTree ORDER BY a")
        assert client.insert("t", [[1, "x"], [2, "y"]], column_names=["a", "b"]).written_rows == 2
        assert client.query("SELECT * FROM t ORDER BY a").result_rows == [(1, "x"), (2, "y")]
