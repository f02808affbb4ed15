"""How many events a second does each of them take: a bare loop, Faust, Bytewax, Quix Streams, and we?

One topic, the same task (``contestants``), each in a process of its own on a core of its own, in turn, several rounds.
A figure counts only with the right answer.
"""

import tempfile
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks.answers import Answer, Reference, WrongAnswerError
from benchmarks.follow import FollowedRates
from benchmarks.machines import ROOT, run_pinned, stay_beside_servers
from benchmarks.price_list import price_list
from benchmarks.report import Sheet, figure
from benchmarks.watch import Pace
from benchmarks.worker import rate
from benchmarks.workload import Workload, fill, fresh_topics
from spendgauge.schemas import KafkaSettings

__all__ = ["CONTESTANTS", "OURS", "Contestant", "Result", "Ring", "hold_contest", "opened", "ranked"]

_PEERS: Final = ROOT / ".venv-bench" / "bin" / "python"
_TENANTS: Final = 128
_OURS_ONE: Final = "tenant:60"


@dataclass(frozen=True)
class Contestant:
    """Who takes part: a module of ``contestants``, or our worker where none is named."""

    title: str
    module: str = ""
    way: str = ""
    share: float = 1.0
    """Of the topic's events: slow ones take fewer, the rate is what counts."""
    series: str = ""
    """Of our worker; empty: its default ones."""
    peer: bool = False
    """Whether it runs with the versions of the group ``bench`` instead of ours."""


_LIMIT: Final = Contestant("librdkafka alone, nothing decoded (the limit)", "loops", "drain")
OURS: Final = Contestant("spendgauge, all 12 series, full work")

CONTESTANTS: Final = (
    _LIMIT,
    Contestant("librdkafka + orjson + dict", "loops", "one", share=0.2),
    Contestant("librdkafka + orjson + dict, 12 series", "loops", "all", share=0.1),
    Contestant("Faust, as documented", "with_faust", share=0.01),
    Contestant("Quix Streams", "with_quix", share=0.03, peer=True),
    Contestant("Bytewax", "with_bytewax", share=0.1, peer=True),
    Contestant("spendgauge, one series", series=_OURS_ONE),
    OURS,
)


@dataclass(frozen=True)
class Result:
    """What one contestant did in one round."""

    pace: Pace
    megabytes: float


@dataclass(frozen=True)
class Ring:
    """Where they meet: a topic that is filled, and the answer that is right."""

    settings: KafkaSettings
    workload: Workload
    reference: Reference
    size: int
    prices: Path


@contextmanager
def opened(kafka: str, workload: Workload) -> Iterator[Ring]:
    """Write the workload to a new topic, and work out the answer on the way."""
    settings = fresh_topics(kafka)
    reference = Reference(price_list())
    with tempfile.TemporaryDirectory() as folder:
        prices = Path(folder) / "prices.json"
        reference.prices.write(prices)
        size = fill(settings, workload, told=reference.add)
        yield Ring(settings, workload, reference, size, prices)


def hold_contest(
    ring: Ring, *, rounds: int, progress: Callable[[str], None], who: tuple[Contestant, ...] = CONTESTANTS
) -> dict[Contestant, list[Result]]:
    """Let them run in turn; raise ``WrongAnswerError`` at the first answer that is not right."""
    stay_beside_servers()
    results: dict[Contestant, list[Result]] = {one: [] for one in who}
    for number in range(rounds):
        for one, found in results.items():
            name = f"{ring.settings.topic_prefix}{number}-{one.module or 'ours'}{one.way or len(one.series)}"
            try:
                result = _run(ring, one, name)
            except (RuntimeError, TimeoutError) as error:  # an accident, not a wrong answer: it may try once more
                progress(f"{one.title} failed, and is run again: {error}")
                result = _run(ring, one, f"{name}-again")
            found.append(result)
            progress(f"round {number + 1} of {rounds}: {one.title}: {result.pace.per_second:,.0f} events/s")
    return results


def ranked(ring: Ring, results: dict[Contestant, list[Result]]) -> Sheet:
    """Put the medians into a sheet, the slowest first; all are held against our full work."""
    speed = {one: median(result.pace.per_second for result in found) for one, found in results.items()}
    bytes_a_record = ring.size // ring.workload.events * ring.workload.coalesced
    rows = [
        (
            one.title,
            figure(speed[one]),
            f"{speed[one] / speed[OURS]:.2f}",
            figure(1e6 * median(result.pace.cpu_seconds / result.pace.events for result in found)),
            figure(median(result.megabytes for result in found)),
        )
        for one, found in sorted(results.items(), key=lambda entry: speed[entry[0]])
    ]
    record = (
        f"{ring.workload.coalesced} a record of {bytes_a_record:,} bytes"
        if ring.workload.coalesced > 1
        else f"one a record of {bytes_a_record:,} bytes"
    )
    head = ("who", "events/s", "to spendgauge, 12 series", "CPU s a million events", "MB at most")
    rounds = max(map(len, results.values()))
    notes = (f"Medians of {rounds}; {_versions()}.",)
    return Sheet(f"{ring.workload.events:,} events, {record}", head, rows, notes)


def _versions() -> str:
    pinned = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["dependency-groups"]["bench"]
    ours = [f"{name} {version(name)}" for name in ("confluent-kafka", "faust-streaming")]
    theirs = [pin.replace("==", " ") for pin in pinned if pin.startswith(("bytewax", "quixstreams"))]
    return ", ".join([*ours, *theirs])


def _run(ring: Ring, one: Contestant, name: str) -> Result:
    return _theirs(ring, one, name) if one.module else _ours(ring, one, name)


def _theirs(ring: Ring, one: Contestant, name: str) -> Result:
    events = int(ring.workload.events * one.share)
    where = ("--kafka", ring.settings.kafka, "--topic", ring.settings.topics.usage, "--name", name)
    what = (*([one.way] if one.way else []), *where, "--events", str(events), "--prices", str(ring.prices))
    what += ("--coalesced", str(ring.workload.coalesced))
    module = f"benchmarks.contestants.{one.module}"
    said = run_pinned(module, *what, python=_peers()) if one.peer else run_pinned(module, *what)
    if one == _LIMIT:
        _check_drained(ring, said["events"], said["size"])
    else:
        ring.reference.check(one.title, Answer.of(said), events=events)
    return Result(Pace(**said["pace"]), said["megabytes"])


def _peers() -> Path:
    if not _PEERS.exists():
        raise SystemExit(f"{_PEERS} is missing: `make bench-streams` installs Bytewax and Quix Streams there.")
    return _PEERS


def _check_drained(ring: Ring, events: int, size: int) -> None:
    if (events, size) != (ring.workload.events, ring.size):
        raise WrongAnswerError(
            f"{_LIMIT.title} received {events:,} events in {size:,} bytes, "
            f"and there are {ring.workload.events:,} in {ring.size:,}"
        )


def _ours(ring: Ring, one: Contestant, name: str) -> Result:
    rates = FollowedRates(ring.settings, series="tenant", others=True)
    try:
        rated = rate(ring.settings, rates, events=ring.workload.events, group=name, series=one.series)
        ring.reference.check(one.title, rates.answer(), events=ring.workload.events)
        _check_whole(ring, one, rates.sums())
    finally:
        rates.close()
    return Result(rated.pace, rated.megabytes)


def _check_whole(ring: Ring, one: Contestant, sums: dict[str, tuple[int, int]]) -> None:
    """The parts of each series are the same whole: all events, and what they cost."""
    whole = (ring.workload.events, ring.reference.cost)
    wrong = {series: found for series, found in sums.items() if found != whole}
    if wrong:
        raise WrongAnswerError(f"{one.title}: series do not come to {whole}: {wrong}")
