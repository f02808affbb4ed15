"""Is what is checked before it is sent checked as consumers do it?"""

from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spendgauge.deploy.feeding.checks import plainly_valid, refusals
from spendgauge.deploy.feeding.feed import with_lines
from spendgauge.deploy.feeding.lines import event_ids, event_lines
from spendgauge.deploy.simulation.day import DAY_MS, simulate_day

NOW_MS = 1_790_000_000_000

TEXTS = st.one_of(
    st.none(), st.text(max_size=70), st.sampled_from(["", "ok", "error", "batch", "inclusive", "x" * 300])
)
COUNTS = st.one_of(st.none(), st.integers(-2, 2_000_000), st.sampled_from([0, 10**8, 10**8 + 1, 2**62]))
TIMES = st.one_of(
    st.integers(NOW_MS - 40 * DAY_MS, NOW_MS + DAY_MS),
    st.sampled_from([NOW_MS, NOW_MS - 29 * DAY_MS, NOW_MS - 30 * DAY_MS - 1, NOW_MS + 300_001, 0, -1]),
)
ROWS = st.lists(
    st.fixed_dictionaries(
        {"occurred_at_ms": TIMES, "provider": TEXTS, "model": TEXTS},
        optional={
            **dict.fromkeys(
                ["feature", "entity_id", "status", "service_tier", "usage_convention", "error_type"], TEXTS
            ),
            **dict.fromkeys(["input_tokens", "output_tokens", "web_search_requests", "latency_ms", "attempt"], COUNTS),
            **dict.fromkeys(["reasoning_tokens", "reported_total_tokens"], COUNTS),
            "started_at_ms": st.one_of(st.none(), TIMES),
        },
    ),
    min_size=1,
    max_size=8,
)


def frame_of(rows: list[dict[str, Any]]) -> pl.DataFrame:
    """Make the frame that a replay makes: nulls where nothing was given."""
    numbers = ("_tokens", "_ms", "_requests", "attempt")
    names = dict.fromkeys(name for row in rows for name in row)
    schema = {name: pl.Int64 if name.endswith(numbers) else pl.String for name in names}
    frame = pl.DataFrame(rows, schema=schema)
    return frame.select(event_ids(frame["occurred_at_ms"].clip(0)).alias("event_id"), pl.all())


@given(ROWS)
@settings(max_examples=200, deadline=None)
def test_what_is_plainly_valid_is_valid(rows: list[dict[str, Any]]) -> None:
    """Consumers take every row that the quick test lets pass without asking."""
    frame = frame_of(rows)
    plain = frame.filter(plainly_valid(frame, now_ms=NOW_MS))
    assert refusals(event_lines(plain), now_ms=NOW_MS) == {}


def test_usual_rows_are_plainly_valid() -> None:
    """The quick test lets usual rows pass: it is worth having."""
    frame = next(simulate_day(500, start_ms=NOW_MS - DAY_MS)).drop(
        *("host", "status", "attempt", "operation", "service_tier", "quality_score", "reasoning_tokens")
    )
    assert plainly_valid(frame, now_ms=NOW_MS).all()


def test_refusals_name_their_rows() -> None:
    """Each line that is no event is told by its index, with the reason, among many that are."""
    lines = with_lines(next(simulate_day(500, start_ms=NOW_MS - DAY_MS)), without=["host"])["line"].to_list()
    lines[7] = '{"model":"m"}'
    lines[333] = lines[333].replace('"provider"', '"supplier"')
    lines[499] = '{"model":"' + "x" * 9_000 + '"}'
    found = refusals(pl.Series(lines), now_ms=NOW_MS)
    assert list(found) == [7, 333, 499]
    assert "supplier" in found[333]
    assert found[499] == "the event has 9012 bytes, and at most 8192 are accepted"


@pytest.mark.parametrize(("days", "expected"), [(29, 0), (31, 1), (-1, 1)])
def test_now_decides_what_is_too_old(days: int, expected: int) -> None:
    """An event of 29 days ago is taken, one of 31 days ago or of tomorrow is not."""
    frame = frame_of([{"occurred_at_ms": NOW_MS - days * DAY_MS, "provider": "p", "model": "m"}])
    assert len(refusals(event_lines(frame), now_ms=NOW_MS)) == expected
