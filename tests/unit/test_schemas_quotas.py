"""What must be true of quotas and refusals on the wire?"""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from spendgauge.schemas import QuotaClock, QuotaLimit, QuotaRefusal, QuotaStanding
from spendgauge.schemas.quotas import (
    amount_of,
    amount_text,
    clock_key,
    limit_key,
    read_quota,
    read_quota_key,
    standing_key,
)

LIMIT: dict[str, Any] = {
    "kind": "limit",
    "name": "a user",
    "series": "user_id",
    "key": ("*",),
    "unit": "usd",
    "soft": None,
    "hard": "25.000000000000",
    "period": "month",
    "days": None,
    "time_zone": "UTC",
}
STANDING: dict[str, Any] = {
    "kind": "standing",
    "name": "a user",
    "series": "user_id",
    "key": ("u1",),
    "unit": "tokens",
    "spent": "12",
    "period_start": 0,
    "resets_at": None,
    "as_of_ms": 0,
    "state": "ok",
    "partition": 0,
}


@given(st.text(min_size=1, max_size=100), st.lists(st.text(max_size=9), max_size=3), st.integers(0, 2**31 - 1))
def test_a_key_is_read_as_it_was_written(name: str, key: list[str], partition: int) -> None:
    """All kinds of keys come back as they were, whatever the names hold, and stay apart."""
    assert read_quota_key(limit_key(name)) == ("limit", name)
    assert read_quota_key(standing_key(name, tuple(key))) == ("standing", name, tuple(key))
    assert read_quota_key(clock_key(partition)) == ("clock", partition)


@pytest.mark.parametrize(
    "key", [None, b"", b"{", b'["limit"]', b'["clock","1"]', b'["standing","a"]', b'["novel","a"]']
)
def test_a_foreign_key_is_none(key: bytes | None) -> None:
    """What is no key of ours is told apart instead of guessed at."""
    assert read_quota_key(key) is None


def test_a_record_is_read_as_it_was_written() -> None:
    """Each kind of line is read back as itself, under the key that names it; what is none of ours is None."""
    clock = QuotaClock(kind="clock", partition=2, as_of_ms=7)
    for line in (QuotaLimit(**LIMIT), QuotaStanding(**STANDING), clock):
        key, value = line.entry()
        assert read_quota(value) == line
        assert read_quota_key(key)[0] == line.kind  # type: ignore[index]  # None would fail the test as well
    assert clock.entry()[0] == b'["clock",2]'
    assert read_quota(b'{"kind":"novel"}') is None


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"key": ()}, r"key \(\) must have 1 values, one for each dimension of user_id"),
        ({"hard": None}, "quota 'a user' has no limit"),
        ({"hard": "25"}, "25 is no amount of usd"),
        ({"unit": "tokens"}, "25.000000000000 is no amount of tokens"),
        ({"period": "rolling"}, "a rolling one has days"),
        ({"days": 3}, "no other has"),
    ],
)
def test_a_limit_agrees_with_itself(fields: dict[str, Any], fault: str) -> None:
    """A limit has a value for each dimension, an amount in its unit, and days only where its period rolls."""
    with pytest.raises(ValidationError, match=fault):
        QuotaLimit(**(LIMIT | fields))


def test_a_standing_agrees_with_itself() -> None:
    """What is spent is written in the limit's unit, for a key of the limit's series."""
    with pytest.raises(ValidationError, match="12 is no amount of usd"):
        QuotaStanding(**(STANDING | {"unit": "usd"}))
    with pytest.raises(ValidationError, match="must have 2 values"):
        QuotaStanding(**(STANDING | {"series": "feature+model"}))


@given(st.integers(-(10**26), 10**26))
def test_amounts_are_exact(amount: int) -> None:
    """Picodollars and tokens come back from their text to the last digit."""
    assert amount_of(amount_text(amount, "usd"), "usd") == amount
    assert amount_of(amount_text(amount, "tokens"), "tokens") == amount


@pytest.mark.parametrize("model", [QuotaLimit, QuotaStanding, QuotaClock, QuotaRefusal])
def test_every_field_is_described(model: type[BaseModel]) -> None:
    """Each field says what it means: the JSON Schema is made of it."""
    assert [name for name, field in model.model_fields.items() if not field.description] == []
