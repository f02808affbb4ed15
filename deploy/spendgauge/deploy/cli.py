"""What can be typed? ``spendgauge`` and its commands; each command's module says what it does.

Nothing heavy is imported before it is known which command runs, so ``--help`` answers at once.
"""

import sys
from collections.abc import Callable
from enum import StrEnum
from inspect import cleandoc
from textwrap import dedent
from typing import Annotated, Final

import typer

from spendgauge.deploy.alerts import commands as alerts
from spendgauge.deploy.commands import feed, gateway, notifier, process, read, stack
from spendgauge.deploy.interrupts import interrupted_once
from spendgauge.deploy.rehearse import commands as rehearse

__all__ = ["LogLevel", "create_cli", "main"]

_PANELS: Final = {
    "Run it on this machine": (stack.up, stack.down, stack.status, stack.demo),
    "Put events in": (feed.simulate, feed.replay, feed.emit),
    "Get answers": (
        *(read.report, read.sql, read.tail, read.reconcile),
        *(alerts.quotas, rehearse.rehearse),
    ),
    "Run the parts": (
        process.worker,
        process.watcher,
        notifier.notifier,
        process.sink,
        process.store,
        process.migrate,
    ),
}

_ALERTS: Final = {
    "list": alerts.list_incidents,
    "tail": alerts.tail_alerts,
    "ack": alerts.ack,
    "silence": alerts.silence,
    "silences": alerts.silences,
    "unsilence": alerts.unsilence,
}


class LogLevel(StrEnum):
    """What is logged at least."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


def create_cli() -> typer.Typer:
    """Assemble the command line."""
    cli = typer.Typer(
        no_args_is_help=True,
        rich_markup_mode="markdown",
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    cli.callback()(_root)
    for panel, commands in _PANELS.items():
        for command in commands:
            cli.command(rich_help_panel=panel, help=_help(command))(command)
    topics_group = typer.Typer(no_args_is_help=True, help="Prepare the topics.")
    topics_group.command("create", help=_help(process.create_topics))(process.create_topics)
    cli.add_typer(topics_group, name="topics", rich_help_panel="Run the parts")
    alerts_group = typer.Typer(no_args_is_help=True, help="What is up, since when, and who is at it.")
    for name, command in _ALERTS.items():
        alerts_group.command(name, help=_help(command))(command)
    cli.add_typer(alerts_group, name="alerts", rich_help_panel="Get answers")
    gateway_group = typer.Typer(invoke_without_command=True, help=_help(gateway.gateway))
    gateway_group.callback()(gateway.gateway)
    gateway_group.command("key", help=_help(gateway.create_key))(gateway.create_key)
    cli.add_typer(gateway_group, name="gateway", rich_help_panel="Run the parts")
    return cli


def main() -> None:
    """Run the command line; say an error of ours in one sentence.

    Exit status: 0 all is well, 1 it could not be done or is not well, 2 wrong usage, 130 Ctrl-C.
    """
    try:
        with interrupted_once():
            create_cli()(prog_name="spendgauge")
    except SystemExit:
        raise
    except KeyboardInterrupt:
        sys.exit(130)
    except _our_errors() as error:
        typer.echo(f"spendgauge: {error}", err=True)
        sys.exit(1)


def _help(command: Callable[..., None]) -> str:
    """Take a command's help from its docstring, and fence the examples: Typer may take off their indentation, and then
    they would stand on one line."""
    text, title, examples = cleandoc(command.__doc__ or "").partition("Examples:\n\n")
    return f"{text}{title}```sh\n{dedent(examples)}\n```" if examples else text


def _our_errors() -> type[Exception]:
    """Name what is said without a traceback; asked only when something was raised."""
    from spendgauge.schemas import SpendgaugeError

    return SpendgaugeError


def _show_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"spendgauge {version('spendgauge')}")
        raise typer.Exit


def _root(
    version: Annotated[  # noqa: ARG001 - the callback answers
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
    log_level: Annotated[
        LogLevel, typer.Option(envvar="SPENDGAUGE_LOG_LEVEL", help="How much our own logs say.", case_sensitive=False)
    ] = LogLevel.INFO,
) -> None:
    """What every LLM call costs: per second, per feature, per user, exact to the last digit."""
    from spendgauge.schemas.logs import configure_logs

    configure_logs(log_level)
