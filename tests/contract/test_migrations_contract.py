"""Do migrations bring a real engine to the same state, however often and from wherever they run?"""

import subprocess
import sys

import pytest

from spendgauge.schemas import ClickHouseSettings, ConfigurationError, UnavailableError
from spendgauge.sinks.clickhouse import connect, parse_address
from spendgauge.sinks.migrate import load_migrations, migrate, pending_migrations, render

pytestmark = pytest.mark.integration

NAMES = tuple(migration.name for migration in load_migrations())
TABLES = {
    *("usage_events", "cost_rates", "source_gaps", "usage_rejected"),
    *("cost_alerts", "cost_refusals", "schema_migrations"),
}
VIEWS = {"usage", "rates", "gaps", "rejected", "alerts", "alerts_now", "incidents", "refusals"}

PROGRAM = """
import sys
from spendgauge.schemas import ClickHouseSettings
from spendgauge.sinks.migrate import migrate
sys.stdin.readline()
migrate(ClickHouseSettings(clickhouse=sys.argv[1]))
"""


def tables(settings: ClickHouseSettings) -> set[str]:
    """Name all tables and views of the database."""
    return {name for (name,) in connect(settings).query("SHOW TABLES").result_rows}


def test_migrations_are_applied_once(clickhouse: ClickHouseSettings) -> None:
    """The first run applies all and names them; the second finds nothing to do."""
    assert pending_migrations(clickhouse) == NAMES
    assert migrate(clickhouse) == NAMES
    assert migrate(clickhouse) == ()
    assert pending_migrations(clickhouse) == ()
    assert tables(clickhouse) == TABLES | VIEWS


def test_a_missing_database_is_created(clickhouse: ClickHouseSettings) -> None:
    """Before migrating, the missing database is one sentence; migrating creates it."""
    other = ClickHouseSettings(clickhouse=f"{clickhouse.clickhouse}-new")
    with pytest.raises(UnavailableError, match=r"database \S+-new does not exist at .*spendgauge migrate"):
        connect(other)
    try:
        assert migrate(other) == NAMES
        assert tables(other) == TABLES | VIEWS
    finally:
        connect(clickhouse).command(f"DROP DATABASE IF EXISTS `{parse_address(other.clickhouse).database}` SYNC")


def test_two_processes_at_once(clickhouse: ClickHouseSettings) -> None:
    """Processes that migrate at the same moment all succeed, and each migration is recorded once."""
    command = [sys.executable, "-c", PROGRAM, clickhouse.clickhouse]
    running = [subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(3)]
    for process in running:
        assert process.stdin is not None
        process.stdin.write(b"\n")
        process.stdin.flush()
    assert [process.communicate(timeout=60)[1] for process in running] == [b"", b"", b""]
    assert [process.returncode for process in running] == [0, 0, 0]
    recorded = connect(clickhouse).query("SELECT name FROM schema_migrations FINAL ORDER BY name").result_rows
    assert [name for (name,) in recorded] == list(NAMES)
    assert tables(clickhouse) == TABLES | VIEWS


def test_a_half_applied_migration_is_finished(clickhouse: ClickHouseSettings) -> None:
    """A process that died between two statements of a file leaves nothing that the next run stumbles over."""
    client = connect(clickhouse)
    client.command(render(load_migrations()[0].statements[0]))
    assert tables(clickhouse) == {"usage_events"}
    assert migrate(clickhouse) == NAMES
    assert tables(clickhouse) == TABLES | VIEWS


def test_a_changed_file_is_an_error(clickhouse: ClickHouseSettings) -> None:
    """A database to which another content of a file was applied is not touched."""
    migrate(clickhouse)
    client = connect(clickhouse)
    client.command(f"INSERT INTO schema_migrations (name, digest) VALUES ('{NAMES[0]}', 'of another file')")
    with pytest.raises(ConfigurationError, match=f"{NAMES[0]} was applied with digest of another"):
        migrate(clickhouse)


def test_the_clusters_statements_parse(clickhouse: ClickHouseSettings) -> None:
    """What a cluster is told is ClickHouse's SQL too: its parser reads every statement."""
    client = connect(clickhouse)
    for migration in load_migrations():
        for statement in migration.statements:
            assert "Create" in str(client.command(f"EXPLAIN AST {render(statement, cluster='east')}"))
