"""How does a rates worker run by itself? ``python -m spendgauge.streams``, with the settings of the environment."""

from spendgauge.schemas.errors import SpendgaugeError
from spendgauge.streams.rating.process import run_worker
from spendgauge.streams.settings import WorkerSettings

if __name__ == "__main__":
    try:
        run_worker(WorkerSettings.from_environment())
    except SpendgaugeError as error:
        raise SystemExit(f"spendgauge: {error}") from None
