"""Which modules does the project have? The tree itself answers, so a new file is checked from its first day."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

__all__ = ["ROOMS", "ROOT", "Module", "modules"]

ROOT = Path(__file__).parents[1]

ROOMS = ("schemas", "producers", "streams", "sinks", "insights", "deploy")


@dataclass(frozen=True)
class Module:
    """One Python file of a room."""

    room: str
    path: Path

    @property
    def name(self) -> str:
        """The name it is imported by, such as ``spendgauge.schemas.money``."""
        parts = self.path.relative_to(ROOT / self.room).with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    @cached_property
    def text(self) -> str:
        """Its source."""
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def tree(self) -> ast.Module:
        """Its syntax tree."""
        return ast.parse(self.text, str(self.path))

    def imports(self) -> Iterator[str]:
        """Name all that it imports, at any depth, by the absolute name."""
        package = self.name if self.path.name == "__init__.py" else self.name.rpartition(".")[0]
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                outer = package.rsplit(".", node.level - 1)[0] if node.level else ""
                base = ".".join(part for part in (outer, node.module) if part)
                yield from (f"{base}.{alias.name}" for alias in node.names)

    def functions(self) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
        """Give every function and method, nested ones too."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield node


def modules(*rooms: str) -> list[Module]:
    """List the modules of these rooms (of all, where none is named), sorted by path."""
    found = (Module(room, path) for room in rooms or ROOMS for path in (ROOT / room / "spendgauge").rglob("*.py"))
    return sorted(found, key=lambda module: module.path)
