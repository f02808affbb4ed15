"""How fast may a sender send? Timelines of a token bucket; its rate is 10 a second, so it holds 20."""

from hypothesis import given
from hypothesis import strategies as st

from spendgauge.producers.gateway.buckets import Bucket, Buckets


def test_a_burst_then_the_rate() -> None:
    """A full bucket gives two seconds' worth at once, then one each tenth of a second.

    seconds  0.0    0.0   0.05   0.1   0.1
    asked     20      1      1     1     1
    waits      0    0.1   0.05     0   0.1
    """
    bucket = Bucket(10.0, 0.0)
    asked = [(20, 0.0), (1, 0.0), (1, 0.05), (1, 0.1), (1, 0.1)]
    assert [round(bucket.take(count, at), 6) for count, at in asked] == [0, 0.1, 0.05, 0, 0.1]


def test_a_large_batch_is_late_not_impossible() -> None:
    """More than the bucket holds is given when it is full; the debt is paid before anything else is given.

    seconds  0.0   0.0   5.0    10.0
    asked    100     1     1       1
    waits      0   8.1   3.1       0
    """
    bucket = Bucket(10.0, 0.0)
    asked = [(100, 0.0), (1, 0.0), (1, 5.0), (1, 10.0)]
    assert [round(bucket.take(count, at), 6) for count, at in asked] == [0, 8.1, 3.1, 0]


@given(st.lists(st.tuples(st.integers(1, 50), st.floats(0, 3)), max_size=40))
def test_nobody_gets_more_than_rate_and_burst(asked: list[tuple[int, float]]) -> None:
    """Over any time at most the burst, the rate and one batch's debt are given; and who waits as told is served."""
    bucket, now, given_out = Bucket(10.0, 0.0), 0.0, 0
    for count, pause in asked:
        now += pause
        wait = bucket.take(count, now)
        if wait:
            now += wait
            assert bucket.take(count, now) == 0
        given_out += count
        assert given_out <= 20 + 10 * now + 50 + 1e-6


def test_senders_do_not_share() -> None:
    """One sender's haste costs no other anything."""
    buckets = Buckets(1.0, lambda: 0.0)
    assert buckets.take("a", 2) == 0
    assert buckets.take("a") > 0
    assert buckets.take("b") == 0
