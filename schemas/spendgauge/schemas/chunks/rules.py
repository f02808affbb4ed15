"""What does the model say about each field? Its own JSON Schema, as flat rules for whole columns.

Read from ``UsageEvent``, so a bound that changes there changes in the fast path too.
"""

from dataclasses import dataclass
from typing import Any, Final, Literal

from spendgauge.schemas.events import UsageEvent

__all__ = ["RULES", "SIGNED", "TAG_LIMITS", "FieldRule", "TagLimits"]


@dataclass(frozen=True)
class FieldRule:
    """One field: its JSON type, what stands for "not given", and its bounds (both ends closed)."""

    name: str
    kind: Literal["string", "integer", "number", "object"]
    required: bool
    nullable: bool
    default: Any
    minimum: float | None
    maximum: float | None
    min_length: int
    max_length: int | None
    choices: tuple[str, ...]


@dataclass(frozen=True)
class TagLimits:
    """How many tags, and how long their names and values, in characters."""

    count: int
    name_length: int
    value_length: int


def _rule(name: str, schema: dict[str, Any], *, required: bool) -> FieldRule:
    options = schema.get("anyOf", [schema])
    given = next(option for option in options if option["type"] != "null")
    kind, *others = given["type"] if isinstance(given["type"], list) else [given["type"]]
    return FieldRule(
        name=name,
        kind=kind,
        required=required,
        nullable="null" in others or len(options) > 1,
        default=schema.get("default"),
        minimum=given.get("minimum"),
        maximum=given.get("maximum"),
        min_length=given.get("minLength", 0),
        max_length=given.get("maxLength"),
        choices=tuple(given.get("enum", ())),
    )


_SCHEMA: Final = UsageEvent.model_json_schema()
_TAGS: Final = _SCHEMA["properties"]["tags"]

RULES: Final = {
    name: _rule(name, schema, required=name in _SCHEMA["required"]) for name, schema in _SCHEMA["properties"].items()
}
"""Every field of a usage event, in order."""

TAG_LIMITS: Final = TagLimits(
    count=_TAGS["maxProperties"],
    name_length=_TAGS["propertyNames"]["maxLength"],
    value_length=_TAGS["additionalProperties"]["maxLength"],
)

SIGNED: Final = tuple(
    name for name, rule in RULES.items() if rule.kind == "integer" and rule.minimum is not None and rule.minimum < 0
)
"""Integer fields that only an adjustment may have below zero."""
