"""How is a sink started without the command line? ``python -m spendgauge.sinks``, told by the environment."""

import signal
import sys
from threading import Event

from spendgauge.schemas import SpendgaugeError
from spendgauge.schemas.logs import configure_logs
from spendgauge.sinks.settings import SinkSettings


def main() -> int:
    """Run until SIGTERM or SIGINT; say an error in one sentence."""
    from spendgauge.sinks.sink import run_sink

    configure_logs()
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        run_sink(SinkSettings.from_environment(), stop)
    except SpendgaugeError as error:
        print(f"spendgauge sink: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
