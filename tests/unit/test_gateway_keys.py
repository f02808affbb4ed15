"""Who may send, and for whom? Keys in a file, and what they do to events."""

import stat
from pathlib import Path

import pytest

from spendgauge.producers.gateway.keys import Key, KeyFile, add_key, read_keys
from spendgauge.producers.invalid import InvalidEventError
from spendgauge.schemas import ConfigurationError

NOW = 1_790_000_000_000


def test_a_key_is_found_by_what_was_shown_once(tmp_path: Path) -> None:
    """The file has the hash and not the key, only its owner can read it, and the key leads to its entry."""
    path = tmp_path / "keys.toml"
    first = add_key(path, "search", fixed={"environment": "prod"}, allowed={"team": ["a", "b"]}, now_ms=NOW)
    second = add_key(path, "ads.eu-1", fixed={"tenant": 'x"\\é🌍'}, allowed={}, now_ms=NOW)
    text = path.read_text(encoding="utf-8")
    assert (first in text, second in text, stat.S_IMODE(path.stat().st_mode)) == (False, False, 0o600)
    assert "created = 2026-09-21T14:13:20Z" in text
    ring = read_keys(path)
    assert ring.find(first) == Key("search", {"environment": "prod"}, {"team": frozenset({"a", "b"})})
    assert ring.find(second) == Key("ads.eu-1", {"tenant": 'x"\\é🌍'}, {})


@pytest.mark.parametrize("token", ["", "sg_", "sg_guess", "x" * 10_000, "é"])
def test_anything_else_is_no_key(tmp_path: Path, token: str) -> None:
    """What was never given out finds nothing, whatever its length."""
    path = tmp_path / "keys.toml"
    real = add_key(path, "search", fixed={}, allowed={}, now_ms=NOW)
    ring = read_keys(path)
    assert ring.find(token) is None
    assert ring.find(real[:-1]) is None
    assert ring.find(real + "x") is None
    assert len(real) == 46


def test_a_name_is_used_once(tmp_path: Path) -> None:
    """A second key of a name is refused, and the file is as it was."""
    path = tmp_path / "keys.toml"
    add_key(path, "search", fixed={}, allowed={}, now_ms=NOW)
    before = path.read_bytes()
    with pytest.raises(ConfigurationError, match="has a key search; remove its entry to revoke it"):
        add_key(path, "search", fixed={}, allowed={}, now_ms=NOW)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("name", "fixed", "allowed", "reason"),
    [
        ("a b", {}, {}, "'a b' is no name for a key"),
        ("", {}, {}, "is no name for a key"),
        ("a", {"model": "m"}, {}, "names model, which is no dimension; there are tenant, team"),
        ("a", {}, {"colour": ["red"]}, "names colour, which is no dimension"),
        ("a", {"team": "x" * 257}, {}, "set.team: String should have at most 256 characters"),
        ("a", {"team": "x\ny"}, {}, "set.team: String should match pattern"),
    ],
)
def test_a_key_that_cannot_work_is_not_made(
    tmp_path: Path, name: str, fixed: dict[str, str], allowed: dict[str, list[str]], reason: str
) -> None:
    """A wrong name, dimension or value is said, and no file is made."""
    with pytest.raises(ConfigurationError, match=reason):
        add_key(tmp_path / "keys.toml", name, fixed=fixed, allowed=allowed, now_ms=NOW)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "has no key"),
        ("keys = 5", r"\[keys.NAME\], once a key"),
        ("[[keys]]\nsha256 = 1", r"\[keys.NAME\], once a key"),
        ("[keys", "is not TOML"),
        ("[keys.a]\n", "the key a in .* cannot be used: sha256: Field required"),
        ('[keys.a]\nsha256 = "ABC"\n', "cannot be used: sha256: String should match pattern"),
        (f'[keys.a]\nsha256 = "{"0" * 64}"\nscope = "all"\n', "scope: Extra inputs are not permitted"),
    ],
)
def test_a_file_that_cannot_be_used_is_said(tmp_path: Path, text: str, reason: str) -> None:
    """A gateway does not start on a file without keys, or with an entry that says something unknown."""
    path = tmp_path / "keys.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=reason):
        KeyFile(path)


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    """Where there is no file, the sentence says how to make one."""
    with pytest.raises(ConfigurationError, match=r"No such file.*spendgauge gateway key NAME"):
        KeyFile(tmp_path / "keys.toml")


def test_a_change_is_seen_and_a_broken_file_changes_nothing(tmp_path: Path) -> None:
    """An entry that is removed is a key revoked; a file that cannot be read is said once, and the keys stay."""
    path = tmp_path / "keys.toml"
    first = add_key(path, "first", fixed={}, allowed={}, now_ms=NOW)
    keys, alone = KeyFile(path), path.read_text(encoding="utf-8")
    assert not keys.refresh()
    second = add_key(path, "second", fixed={}, allowed={}, now_ms=NOW)
    assert keys.refresh()
    assert [bool(keys.ring.find(token)) for token in (first, second)] == [True, True]
    path.write_text("[keys", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="is not TOML"):
        keys.refresh()
    assert not keys.refresh()
    assert keys.ring.find(second) is not None
    path.write_text(alone, encoding="utf-8")
    assert keys.refresh()
    assert [bool(keys.ring.find(token)) for token in (first, second)] == [True, False]


def test_a_key_fixes_and_bounds_dimensions() -> None:
    """What a key fixes wins over the event; what it allows bounds it, and an event that gives nothing is outside."""
    key = Key("search", {"environment": "prod"}, {"team": frozenset({"a"})})
    given = {"environment": "dev", "team": "a", "model": "m"}
    assert key.applied(given) == {"environment": "prod", "team": "a", "model": "m", "service": "search"}
    assert [key.applied({"team": "a", "service": given})["service"] for given in ("own", "", None, 0)] == [
        *("own", "search", "search"),
        0,  # no name at all: for the event's own rules to refuse
    ]
    for team in ("b", "", None, ["a"], 3):
        with pytest.raises(InvalidEventError, match="team must have one of the values that the key search may give"):
            key.applied({"team": team})
    with pytest.raises(InvalidEventError, match="team must have"):
        key.applied({})
