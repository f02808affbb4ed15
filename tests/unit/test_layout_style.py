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

each_module = pytest.mark.parametrize("module", modules(), ids=lambda module: module.name)


@each_module
def test_a_module_asks_its_question(module: Module) -> None:
    """A module's docstring is the question it answers."""
    docstring = ast.get_docstring(module.tree) or ""
    assert "?" in docstring.split("\n\n")[0], f"{module.name} says no question"


@each_module
def test_a_module_says_what_it_exports(module: Module) -> None:
    """``__all__`` names every public function and class, and nothing private (ruff's RUF022 keeps it sorted)."""
    if module.path.name == "__main__.py":
        return
    defined = {
        node.name
        for node in module.tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not node.name.startswith("_")
    }
    exported = _exported(module)
    assert exported is not None, f"{module.name} has no __all__"
    assert defined <= set(exported)
    assert [name for name in exported if name.startswith("_")] == []


@each_module
def test_a_module_stays_readable(module: Module) -> None:
    """A module has at most 400 lines, a function at most 60 and at most seven parameters."""
    assert len(module.text.splitlines()) <= MAX_MODULE_LINES
    long = [f.name for f in module.functions() if (f.end_lineno or 0) - f.lineno + 1 > MAX_FUNCTION_LINES]
    assert long == []
    wide = [f.name for f in module.functions() if len(_parameters(f)) > MAX_PARAMETERS]
    assert wide == []


@each_module
def test_public_things_are_documented(module: Module) -> None:
    """Every public function, method and class has a docstring."""
    assert [name for name, node in _public(module.tree) if ast.get_docstring(node) is None] == []


@each_module
def test_an_ignored_check_names_its_code_and_reason(module: Module) -> None:
    """``noqa`` and ``type: ignore`` say which check is off, and why."""
    comments = re.findall(r"#\s*(?:noqa|type:\s*ignore).*", module.text)
    reasoned = re.compile(r"#\s*(noqa:\s*[A-Z]+\d+(,\s*[A-Z]+\d+)*|type:\s*ignore\[[\w-]+(,\s*[\w-]+)*\])\W+\w.+")
    assert [comment for comment in comments if not reasoned.fullmatch(comment)] == []


@pytest.mark.parametrize("module", [m for m in modules() if MONEY.search(m.name)], ids=lambda m: m.name)
def test_money_is_never_a_float(module: Module) -> None:
    """Where money is counted there is no float: no literal, no conversion, no column type."""
    floats = [ast.unparse(node) for node in ast.walk(module.tree) if _is_float(node)]
    assert floats == []


def test_no_table_keeps_money_as_a_float() -> None:
    """No migration declares a cost column with a floating type."""
    pattern = re.compile(r"\b\w*(cost|usd|picodollars)\w*`?\s+(Nullable\(|LowCardinality\()?(Float|BFloat)", re.I)
    scripts = list(ROOT.glob("*/spendgauge/**/*.sql"))
    assert [path.name for path in scripts if pattern.search(path.read_text(encoding="utf-8"))] == []


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
