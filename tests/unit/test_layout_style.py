"""Is the house style kept where a machine can see it? Small modules, short functions, documented, exact money."""

import ast
import re
from collections.abc import Iterator

import pytest
from tests.rooms import ROOT, Module, modules

MAX_MODULE_LINES = 400
MAX_FUNCTION_LINES = 60
MAX_PARAMETERS = 7

MONEY = re.compile(r"\.(money|prices(\.\w+)*|rates|contributions|aggregat\w*)$")
"""Modules that count money, where a float is a bug."""


@pytest.fixture(scope="module")
def house() -> list[Module]:
    """Every module of every room, each parsed once for all laws."""
    return modules()


def test_a_module_asks_its_question(house: list[Module]) -> None:
    """A module's docstring is the question it answers."""
    assert [m.name for m in house if "?" not in (ast.get_docstring(m.tree) or "").split("\n\n")[0]] == []


def test_a_module_says_what_it_exports(house: list[Module]) -> None:
    """``__all__`` names every public function and class, and nothing private (ruff's RUF022 keeps it sorted)."""
    assert [m.name for m in house if m.path.name != "__main__.py" and not _exports_what_is_public(m)] == []


def test_a_module_stays_readable(house: list[Module]) -> None:
    """A module has at most 400 lines, a function at most 60 and at most seven parameters."""
    assert [m.name for m in house if len(m.text.splitlines()) > MAX_MODULE_LINES] == []
    functions = [(m.name, f) for m in house for f in m.functions()]
    assert [(name, f.name) for name, f in functions if (f.end_lineno or 0) - f.lineno + 1 > MAX_FUNCTION_LINES] == []
    assert [(name, f.name) for name, f in functions if len(_parameters(f)) > MAX_PARAMETERS] == []


def test_public_things_are_documented(house: list[Module]) -> None:
    """Every public function, method and class has a docstring."""
    assert [(m.name, name) for m in house for name, node in _public(m.tree) if ast.get_docstring(node) is None] == []


def test_an_ignored_check_names_its_code_and_reason(house: list[Module]) -> None:
    """``noqa`` and ``type: ignore`` say which check is off, and why."""
    comments = [(m.name, text) for m in house for text in re.findall(r"#\s*(?:noqa|type:\s*ignore).*", m.text)]
    reasoned = re.compile(r"#\s*(noqa:\s*[A-Z]+\d+(,\s*[A-Z]+\d+)*|type:\s*ignore\[[\w-]+(,\s*[\w-]+)*\])\W+\w.+")
    assert [(name, text) for name, text in comments if not reasoned.fullmatch(text)] == []


def test_money_is_never_a_float(house: list[Module]) -> None:
    """Where money is counted there is no float: no literal, no conversion, no column type."""
    counting = [m for m in house if MONEY.search(m.name)]
    assert len(counting) > 5
    assert [(m.name, ast.unparse(node)) for m in counting for node in ast.walk(m.tree) if _is_float(node)] == []


def test_no_table_keeps_money_as_a_float() -> None:
    """No migration declares a cost column with a floating type."""
    pattern = re.compile(r"\b\w*(cost|usd|picodollars)\w*`?\s+(Nullable\(|LowCardinality\()?(Float|BFloat)", re.I)
    scripts = list(ROOT.glob("*/spendgauge/**/*.sql"))
    assert [path.name for path in scripts if pattern.search(path.read_text(encoding="utf-8"))] == []


def _exports_what_is_public(module: Module) -> bool:
    things = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    names = {node.name for node in module.tree.body if isinstance(node, things)}
    exported = _exported(module)
    if exported is None or any(name.startswith("_") for name in exported):
        return False
    return {name for name in names if not name.startswith("_")} <= set(exported)


def _exported(module: Module) -> list[str] | None:
    for node in module.tree.body:
        if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == ["__all__"]:
            return list(ast.literal_eval(node.value))
    return None if any(isinstance(n, ast.FunctionDef | ast.ClassDef | ast.Import) for n in module.tree.body) else []


def _parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    arguments = function.args
    names = [a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
    return [name for name in names if name not in {"self", "cls"}]


def _public(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            yield node.name, node
            for inner in node.body if isinstance(node, ast.ClassDef) else []:
                if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef) and not inner.name.startswith("_"):
                    yield f"{node.name}.{inner.name}", inner


def _is_float(node: ast.AST) -> bool:
    return (
        (isinstance(node, ast.Constant) and isinstance(node.value, float))
        or (isinstance(node, ast.Name) and node.id in {"float", "Float32", "Float64"})
        or (isinstance(node, ast.Attribute) and node.attr in {"Float32", "Float64"})
    )
