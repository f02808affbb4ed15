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

from spendgauge.deploy import (
    commands_feed,
    commands_gateway,
    commands_notifier,
    commands_process,
    commands_read,
    commands_stack,
)
from spendgauge.deploy.alerts import commands as commands_alerts
from spendgauge.deploy.interrupts import interrupted_once
from spendgauge.deploy.rehearse import commands as commands_rehearse

__all__ = ["LogLevel", "create_cli", "main"]

_PANELS: Final = {
    "Run it on this machine": (commands_stack.up, commands_stack.down, commands_stack.status, commands_stack.demo),
    "Put events in": (commands_feed.simulate, commands_feed.replay, commands_feed.emit),
    "Get answers": (
        *(commands_read.report, commands_read.sql, commands_read.tail, commands_read.reconcile),
        *(commands_alerts.quotas, commands_rehearse.rehearse),
    ),
    "Run the parts": (
        commands_process.worker,
        commands_process.watcher,
        commands_notifier.notifier,
        commands_process.sink,
        commands_process.store,
        commands_process.migrate,
    ),
}

_ALERTS: Final = {
    "list": commands_alerts.list_incidents,
    "tail": commands_alerts.tail_alerts,
    "ack": commands_alerts.ack,
    "silence": commands_alerts.silence,
    "silences": commands_alerts.silences,
    "unsilence": commands_alerts.unsilence,
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
    topics = typer.Typer(no_args_is_help=True, help="Prepare the topics.")
    topics.command("create", help=_help(commands_process.create_topics))(commands_process.create_topics)
    cli.add_typer(topics, name="topics", rich_help_panel="Run the parts")
    alerts = typer.Typer(no_args_is_help=True, help="What is up, since when, and who is at it.")
    for name, command in _ALERTS.items():
        alerts.command(name, help=_help(command))(command)
    cli.add_typer(alerts, name="alerts", rich_help_panel="Get answers")
    gateway = typer.Typer(invoke_without_command=True, help=_help(commands_gateway.gateway))
    gateway.callback()(commands_gateway.gateway)
    gateway.command("key", help=_help(commands_gateway.create_key))(commands_gateway.create_key)
    cli.add_typer(gateway, name="gateway", rich_help_panel="Run the parts")
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
