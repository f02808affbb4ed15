"""Which app does ``faust -A spendgauge.streams.worker worker`` run? The one import that reads the environment."""

from spendgauge.streams.rating.process import load_app

app = load_app()
