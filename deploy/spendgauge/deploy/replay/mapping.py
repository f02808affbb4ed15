"""Which column of a log is which field of an event?

A column that bears a field's own name is that field; ``--columns`` names the others, ``--set`` gives constants (a
column's value wins over it), ``--models`` says what the log's models are called by their providers.
``--set usage_convention=inclusive`` says that the log's input counts hold cached tokens: they are taken out.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Final

from spendgauge.schemas import ConfigurationError, UsageEvent

__all__ = ["FIELDS", "FieldMapping", "parse_pairs"]

_OF_THE_PRODUCER: Final = ("event_id", "source", "seq")

FIELDS: Final = tuple(name for name in UsageEvent.model_fields if name not in _OF_THE_PRODUCER)
"""The fields that a log can give. Ids and sequence numbers are the producer's: a log replayed twice counts twice."""


def parse_pairs(option: str, texts: Iterable[str]) -> dict[str, str]:
    """Read ``["a=b,c=d", "e=f"]``, as an option gives it.

    Raises ``ConfigurationError`` where something is no pair, or a name is given twice.
    """
    pairs: dict[str, str] = {}
    for part in (part for text in texts for part in text.split(",") if part.strip()):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not (name and equals and value):
            raise ConfigurationError(f"{option} {part!r} is not NAME=VALUE")
        if name in pairs:
            raise ConfigurationError(f"{option} gives {name} twice: {pairs[name]} and {value}")
        pairs[name] = value
    return pairs


@dataclass(frozen=True)
class FieldMapping:
    """What the options say, checked against the fields that events have."""

    columns: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, str] = field(default_factory=dict)
    models: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    @classmethod
    def parse(
        cls,
        columns: Sequence[str] = (),
        *,
        constants: Sequence[str] = (),
        models: Sequence[str] = (),
    ) -> "FieldMapping":
        """Read the options' texts.

        Raises ``ConfigurationError`` where one is malformed or names a field that events do not have.
        """
        parsed = cls(
            _of_known_fields("--columns", columns),
            _of_known_fields("--set", constants),
            {name: _provider_model(name, text) for name, text in parse_pairs("--models", models).items()},
        )
        if "occurred_at" in parsed.constants:
            raise ConfigurationError("--set occurred_at would give all events one time; name a column with --columns")
        return parsed

    def resolve(self, available: Sequence[str]) -> dict[str, str]:
        """Tell each field's column, among those that the file has.

        Raises ``ConfigurationError`` where a named column is missing, or no column or constant gives a field that
        every event needs.
        """
        if not available:
            raise ConfigurationError("the file has no rows to send")
        for name, column in self.columns.items():
            if column not in available:
                raise ConfigurationError(
                    f"there is no column {column!r} for {name}{_suggestion(column, available)}; "
                    f"the file has {', '.join(available)}"
                )
        found = {name: name for name in FIELDS if name in available} | dict(self.columns)
        for name in ("occurred_at", "model"):
            if name not in found and name not in self.constants:
                raise ConfigurationError(
                    f"no column is named {name}; say which one it is with --columns {name}=COLUMN; "
                    f"the file has {', '.join(available)}"
                )
        return found


def _of_known_fields(option: str, texts: Sequence[str]) -> dict[str, str]:
    pairs = parse_pairs(option, texts)
    for name in pairs:
        if name in _OF_THE_PRODUCER:
            raise ConfigurationError(f"{option} cannot give {name}: the producer does, anew for each run")
        if name not in FIELDS:
            raise ConfigurationError(
                f"{option} names {name!r}, which is no field of an event{_suggestion(name, FIELDS)}; "
                f"the fields are {', '.join(FIELDS)}"
            )
    return pairs


def _suggestion(name: str, choices: Sequence[str]) -> str:
    close = get_close_matches(name, choices, n=1)
    return f" (did you mean {close[0]}?)" if close else ""


def _provider_model(name: str, text: str) -> tuple[str, str]:
    provider, slash, model = text.partition("/")
    if not (provider and slash and model):
        raise ConfigurationError(
            f"--models {name}={text} is not NAME=PROVIDER/MODEL, such as m=anthropic/claude-opus-4-5"
        )
    return provider, model
