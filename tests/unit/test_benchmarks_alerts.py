"""Do the alarms' benchmarks count what they say? Traffic that can be drawn again, trials that are counted right."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from benchmarks.alert_rules import PEERS, Ours, Peer
from benchmarks.alert_series import DAY, Traffic, noise, read_servegen, synthetic
from benchmarks.alert_trials import Alarms, Shape, Trials, follow, inject_shapes, inject_spikes
from benchmarks.nab import PROFILES, File, detect, measure_nab, raw_score, score

_STANDARD = PROFILES["standard"]


def test_synthetic_traffic_can_be_drawn_again() -> None:
    """The same seed is the same cost in every minute; another seed is not."""
    first = synthetic()
    assert first.costs.shape == (14 * DAY, 24)
    assert np.array_equal(first.costs, synthetic().costs)
    assert not np.array_equal(first.costs, synthetic(seed=9).costs)
    assert (first.costs >= 0).all()


def test_the_halves_are_the_whole() -> None:
    """Every key is in one half, with its own costs, whatever the order it came in."""
    costs = np.arange(12, dtype=np.int64).reshape(2, 6)
    whole = Traffic("x", tuple("abcdef"), costs, costs + 1)
    first, second = whole.halves()
    assert sorted(first.keys + second.keys) == list("abcdef")
    assert len(first.keys) == 3
    mixed = Traffic("x", tuple("fedcba"), costs[:, ::-1], costs[:, ::-1] + 1).halves()
    for one, other in zip((first, second), mixed, strict=True):
        assert one.keys == other.keys
        assert np.array_equal(one.costs, other.costs)
        assert np.array_equal(one.requests, one.costs + 1)


def test_noise_costs_what_was_asked() -> None:
    """So many calls a minute at so many USD each, on average."""
    for volume, usd in ((1, 0.2), (100, 0.002)):
        traffic = noise(volume, keys=4, days=10, call_usd=usd)
        assert traffic.costs.mean() / 1e12 == pytest.approx(0.2, rel=0.15)
        assert traffic.requests.mean() == pytest.approx(volume, rel=0.05)


def test_real_series_are_priced(tmp_path: Path) -> None:
    """A million tokens of Sonnet, in and out, are 3 and 15 dollars, in their minute."""
    path = tmp_path / "minutes.csv"
    path.write_text("key,minute,requests,input_tokens,output_tokens\nm-large-1,3,7,1000000,1000000\n")
    traffic = read_servegen(path)
    assert traffic.keys == ("m-large-1",)
    assert traffic.costs[3, 0] == traffic.costs.sum() == 18 * 10**12
    assert traffic.requests[3, 0] == traffic.requests.sum() == 7


def test_an_alarm_is_sent_once() -> None:
    """Raised as info, escalated to warn and to page: raised once, sent once; firing until it is resolved."""
    alarms = Alarms(1)
    for code, level in ((1, 1), (0, 1), (2, 2), (2, 3), (3, 3), (0, 0)):
        alarms.hear(np.array([code], dtype=np.uint8), np.array([level], dtype=np.uint8))
    assert (alarms.raised[0], alarms.sent[0], alarms.firing_minutes[0]) == (1, 1, 4)


def test_injected_spikes_leave_the_traffic_alone() -> None:
    """Huge spikes on a steady key are all found within three minutes, and the key itself never raises."""
    costs = np.full((4 * DAY, 2), 10**11, dtype=np.int64)
    traffic = Traffic("steady", ("a", "b"), costs, np.full_like(costs, 5))
    trials = {20: Trials()}
    alarms = follow(Ours(2), traffic, before=inject_spikes(traffic, trials))
    assert alarms.raised.sum() == 0
    assert trials[20].tried == 2 * len(range(3 * DAY, 4 * DAY - 15, 179))
    assert trials[20].found == 1
    assert max(trials[20].delays) <= 3


def test_a_spike_is_found_from_its_second_hump_on() -> None:
    """What is raised before the minute that counts has not found the spike; delays are counted from that minute."""
    costs = np.full((3 * DAY + 100, 1), 10**11, dtype=np.int64)
    traffic = Traffic("steady", ("a",), costs, np.full_like(costs, 5))
    humps = (*[20.0] * 5, *[0.0] * 60, *[90.0] * 5)
    once, again = Trials(), Trials()
    shapes = [(Shape(humps[:60], found_from=10), once), (Shape(humps, found_from=65), again)]
    follow(Ours(1), traffic, before=inject_shapes(traffic, shapes))
    assert (once.tried, once.delays) == (1, [])
    assert (again.tried, again.delays) == (1, [2])


@pytest.mark.parametrize("name", PEERS)
def test_every_peer_can_see_a_spike(name: str) -> None:
    """No rule is crippled: each finds a tenfold rise of a key that varies a little, and is quiet before."""
    statistic, threshold = PEERS[name]
    costs = np.random.default_rng(1).integers(9, 11, size=(2 * DAY, 1), endpoint=True) * 10**10
    peer = Peer.begin(statistic, np.array([threshold * 2]))
    assert follow(peer, Traffic("one", ("a",), costs, costs)).raised.sum() == 0
    told = [peer.step(2 * DAY + n, np.array([10**12]), np.array([1])).codes[0] for n in range(10)]
    assert 1 in told


def test_nothing_said_is_0_and_all_said_at_once_is_100() -> None:
    """The two ends of the scale of the Numenta Anomaly Benchmark, in every profile."""
    windows = ((400, 449), (800, 829))
    for weights in PROFILES.values():
        assert score([File(1000, windows, ())], weights) == 0
        assert score([File(1000, windows, (400, 800))], weights) == pytest.approx(100)


def test_early_is_better_and_once_is_enough() -> None:
    """A window counts by its earliest detection: 2 sigmoid(5 p) - 1 of the part p that is left, over that of all."""
    half = (2 / (1 + math.exp(-5 * 0.5)) - 1) / (2 / (1 + math.exp(-5)) - 1)
    for detections in ((425,), (425, 430, 449)):
        assert raw_score(File(1000, ((400, 449),), detections), _STANDARD) == pytest.approx(half)


def test_a_false_alarm_costs_the_more_the_farther_it_is() -> None:
    """Right behind a window nearly nothing, three lengths behind it and before the first one the whole weight."""
    one = ((400, 450),)

    def cost(row: int) -> float:
        return raw_score(File(1000, one, (row,)), _STANDARD) + 1

    assert cost(451) == pytest.approx(0.11 * (2 / (1 + math.exp(5 / 50)) - 1))
    assert [cost(row) for row in (300, 604, 999)] == pytest.approx([-0.11] * 3)
    assert cost(451) > cost(500) > cost(604)


def test_the_probation_counts_for_nothing() -> None:
    """What is detected in the first 15 % of a file is neither right nor wrong."""
    assert raw_score(File(1000, (), (0, 149)), _STANDARD) == 0
    assert raw_score(File(1000, (), (150,)), _STANDARD) == -0.11
    assert raw_score(File(10_000, (), (749, 750)), _STANDARD) == -0.11


def test_a_clone_of_the_benchmark_is_scored(tmp_path: Path) -> None:
    """Files and labels as numenta/NAB has them: a series with one spike, found within its window."""
    (tmp_path / "data" / "real").mkdir(parents=True)
    (tmp_path / "labels").mkdir()
    lines = [f"2014-04-{1 + n // 288:02} {n % 288 // 12:02}:{n % 12 * 5:02}:00,{50 if 1500 <= n < 1505 else n % 3 + 1}"
             for n in range(2000)]  # fmt: skip
    (tmp_path / "data" / "real" / "a.csv").write_text("\n".join(["timestamp,value", *lines]))
    windows = [["2014-04-06 04:00:00.000000", "2014-04-06 08:00:00.000000"]]
    (tmp_path / "labels" / "combined_windows.json").write_text(json.dumps({"real/a.csv": windows}))
    sheet = measure_nab(tmp_path)
    assert float(sheet.rows[0][1]) > 80
    assert detect([n % 3 + 1 for n in range(2000)], rows_per_day=288) == []
