"""Are migrations a history: numbered, applied once, never rewritten, the same on one server and on a cluster?"""

import re

import pytest

from spendgauge.schemas import ConfigurationError
from spendgauge.sinks.migrate import Migration, load_migrations, pending, render

FIRST, SECOND = Migration("0001_a.sql", "SELECT 1"), Migration("0002_b.sql", "SELECT 2")


def test_files_are_numbered_without_holes() -> None:
    """The files that ship are 0001, 0002, ... so that two branches cannot both add the next one unseen."""
    names = [migration.name for migration in load_migrations()]
    assert [name[:5] for name in names] == [f"{number:04d}_" for number in range(1, len(names) + 1)]


def test_every_statement_may_run_again() -> None:
    """Each statement says IF NOT EXISTS and where it runs on a cluster: a half-applied file can be applied again."""
    for migration in load_migrations():
        for statement in migration.statements:
            bare = re.sub(r"--[^\n]*\n", "", statement).strip()
            assert re.match(r"CREATE (TABLE|VIEW) IF NOT EXISTS \w+ \$\{on_cluster\}", bare), bare[:80]


def test_statements_end_at_line_ends() -> None:
    """A semicolon ends a statement at the end of a line only; comments and texts may hold others."""
    text = "-- one; two\nCREATE x COMMENT 'a;b';\n\nCREATE y;  \nCREATE z"
    assert Migration("m", text).statements == ("-- one; two\nCREATE x COMMENT 'a;b'", "CREATE y", "CREATE z")


def test_one_server_gets_plain_tables() -> None:
    """Without a cluster the placeholders become plain engines and nothing."""
    text = "CREATE t ${on_cluster} ENGINE = ${replacing:version}; ENGINE = ${replacing:}"
    assert render(text) == "CREATE t  ENGINE = ReplacingMergeTree(version); ENGINE = ReplacingMergeTree()"


def test_a_cluster_gets_replicated_tables() -> None:
    """With a cluster they become ON CLUSTER and replicated engines, whose own macros stay for the server."""
    text = "CREATE t ${on_cluster} ENGINE = ${replacing:version}; ENGINE = ${replacing:}"
    path = "'/clickhouse/tables/{shard}/{database}/{table}', '{replica}'"
    assert render(text, cluster="east") == (
        f"CREATE t ON CLUSTER `east` ENGINE = ReplicatedReplacingMergeTree({path}, version); "
        f"ENGINE = ReplicatedReplacingMergeTree({path})"
    )


def test_no_placeholder_is_left() -> None:
    """Every placeholder in the files that ship is one that is filled."""
    for migration in load_migrations():
        assert "${" not in render(migration.text)


def test_only_new_migrations_are_pending() -> None:
    """What was applied is not applied again; the rest keeps its order."""
    assert pending((FIRST, SECOND), {}) == (FIRST, SECOND)
    assert pending((FIRST, SECOND), {FIRST.name: FIRST.digest}) == (SECOND,)


def test_history_is_not_rewritten() -> None:
    """A file that changed after it was applied is an error that names it, both digests and the remedy."""
    with pytest.raises(
        ConfigurationError, match=r"0001_a\.sql was applied with digest 0{12} .*put the change into a new"
    ):
        pending((FIRST,), {FIRST.name: "0" * 64})


def test_a_newer_database_is_left_alone() -> None:
    """A migration that this version does not know means: a newer version was here."""
    with pytest.raises(ConfigurationError, match=r"0003_c\.sql, which this version does not know; upgrade"):
        pending((FIRST,), {"0003_c.sql": "x"})
