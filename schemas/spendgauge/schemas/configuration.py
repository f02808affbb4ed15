"""What does a TOML file of the user's say, and which sentence says what is wrong with it?"""

import re
import tomllib
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from spendgauge.schemas.errors import ConfigurationError

__all__ = ["as_written", "fault_of", "read_toml"]

_NOTHING: Final[Mapping[str, Any]] = {}

_PLAINLY: Final[Mapping[str, str]] = {
    **dict.fromkeys(("tuple_type", "list_type"), 'write a list such as ["x"]'),
    **dict.fromkeys(("int_type", "int_from_float"), "write a whole number, without quotes"),
    **dict.fromkeys(("bool_type", "bool_parsing"), "write true or false, without quotes"),
    **dict.fromkeys(("float_type", "float_parsing"), "write a number"),
    "string_type": "write text in quotes",
}
"""What to write, by pydantic's kind of error; of other kinds it says well what should be."""

_SUBJECT: Final = re.compile(r"^(Value error, |(Input|String) (?=should ))")


def read_toml(
    content: str | bytes,
    name: str,
    *,
    parse_float: Callable[[str], Any] = Decimal,
    error: type[ConfigurationError] = ConfigurationError,
) -> dict[str, Any]:
    """Read a file's content; fractions stay exact. Raises ``error``, which names the file."""
    try:
        text = content if isinstance(content, str) else content.decode("utf-8-sig")
        return tomllib.loads(text, parse_float=parse_float)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as reason:
        raise error(f"{name} is not valid TOML: {reason}; correct it there.") from None


def fault_of(
    error: ValidationError,
    model: type[BaseModel],
    *,
    tables: Mapping[str, type[BaseModel]] = _NOTHING,
    advice: Mapping[str, str] = _NOTHING,
    shown: Callable[[str, Any], str] = lambda _where, value: f" = {as_written(value)}",
) -> str:
    """Say the first thing that is wrong with a table of the file, as the second half of a sentence.

    ``tables`` are the models of the tables in it, by name; ``advice`` says what to write instead, by pydantic's kind of
    error, where pydantic does not say it well; ``shown`` writes the value, or nothing where it may be a secret.
    """
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"]))
    if first["type"] == "missing":
        return f"{where} is missing; add it"
    if first["type"] == "extra_forbidden":
        fields = (model if len(first["loc"]) == 1 else tables.get(str(first["loc"][0]), model)).model_fields
        return f"{where} is not known; the fields are {', '.join(one.alias or name for name, one in fields.items())}"
    reason = advice.get(first["type"]) or _PLAINLY.get(first["type"]) or _plainly(first["msg"])
    return f"{where}{shown(where, first['input'])} cannot be used: {reason}" if where else reason


def as_written(value: Any) -> str:
    """Write a value about as the file has it: text in quotes, a number or a day as it is."""
    return repr(value) if isinstance(value, str | list | tuple | dict) else str(value).lower()


def _plainly(said: str) -> str:
    """Take from pydantic's sentence the words that mean nothing to who wrote the file."""
    return _SUBJECT.sub(lambda match: "it " if match[2] else "", said)
