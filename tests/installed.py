"""What does an install bring? The distributions that ``spendgauge[extra]`` asks for, at all levels."""

import tomllib
from functools import cache
from importlib.metadata import distribution

from packaging.requirements import Requirement
from tests.rooms import ROOT

__all__ = ["canonical", "installed_by"]


@cache
def installed_by(extra: str) -> frozenset[str]:
    """Name the distributions that ``spendgauge[extra]`` brings; an empty extra is the base install."""
    seen: set[tuple[str, str]] = set()
    todo = [("spendgauge", extra)]
    while todo:
        name, wanted = todo.pop()
        if (name, wanted) in seen:
            continue
        seen.add((name, wanted))
        for requirement in map(Requirement, _requires(name, wanted)):
            if requirement.marker is None or requirement.marker.evaluate({"extra": wanted}):
                todo += [(canonical(requirement.name), inner) for inner in ("", *requirement.extras)]
    return frozenset(name for name, _ in seen)


def canonical(name: str) -> str:
    """Write a distribution's name as they are compared."""
    return name.lower().replace("_", "-").replace(".", "-")


def _requires(name: str, extra: str) -> list[str]:
    """List what a distribution asks for: ours by pyproject.toml, which may be newer than the install."""
    if name != "spendgauge":
        return distribution(name).requires or []
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [*project["dependencies"], *(project["optional-dependencies"][extra] if extra else ())]
