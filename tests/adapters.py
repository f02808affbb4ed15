"""What do the conformance cases say, and what do our adapters make of them?"""

import ast
import json
import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from tests.rooms import ROOT

from spendgauge.producers import adapters

__all__ = ["CASES", "Case", "as_json", "numbers_in", "value_of"]

_STREAMED = {"AnthropicStream", "BedrockStream", "ClaudeAgentUsage", "GeminiStream", "OpenAIStream"}
_OPERATORS: dict[type[ast.operator], Callable[[int, int], int]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.FloorDiv: operator.floordiv,
}
_FUNCTIONS: dict[str, Callable[..., int]] = {"min": min, "max": max}


@dataclass(frozen=True)
class Case:
    """One case of ``tests/conformance``: a provider's object, and what it must become."""

    file: str
    document: Mapping[str, Any]

    @property
    def label(self) -> str:
        """Where it stands."""
        return f"{self.file}: {self.document['name']}"

    @property
    def expected(self) -> list[dict[str, Any]]:
        """The fields of the events."""
        return list(self.document["expected"])

    def run(self, given: Any = None) -> list[dict[str, Any]]:
        """Give the case's input (or another) to the adapter that it names."""
        call, options = self.document["call"], dict(self.document.get("options", {}))
        given = self.document["input"] if given is None else given
        if call not in _STREAMED:
            return list(getattr(adapters, call)(given, **options))
        stream = getattr(adapters, call)(**options)
        added = [stream.add(entry) for entry in given]
        return [event for events in added for event in events] if call == "ClaudeAgentUsage" else list(stream.events())


def _cases() -> Iterator[Case]:
    for path in sorted((ROOT / "tests" / "conformance").glob("*.json")):
        for document in json.loads(path.read_text(encoding="utf-8")):
            yield Case(path.stem, document)


CASES = list(_cases())


def as_json(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Write an event's fields as the cases do: times and amounts as text, without the event's id."""
    return {name: _plain(value) for name, value in fields.items() if name != "event_id"}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return f"{value.normalize():f}" if isinstance(value, Decimal) else value


def value_of(expression: str) -> int:
    """Work out an expression of whole numbers: + - // ( ) min max."""
    return _worked_out(ast.parse(expression, mode="eval").body)


def _worked_out(node: ast.AST) -> int:
    match node:
        case ast.Constant(value=int(number)):
            return number
        case ast.BinOp(left=left, op=op, right=right):
            return _OPERATORS[type(op)](_worked_out(left), _worked_out(right))
        case ast.Call(func=ast.Name(id=name), args=arguments):
            return _FUNCTIONS[name](*map(_worked_out, arguments))
    raise ValueError(f"{ast.unparse(node)} is no part of an arithmetic")


def numbers_in(value: Any) -> set[int]:
    """Collect the numbers that a provider's object holds, and the lengths of its texts."""
    if isinstance(value, Mapping):
        return set().union(*map(numbers_in, value.values()))
    if isinstance(value, list):
        return {len(value)}.union(*map(numbers_in, value))
    if isinstance(value, str):
        return {int(value), len(value)} if value.isdecimal() else {len(value)}
    return {value} if isinstance(value, int) else set()
