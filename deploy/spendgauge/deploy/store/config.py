"""How is the engine set up, so that whoever can reach the port gets the data and nothing else of this machine?

chdb runs as ``clickhouse-local`` does: it reads ``./config.xml`` and files in the home unless it is given a file of its
own, and its user may read and write any file and run any program (``file()``, ``url()``, a dictionary's ``executable``
source, ``SYSTEM SHUTDOWN``). The grants here leave those out; ``INTO OUTFILE`` and ``FROM INFILE``, which no grant
covers, are refused by ``store_engine``.
"""

from pathlib import Path
from typing import Final
from xml.sax.saxutils import escape

__all__ = ["ENGINE_ADDRESS", "write_configuration"]

ENGINE_ADDRESS: Final = "./engine?config-file=config.xml"
"""What to connect to, relative to the data directory: a path may hold characters that mean something in an address."""

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
    *("SHOW", "SELECT", "INSERT", "ALTER", "DROP", "UNDROP TABLE", "TRUNCATE", "OPTIMIZE", "CHECK", "KILL QUERY"),
    *("CREATE DATABASE", "CREATE TABLE", "CREATE TEMPORARY TABLE", "CREATE VIEW", "CREATE FUNCTION", "DROP FUNCTION"),
    *("SYSTEM FLUSH", "SYSTEM MERGES", "SYSTEM TTL MERGES", "SYSTEM DROP CACHE", "SYSTEM VIEWS", "INTROSPECTION"),
)


def write_configuration(path: Path) -> None:
    """Write the engine's files and folders below the data directory."""
    for folder in ("tmp", "user_files"):
        (path / folder).mkdir(exist_ok=True)
    (path / "config.xml").write_text(_CONFIG.format(path=escape(str(path))), encoding="utf-8")
    (path / "users.xml").write_text(_USERS.format(grants=", ".join(_GRANTS)), encoding="utf-8")
