"""How do the tables come to be? From numbered SQL files, each applied once.

The files under ``migrations/`` are plain SQL with two placeholders. Every statement says ``IF NOT EXISTS``, so a
migration that died half-way, or that two processes run at once, ends the same. What was applied stands in
``schema_migrations`` with the file's digest: a file that changed after it was applied is an error, never a surprise.
"""

import re
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from typing import Final

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import Error

from spendgauge.schemas import ClickHouseSettings, ConfigurationError, UnavailableError
from spendgauge.sinks.clickhouse import Address, connect, parse_address, reason_of

__all__ = ["Migration", "load_migrations", "migrate", "pending", "pending_migrations", "render"]

_PLACEHOLDER: Final = re.compile(r"\$\{(on_cluster|replacing:)(\w*)\}")
_LEDGER: Final = """
CREATE TABLE IF NOT EXISTS schema_migrations ${on_cluster}
(
    name String,
    digest String COMMENT 'SHA-256 of the file',
    applied_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC')
)
ENGINE = ${replacing:applied_at}
ORDER BY name
COMMENT 'which migrations were applied'
"""


@dataclass(frozen=True)
class Migration:
    """One file of statements."""

    name: str
    text: str

    @property
    def digest(self) -> str:
        """The SHA-256 of the text, in hex."""
        return sha256(self.text.encode()).hexdigest()

    @property
    def statements(self) -> tuple[str, ...]:
        """The statements, placeholders and all; each ends with a semicolon at the end of a line."""
        return tuple(part.strip() for part in re.split(r";[ \t]*(?:\n|$)", self.text) if part.strip())


def load_migrations() -> tuple[Migration, ...]:
    """Read the files that come with this version, in order of their numbers."""
    folder = files("spendgauge.sinks").joinpath("migrations")
    found = (Migration(entry.name, entry.read_text(encoding="utf-8")) for entry in folder.iterdir())
    return tuple(sorted((m for m in found if m.name.endswith(".sql")), key=lambda m: m.name))


def render(statement: str, *, cluster: str = "") -> str:
    """Fill the placeholders: plain tables on one server, or replicated tables on a cluster."""

    def fill(match: re.Match[str]) -> str:
        kind, column = match.groups()
        if kind == "on_cluster":
            return f"ON CLUSTER `{cluster}`" if cluster else ""
        if not cluster:
            return f"ReplacingMergeTree({column})"
        place = "'/clickhouse/tables/{shard}/{database}/{table}', '{replica}'"
        return f"ReplicatedReplacingMergeTree({place}{', ' if column else ''}{column})"

    return _PLACEHOLDER.sub(fill, statement)


def pending(migrations: tuple[Migration, ...], applied: dict[str, str]) -> tuple[Migration, ...]:
    """List the migrations still to apply, given name and digest of those that were.

    Raises ``ConfigurationError`` where an applied file has changed since, or is not known here.
    """
    known = {migration.name: migration.digest for migration in migrations}
    for name, digest in sorted(applied.items()):
        if name not in known:
            raise ConfigurationError(
                f"the database has migration {name}, which this version does not know; upgrade spendgauge"
            )
        if known[name] != digest:
            raise ConfigurationError(
                f"migration {name} was applied with digest {digest[:12]} and its file now has {known[name][:12]}; "
                "restore the file, and put the change into a new one"
            )
    return tuple(migration for migration in migrations if migration.name not in applied)


def pending_migrations(settings: ClickHouseSettings) -> tuple[str, ...]:
    """Name the migrations that the database lacks. Raises as ``connect`` and ``pending`` do."""
    client = connect(settings)
    try:
        exists = client.command("EXISTS TABLE schema_migrations")
        applied = _applied(client) if exists else {}
    finally:
        client.close()
    return tuple(migration.name for migration in pending(load_migrations(), applied))


def migrate(settings: ClickHouseSettings) -> tuple[str, ...]:
    """Bring the database up to this version; name the migrations that were applied, none where it was up to date.

    Creates the database where it is missing. Safe to run again, and from several processes at once.

    Raises ``UnavailableError`` where ClickHouse does not answer or refuses a statement, ``ConfigurationError`` as
    ``pending`` does.
    """
    address, cluster = parse_address(settings.clickhouse), settings.clickhouse_cluster
    _run(
        connect(settings, use_database=False),
        address,
        [f"CREATE DATABASE IF NOT EXISTS `{address.database}` {render('${on_cluster}', cluster=cluster)}"],
    )
    client = connect(settings)
    _run(client, address, [render(_LEDGER, cluster=cluster)])
    todo = pending(load_migrations(), _applied(client))
    for migration in todo:
        _run(client, address, [render(statement, cluster=cluster) for statement in migration.statements])
        client.insert("schema_migrations", [[migration.name, migration.digest]], column_names=["name", "digest"])
    return tuple(migration.name for migration in todo)


def _applied(client: Client) -> dict[str, str]:
    rows = client.query("SELECT name, digest FROM schema_migrations FINAL").result_rows
    return {str(name): str(digest) for name, digest in rows}


def _run(client: Client, address: Address, statements: list[str]) -> None:
    for statement in statements:
        try:
            client.command(statement)
        except Error as error:
            raise UnavailableError(
                f"ClickHouse at {address} refuses {' '.join(statement.split())[:60]!r}: {reason_of(error)}"
            ) from None
