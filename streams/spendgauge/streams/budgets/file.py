"""What does ``budgets.toml`` say? Budgets and quotas, read and checked: each slip is a sentence that names which."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeVar

from pydantic import ValidationError

from spendgauge.schemas.configuration import fault_of, read_toml
from spendgauge.schemas.errors import ConfigurationError
from spendgauge.streams.budgets.budget import Budget
from spendgauge.streams.budgets.quota import Quota
from spendgauge.streams.budgets.scope import Scope

__all__ = ["notes_on", "parse_budgets", "parse_quotas"]

ScopeT = TypeVar("ScopeT", bound=Scope)

_TABLES: Final = ("budget", "quota")


def parse_budgets(text: str, *, name: str = "budgets.toml") -> tuple[Budget, ...]:
    """Read the budgets in a file's content.

    Raises ``ConfigurationError`` with one sentence: the file, the budget, the value, and what to do.
    """
    return _parse(Budget, "budget", text, name)


def parse_quotas(text: str, *, name: str = "budgets.toml") -> tuple[Quota, ...]:
    """Read the quotas in a file's content.

    Raises ``ConfigurationError`` with one sentence: the file, the quota, the value, and what to do.
    """
    return _parse(Quota, "quota", text, name)


def notes_on(budgets: Iterable[Budget], quotas: Iterable[Quota], *, name: str = "budgets.toml") -> tuple[str, ...]:
    """Say what may be wrong and cannot be known here, a sentence each."""
    found = [("budget", budget) for budget in budgets] + [("quota", quota) for quota in quotas]
    return tuple(f"{name}, {kind} {one.name!r}: {one.remark}." for kind, one in found if one.remark)


def _parse(model: type[ScopeT], kind: str, text: str, name: str) -> tuple[ScopeT, ...]:
    tables = _tables(text, name)[kind]
    found = tuple(_read(model, f"{name}, {kind}", index, table) for index, table in enumerate(tables))
    twice = next((name for name, times in Counter(one.name for one in found).items() if times > 1), None)
    if twice is not None:
        raise ConfigurationError(f"{name}, {kind} {twice!r}: the name is given twice; an alert says it, so say which.")
    return found


def _tables(text: str, name: str) -> dict[str, list[Mapping[str, Any]]]:
    document = read_toml(text, name)
    for kind, tables in document.items():
        if kind not in _TABLES or not isinstance(tables, list) or not all(isinstance(one, dict) for one in tables):
            raise ConfigurationError(
                f"{name}: {kind!r} must be written as [[budget]], once a budget, or [[quota]], once a quota."
            )
    return {kind: document.get(kind, []) for kind in _TABLES}


def _read(model: type[ScopeT], where: str, index: int, table: Mapping[str, Any]) -> ScopeT:
    try:
        return model.model_validate(table)
    except ValidationError as error:
        who = repr(table["name"]) if isinstance(table.get("name"), str) else f"number {index + 1}"
        raise ConfigurationError(f"{where} {who}: {fault_of(error, model)}.") from None
