"""Which command tells people of alerts? ``notifier``."""

import os
import signal
from pathlib import Path
from typing import Annotated

import typer

from spendgauge.deploy.options import Where, with_addresses

__all__ = ["notifier"]


@with_addresses("kafka", "data", "channels")
def notifier(
    where: Where,
    test: Annotated[
        bool, typer.Option("--test", help="Send one message to each channel, say what came of it, and end.")
    ] = False,
) -> None:
    """Tell people of alerts until Ctrl-C: webhooks, chat, e-mail, pagers. A second one waits to take over.

    Further settings come from the environment, SPENDGAUGE_*: see docs/delivery.md.

    Examples:

        spendgauge notifier --channels channels.toml --test
        spendgauge notifier --kafka kafka:9092 --channels channels.toml
    """
    from threading import Event

    from spendgauge.streams.delivery.notifier import run_notifier
    from spendgauge.streams.delivery.settings import NotifierSettings

    settings = where.settings(NotifierSettings)
    if test:
        _try(settings.channels)
        return
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    run_notifier(settings, stop)


def _try(channels: Path | None) -> None:
    """Try each channel; exit with 1 where one does not work."""
    from spendgauge.schemas import ConfigurationError, SystemClock
    from spendgauge.streams.delivery.trial import try_channels

    if channels is None:
        raise ConfigurationError("no channels are set; name a file with --channels or SPENDGAUGE_CHANNELS")
    failed = 0
    for name, outcome in try_channels(channels, os.environ, SystemClock()):
        failed += outcome.fate != "sent"
        typer.echo(f"{name}: {'sent' if outcome.fate == 'sent' else f'{outcome.fate}: {outcome.reason}'}")
    if failed:
        raise typer.Exit(1)
