"""What does docker-compose.yml say? Read as Compose reads it: merged anchors, interpolated variables."""

import re
from collections.abc import Mapping
from typing import Any

import yaml
from tests.rooms import ROOT

__all__ = ["compose_file", "interpolate"]

_VARIABLE = re.compile(r"\$(?:\$|\{(?P<name>\w+)(?::-(?P<default>[^}]*))?\})")


def interpolate(value: Any, environment: Mapping[str, str]) -> Any:
    """Replace ``${NAME}``, ``${NAME:-default}`` and ``$$`` in every string, at any depth."""
    if isinstance(value, dict):
        return {name: interpolate(inner, environment) for name, inner in value.items()}
    if isinstance(value, list):
        return [interpolate(inner, environment) for inner in value]
    if not isinstance(value, str):
        return value
    return _VARIABLE.sub(
        lambda match: (environment.get(match["name"]) or match["default"] or "") if match["name"] else "$", value
    )


def compose_file(environment: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Read docker-compose.yml with these variables set (none by default)."""
    parsed = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    return dict(interpolate(parsed, environment or {}))
