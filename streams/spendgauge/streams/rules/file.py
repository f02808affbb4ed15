"""What is in ``rules.toml``? ``[[rule]]`` tables and one ``[spikes]``; each error is a sentence that names the rule."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from itertools import chain
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from spendgauge.schemas.configuration import fault_of, read_toml
from spendgauge.schemas.errors import ConfigurationError
from spendgauge.schemas.money import PICODOLLARS_PER_USD, picodollars
from spendgauge.streams.judging.series import remark_on
from spendgauge.streams.rules.kinds import BUILT_IN, KINDS
from spendgauge.streams.rules.rule import Rule
from spendgauge.streams.spikes.parameters import SpikeParameters

__all__ = ["TAKEN", "RulesFile", "parse_rules"]

TAKEN: Final = ("spike", "token_spike", "gap", "budget", "budget_burn", "budget_forecast", "quota")
"""What alerts of others are called."""


def _usd(value: Any) -> int:
    """Read an amount, as picodollars."""
    try:
        amount = picodollars(Decimal(str(value))) if not isinstance(value, bool) else 0
    except (ArithmeticError, ValueError):
        amount = 0
    if not 0 < amount <= 10**6 * PICODOLLARS_PER_USD:
        raise ValueError('write an amount in USD above 0, at most a million, such as 2 or "0.50"')
    return amount


_Usd = Annotated[int, BeforeValidator(_usd)]


class _Spikes(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: Annotated[bool, Field(strict=True)] = True
    floor_usd: _Usd = SpikeParameters.floor
    page_usd_per_hour: _Usd = SpikeParameters.page_per_hour
    cap_usd: _Usd = SpikeParameters.cap


@dataclass(frozen=True)
class RulesFile:
    """What the file says, together with what holds without it."""

    rules: tuple[Rule, ...]
    """Those that are enabled."""
    spikes: SpikeParameters | None
    """How spikes of money are judged; None: they are not."""
    notes: tuple[str, ...] = ()
    """What may be wrong and cannot be known here, a sentence each."""


def parse_rules(text: str, *, name: str = "rules.toml", kinds: Mapping[str, type[Rule]] = KINDS) -> RulesFile:
    """Read a file's content.

    Raises ``ConfigurationError`` with one sentence: the file, the rule, the value, and what to do.
    """
    document = _document(text, name)
    rules = [_rule(name, place, table, kinds) for place, table in enumerate(document.get("rule", []), 1)]
    names = [rule.name for rule in rules]
    twice = next((one for one in names if names.count(one) > 1), None)
    if twice is not None:
        raise ConfigurationError(f"{name}, rule {twice!r}: the name is given twice; an alert says it, so say which.")
    enabled = [rule for rule in (*(rule for rule in BUILT_IN if rule.name not in names), *rules) if rule.enabled]
    notes = chain.from_iterable(_notes(f"{name}, rule {rule.name!r}", rule) for rule in rules)
    return RulesFile(tuple(enabled), _spikes(name, document.get("spikes", {})), tuple(notes))


def _notes(who: str, rule: Rule) -> list[str]:
    built_in = next((one.name for one in BUILT_IN if one.kind == rule.kind), rule.name)
    if not rule.enabled:
        idle = f"it turns nothing off: the built-in rule is named {built_in!r}, so write that name to turn it off"
        return [f"{who}: {idle}."] if built_in != rule.name else []
    try:
        remark = remark_on(rule.series)
    except ValueError as error:
        raise ConfigurationError(f"{who}: {error}.") from None
    return [f"{who}: {remark}."] if remark else []


def _document(text: str, name: str) -> Mapping[str, Any]:
    document = read_toml(text, name)
    unknown = next((key for key in document if key not in {"rule", "spikes"}), None)
    if unknown is not None:
        raise ConfigurationError(f"{name}: {unknown!r} is not known; write [[rule]] once a rule, and [spikes].")
    tables = document.get("rule", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise ConfigurationError(f"{name}: 'rule' must be written as [[rule]], once a rule.")
    if not isinstance(document.get("spikes", {}), dict):
        raise ConfigurationError(f"{name}: 'spikes' must be written as [spikes], with its fields below.")
    return document


def _rule(name: str, place: int, table: Mapping[str, Any], kinds: Mapping[str, type[Rule]]) -> Rule:
    who = f"{name}, rule {table['name']!r}" if isinstance(table.get("name"), str) else f"{name}, rule number {place}"
    fields = dict(table)
    kind = fields.pop("kind", None)
    rule = kinds.get(kind) if isinstance(kind, str) else None
    if rule is None:
        said = "kind is missing" if kind is None else f"kind = {kind!r} is not known"
        raise ConfigurationError(f"{who}: {said}; write one of {', '.join(kinds)}.")
    if fields.get("name") in TAKEN:
        raise ConfigurationError(f"{who}: other alerts have this name; write another one.")
    try:
        read = rule.model_validate(fields)
    except ValidationError as error:
        raise ConfigurationError(f"{who}: {fault_of(error, rule)}.") from None
    built_in = next((one.name for one in BUILT_IN if one.kind == kind and rule.deployment_wide), read.name)
    if built_in != read.name:
        raise ConfigurationError(f"{who}: the built-in rule of this kind is named {built_in!r}; write that name.")
    return read


def _spikes(name: str, table: Mapping[str, Any]) -> SpikeParameters | None:
    try:
        read = _Spikes.model_validate(table)
    except ValidationError as error:
        raise ConfigurationError(f"{name}, [spikes]: {fault_of(error, _Spikes)}.") from None
    if not read.enabled:
        return None
    return SpikeParameters(floor=read.floor_usd, page_per_hour=read.page_usd_per_hour, cap=read.cap_usd)
