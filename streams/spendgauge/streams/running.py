"""How does an app of ours run as a process: how does it start, fail and stop?"""

import os
import signal
from typing import Any, Final, NoReturn

import faust
import structlog

from spendgauge.schemas.errors import SpendgaugeError
from spendgauge.schemas.monitor import monitoring
from spendgauge.streams.group_app import GroupApp
from spendgauge.streams.logs import configure_logs, quiet_libraries

__all__ = ["Worker", "run_app"]

_log = structlog.get_logger(__name__)

_STOP_SECONDS: Final = 25.0
"""Below the 30 seconds that container engines wait before they kill."""


class Worker(faust.Worker):
    """Faust's worker, with our logs, and with a sentence instead of a traceback where it cannot start."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options, override_logging=False)
        self.spinner = None  # it writes control characters, to logs too

    def execute_from_commandline(self) -> NoReturn:
        """Run until a signal comes, and exit: 0 after a signal, 1 where it could not start or go on."""
        configure_logs()
        quiet_libraries()
        app = self.app
        if not isinstance(app, GroupApp):
            raise TypeError(f"{app!r} is not an app of ours")
        try:
            with monitoring(app.member_settings, app.vitals):
                app.prepare()
                super().execute_from_commandline()
        except SpendgaugeError as error:
            raise SystemExit(f"spendgauge: {error}") from None
        finally:
            if app.failure is not None:
                raise SystemExit(f"spendgauge: {app.failure}") from None

    def _schedule_shutdown(self, signal: signal.Signals) -> None:
        super()._schedule_shutdown(signal)
        self.loop.call_later(_STOP_SECONDS, _give_up)


def _give_up() -> None:
    """End the process that cannot stop, as a kill would: that loses nothing."""
    _log.error("not stopped in time, so I end here; what is not committed will be read again", seconds=_STOP_SECONDS)
    os._exit(1)


def run_app(app: GroupApp) -> NoReturn:
    """Run an app until SIGTERM or SIGINT, then exit the process."""
    Worker(app, loglevel="WARN", quiet=True).execute_from_commandline()
