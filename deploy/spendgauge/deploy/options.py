"""Which options do many commands share, and what do they mean? Where the servers are, and times.

A command takes one ``Where`` and is decorated with ``with_addresses``; on the command line that is ``--kafka``,
``--clickhouse``, ``--data`` and the files of budgets, rules and channels, as far as the command needs them.
"""

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

import typer

if TYPE_CHECKING:
    from spendgauge.schemas.settings import EnvironmentSettings

__all__ = [
    "Count",
    "FromStart",
    "JsonLines",
    "Where",
    "parse_duration",
    "parse_moment",
    "parse_speed",
    "with_addresses",
]

FromStart = Annotated[bool, typer.Option("--from-start", help="Begin with all that the broker keeps.")]
Count = Annotated[int | None, typer.Option(min=1, help="Stop after so many lines.")]
JsonLines = Annotated[bool, typer.Option("--json", help="The lines as they are, also on a terminal.")]

_SettingsT = TypeVar("_SettingsT", bound="EnvironmentSettings")

_SHARED: Final = {
    "kafka": Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT,...", help="Your Kafka; else SPENDGAUGE_KAFKA, the running stack, the default."
        ),
    ],
    "clickhouse": Annotated[
        str | None,
        typer.Option(metavar="URL", help="http(s)://user:password@host:port/database; else as for --kafka."),
    ],
    "data": Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="The running stack's data directory; else SPENDGAUGE_DATA, the default."),
    ],
    "budgets": Annotated[
        Path | None, typer.Option(metavar="FILE", help="Your budgets and quotas; read again when it changes.")
    ],
    "rules": Annotated[
        Path | None, typer.Option(metavar="FILE", help="Your own rules for alerts; read again when it changes.")
    ],
    "channels": Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where alerts are sent; read again when it changes.")
    ],
}

_TOLD: Final = ("kafka", "clickhouse", "budgets", "rules", "channels")
"""What of it is a setting of the same name."""

_LENGTH: Final = re.compile(r"(\d{1,9})([smhd])")
_MS: Final = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


@dataclass(frozen=True)
class Where:
    """What the command line said about where things are."""

    kafka: str | None = None
    clickhouse: str | None = None
    data: Path | None = None
    budgets: Path | None = None
    rules: Path | None = None
    channels: Path | None = None

    @property
    def data_dir(self) -> Path:
        """The stack's data directory: as told, else by the environment, else the default."""
        from spendgauge.deploy.stack.settings import StackSettings

        return StackSettings.from_environment(data=self.data).data

    def settings(self, kind: type[_SettingsT], **given: Any) -> _SettingsT:
        """Read settings: what was told wins over the environment, that over the running stack, that over defaults."""
        from spendgauge.deploy.stack.state import discovered_environment

        told = {name: getattr(self, name) for name in _TOLD if name in kind.model_fields}
        return kind.from_environment(discovered_environment(self.data_dir), **told, **given)


def with_addresses(*names: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command that takes ``where`` these of the shared options instead."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @wraps(command)
        def run(**given: Any) -> None:
            where = Where(**{name: given.pop(name) for name in names})
            command(where=where, **given)

        own = inspect.signature(command)
        kept = [parameter for name, parameter in own.parameters.items() if name != "where"]
        added = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_SHARED[name])
            for name in names
        ]
        keyword = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in kept]
        run.__signature__ = own.replace(parameters=[*keyword, *added])  # type: ignore[attr-defined]  # what Typer reads
        run.__annotations__ = {p.name: p.annotation for p in (*keyword, *added)} | {"return": None}
        return run

    return decorate


def parse_speed(text: str) -> float:
    """Read ``max`` (infinite) or a positive factor."""
    if text == "max":
        return float("inf")
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0 < speed < float("inf"):
        raise typer.BadParameter(f"{text!r} is neither max nor a number above 0, such as 60 for an hour in a minute")
    return speed


def parse_duration(text: str) -> int:
    """Read how long: ``90s``, ``30m``, ``6h``, ``7d``. *Units*: milliseconds."""
    length = _LENGTH.fullmatch(text)
    if not length:
        raise typer.BadParameter(f"{text!r} is no length of time; write 30m, 2h or 7d")
    return int(length[1]) * _MS[length[2]]


def parse_moment(text: str, *, now_ms: int) -> int:
    """Read a time: so long ago (``90s``, ``30m``, ``6h``, ``7d``), or ISO 8601, UTC where no zone is given.

    *Units*: milliseconds since 1970 UTC.
    """
    if _LENGTH.fullmatch(text):
        return now_ms - parse_duration(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no time; write 6h or 7d (ago), or 2026-01-31T12:00") from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
