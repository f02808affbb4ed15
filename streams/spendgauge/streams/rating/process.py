"""How does a rates worker run as a process? With the settings of the environment, or those that it is given."""

from typing import NoReturn

from spendgauge.schemas.errors import SpendgaugeError
from spendgauge.streams.rating.app import RatesApp, create_app
from spendgauge.streams.running import run_app
from spendgauge.streams.settings import WorkerSettings

__all__ = ["load_app", "run_worker"]


def load_app() -> RatesApp:
    """Build the app from the environment, for ``faust -A``; exit with a sentence where that cannot be done."""
    try:
        return create_app(WorkerSettings.from_environment())
    except SpendgaugeError as error:
        raise SystemExit(f"spendgauge: {error}") from None


def run_worker(settings: WorkerSettings) -> NoReturn:
    """Run a worker until SIGTERM or SIGINT, then exit the process.

    It flushes, commits and leaves its group before it exits. Raises ``ConfigurationError`` for settings that cannot
    work.
    """
    run_app(create_app(settings))
