"""The worker's app: built without effects, refused with a sentence."""

import os
import signal
import sys

import faust
import pytest

from spendgauge.schemas import DEFAULT_SERIES, ConfigurationError, SeriesSpec
from spendgauge.streams.accounting.origins import Origin
from spendgauge.streams.rating.app import create_app
from spendgauge.streams.rating.series import parse_series
from spendgauge.streams.reading.fetching import Fetched
from spendgauge.streams.reading.readings import Reading
from spendgauge.streams.running import Worker
from spendgauge.streams.settings import WorkerSettings


def test_an_app_is_built_without_a_broker() -> None:
    """``create_app`` connects to nothing, and every broker of the list is read in chunks."""
    app = create_app(WorkerSettings(kafka="one:9092, two:9093", topic_prefix="x."))
    assert [str(url) for url in app.conf.broker] == ["chunked://one:9092", "chunked://two:9093"]
    assert app.conf.id == "spendgauge-rates"
    assert dict(app.chunking.block_offsets) == {"x.usage.events": 16_384}


def test_logs_hold_no_control_characters() -> None:
    """Faust's spinner hides and shows the cursor, in log files too; our worker has none."""
    assert Worker(create_app(WorkerSettings()), quiet=True).spinner is None


def test_series_are_read_from_text() -> None:
    """The text names dimensions and the pane's seconds; none is the default."""
    assert parse_series(" ") == DEFAULT_SERIES
    assert parse_series("total:10, feature+model:60") == (SeriesSpec((), 10), SeriesSpec(("feature", "model"), 60))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("feature", "must end in its pane's seconds"),
        ("feature:0", "must end in its pane's seconds"),
        ("colour:10", "'colour' in the series 'colour' is no dimension"),
        ("total:10,total:60", "the series total is given twice"),
    ],
)
def test_wrong_series_are_refused(text: str, sentence: str) -> None:
    """A series that cannot work is named when the app is built."""
    with pytest.raises(ConfigurationError, match=sentence):
        create_app(WorkerSettings(series=text))


def test_offsets_are_committed_in_order_of_the_log() -> None:
    """A chunk's offsets may be committed when it and every chunk before it are settled."""
    #  chunks      [0,3)  [3,5)  [5,9)
    #  settled       3      1      2
    reading = Reading(Origin("t:16", 16, 0, 0), epoch=1)
    chunks = [
        reading.deliver(Fetched(1, begin, end), topic="usage.events", partition=0)
        for begin, end in ((0, 3), (3, 5), (5, 9))
    ]
    assert reading.committable() is None
    chunks[1].receipt.settle()
    chunks[2].receipt.settle()
    assert reading.committable() is None
    chunks[0].receipt.settle()
    assert reading.committable() == 9


def test_what_cannot_be_mended_ends_the_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """A task that meets an error for the user stops the process as a signal does, and the worker says why."""
    killed: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda *arguments: killed.append(arguments))
    app = create_app(WorkerSettings())
    app.fail(ConfigurationError("no such group"))
    app.fail(ConfigurationError("the same again"))
    assert killed == [(os.getpid(), signal.SIGTERM)]
    monkeypatch.setattr(app, "prepare", lambda: None)
    monkeypatch.setattr(faust.Worker, "execute_from_commandline", lambda _: sys.exit(0))
    with pytest.raises(SystemExit, match=r"^spendgauge: no such group$"):
        Worker(app, quiet=True).execute_from_commandline()
