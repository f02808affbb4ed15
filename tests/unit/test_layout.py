"""Does the layout hold? Imports point one way, and each known trap of one package over six roots stays shut."""

import ast
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hatchling.builders.wheel import WheelBuilder
from tests.rooms import ROOMS, ROOT, Module, modules

MAY_IMPORT = {
    "schemas": set(),
    "producers": {"schemas"},
    "streams": {"schemas"},
    "sinks": {"schemas"},
    "insights": {"schemas", "sinks"},
    "deploy": {"schemas", "producers", "streams", "sinks", "insights"},
}
"""The rooms that a room may import, beside itself."""

CLOCKS = ("time.time", "time.time_ns", "datetime.now", "datetime.utcnow", "datetime.today", "date.today")


def _settings() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def _may_import(room: str, name: str) -> bool:
    top, _, rest = name.partition(".")
    return top != "spendgauge" or rest.partition(".")[0] in {room, *MAY_IMPORT[room]}


def _dotted(node: ast.AST) -> str:
    return ast.unparse(node) if isinstance(node, ast.Attribute) else ""


@pytest.fixture(scope="module")
def house() -> list[Module]:
    """Every module of every room, each parsed once for all laws."""
    return modules()


def test_imports_point_one_way(house: list[Module]) -> None:
    """A room imports itself, and only the rooms it stands on."""
    assert [(m.name, name) for m in house for name in m.imports() if not _may_import(m.room, name)] == []


def test_nothing_imports_the_tests_or_benchmarks(house: list[Module]) -> None:
    """What is shipped needs nothing that is not."""
    wrong = [(m.name, name) for m in house for name in m.imports() if name.split(".")[0] in {"tests", "benchmarks"}]
    assert wrong == []


@pytest.mark.parametrize("room", ROOMS)
def test_no_init_hides_the_other_roots(room: str) -> None:
    """Trap one: ``spendgauge`` is spread over six roots, so none of them may claim it with an ``__init__.py``."""
    assert not (ROOT / room / "spendgauge" / "__init__.py").exists()
    assert (ROOT / room / "spendgauge" / room / "__init__.py").exists()
    assert (ROOT / room / "spendgauge" / room / "py.typed").exists()


@pytest.mark.parametrize("room", ROOMS)
def test_no_loose_module_in_a_root(room: str) -> None:
    """Trap two: Python beside ``spendgauge/`` can be imported in development and is missing from the wheel."""
    loose = [
        path.name for path in (ROOT / room).rglob("*.py") if (ROOT / room / "spendgauge" / room) not in path.parents
    ]
    assert loose == []


def test_the_wheel_holds_the_tree(tmp_path: Path) -> None:
    """Trap two again: the wheel has every file of every room, SQL, TOML, JSON and ``py.typed`` too, and no other."""
    wheel = Path(next(WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])))
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    in_tree = {
        path.relative_to(ROOT / room).as_posix()
        for room in ROOMS
        for path in (ROOT / room / "spendgauge").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert packed == in_tree


@pytest.mark.parametrize("room", ROOMS)
def test_ruff_refuses_the_second_copy(room: str) -> None:
    """Trap three: from the checkout ``schemas.spendgauge.schemas`` imports too, as a second copy of every class."""
    snippet = f"from {room}.spendgauge.{room} import thing\n\nprint(thing)\n"
    command = [
        sys.executable,
        "-m",
        "ruff",
        "check",
        "--output-format=concise",
        "--stdin-filename=tests/snippet.py",
        "-",
    ]
    found = subprocess.run(command, cwd=ROOT, input=snippet, capture_output=True, text=True, check=False)
    assert found.returncode == 1
    assert f"TID251 `{room}.spendgauge` is banned" in found.stdout


def test_every_tool_knows_every_room() -> None:
    """Trap four: a room that one tool's list of roots forgets is unshipped, unchecked or unimportable in silence."""
    tool = _settings()["tool"]
    assert tuple(tool["hatch"]["build"]["dev-mode-dirs"]) == ROOMS
    assert tool["hatch"]["build"]["targets"]["wheel"]["packages"] == [f"{room}/spendgauge" for room in ROOMS]
    assert tuple(tool["ruff"]["src"]) == ROOMS
    assert tuple(tool["mypy"]["mypy_path"]) == ROOMS
    assert set(tool["mypy"]["files"]) == {*ROOMS, "tests", "benchmarks"}
    assert set(tool["ruff"]["lint"]["flake8-tidy-imports"]["banned-api"]) == {f"{room}.spendgauge" for room in ROOMS}
    assert {path.parent.name for path in ROOT.glob("*/spendgauge")} == set(ROOMS)


def test_only_the_clock_asks_for_the_time(house: list[Module]) -> None:
    """Time is an argument: ``schemas.clock`` alone reads the wall clock, so tests and replays decide what now is."""
    asked = [(m.name, name) for m in house for node in ast.walk(m.tree) if (name := _dotted(node)).endswith(CLOCKS)]
    asked += [(m.name, name) for m in house for name in m.imports() if name in {"time.time", "time.time_ns"}]
    assert {name for name, _ in asked} == {"spendgauge.schemas.clock"}, asked
