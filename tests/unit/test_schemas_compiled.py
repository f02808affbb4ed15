"""What is kept of compiled functions is used as long as it is true, and they work where nothing can be kept."""

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest

from spendgauge.schemas import compiled


def _doubler() -> Any:
    """Define a function in no file, so that numba finds no place to keep it."""
    scope: dict[str, Any] = {}
    exec(compile("def double(number):\n    return 2 * number\n", "<nowhere>", "exec"), scope)
    return scope["double"]


def test_a_function_that_cannot_be_kept_works() -> None:
    """Where no directory can be written a function is compiled in the process that calls it."""
    assert compiled.kept(_doubler())(21) == 42


def test_compiled_functions_use_those_of_their_own_folder() -> None:
    """What is kept names the modules of one folder: a function of another one could change unseen."""
    marked = re.compile(r"^@(compiled|inlined|kept)$", re.MULTILINE)
    modules = [path for path in Path(compiled.__file__).parent.rglob("*.py") if marked.search(path.read_text())]
    assert {path.parent.name for path in modules} == {"chunks", "prices"}
    for path in modules:
        others = {"chunks", "prices"} - {path.parent.name}
        assert not any(f"spendgauge.schemas.{other}" in path.read_text() for other in others)


def test_what_is_kept_names_its_sources(tmp_path: Path) -> None:
    """What was compiled from other sources is not used."""
    for name in ("scanner", "tokens"):
        (tmp_path / f"{name}.py").write_text(name)
    before = compiled._sources_digest.__wrapped__(tmp_path)
    (tmp_path / "tokens.py").write_text("something else")
    assert compiled._sources_digest.__wrapped__(tmp_path) != before


@pytest.mark.parametrize("suffix", ["nbi", "nbc"])
@pytest.mark.parametrize("damage", [b"", b"\0" * 64])
def test_what_was_kept_and_is_damaged_is_compiled_again(tmp_path: Path, suffix: str, damage: bytes) -> None:
    """A machine that loses power leaves empty files: they are replaced, and nobody meets them twice."""
    (tmp_path / "doubling.py").write_text("def double(number):\n    return 2 * number\n")

    def double_anew() -> int:
        spec = importlib.util.spec_from_file_location("doubling", tmp_path / "doubling.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return int(compiled.kept(module.double)(21))

    assert double_anew() == 42
    (file,) = tmp_path.rglob(f"*.{suffix}")
    file.write_bytes(damage)
    assert double_anew() == 42
    (again,) = tmp_path.rglob(f"*.{suffix}")
    assert again.read_bytes() != damage
    assert double_anew() == 42  # loaded again in one process it may be compiled once more
    kept = again.read_bytes()
    assert double_anew() == 42
    assert again.read_bytes() == kept
