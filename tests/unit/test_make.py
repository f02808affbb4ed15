"""Does ``make`` explain itself, and set up what it says?"""

import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from tests.installed import canonical, installed_by
from tests.rooms import ROOT

MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = re.findall(r"^([a-z][a-z-]*):", MAKEFILE, re.MULTILINE)


def _run(*command: str, path: Path | None = None) -> "subprocess.CompletedProcess[str]":
    """Run a command in the checkout; ``path`` is searched first for programs."""
    search = f"{path}{os.pathsep}/usr/bin{os.pathsep}/bin" if path else os.environ["PATH"]
    environment = {"PATH": search, "HOME": "/nonexistent"}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def _old_python(folder: Path, name: str, *, version: str) -> None:
    """Put a Python that says its version and can do nothing into a folder."""
    program = folder / name
    program.write_text(f'#!/bin/sh\n[ "$1" = --version ] && echo "Python {version}" && exit 0\nexit 1\n')
    program.chmod(0o755)


def test_make_alone_lists_every_target() -> None:
    """``make`` without a target changes nothing: it names each target with what it does."""
    listed = _run("make")
    assert listed.returncode == 0
    assert [line.split()[1] for line in listed.stdout.splitlines()] == TARGETS
    assert [line for line in listed.stdout.splitlines() if len(line.split()) < 5] == []


def test_every_target_of_the_issue_is_there() -> None:
    """A newcomer finds what the README and the habits of such projects promise."""
    assert {"setup", "test", "lint", "types", "demo", "up", "down", "clean", "constraints"} <= set(TARGETS)
    assert {"bench", "bench-streams", "bench-worker", "soak"} <= set(TARGETS)


def test_ci_types_what_the_readme_says() -> None:
    """The command that CI runs is the test command of the README."""
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert script.splitlines()[-1] == "make test"
    assert "```sh\nmake test\n```" in (ROOT / "README.md").read_text(encoding="utf-8")
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


def test_a_python_that_is_too_old_is_named_in_one_sentence(tmp_path: Path) -> None:
    """Where no Python on PATH will do, the set-up says which one it found and what to do, and makes nothing."""
    for name in ("python", "python3", "python3.11", "python3.12", "python3.13"):
        _old_python(tmp_path, name, version="3.9.2")
    refused = _run("deploy/setup.sh", str(tmp_path / "venv"), "pinned", path=tmp_path)
    assert refused.returncode == 1
    assert refused.stderr.count("\n") == 1
    assert "Python 3.9.2" in refused.stderr
    assert "make PYTHON=" in refused.stderr
    assert not (tmp_path / "venv").exists()


def test_a_named_python_is_the_one_that_counts(tmp_path: Path) -> None:
    """A Python that was named is taken or refused; no other one is taken in its place."""
    _old_python(tmp_path, "mine", version="2.7.18")
    refused = _run("deploy/setup.sh", str(tmp_path / "venv"), "pinned", str(tmp_path / "mine"))
    assert refused.returncode == 1
    assert "Python 2.7.18" in refused.stderr


def test_peers_are_pinned_and_kept_apart() -> None:
    """What the worker is measured beside has one exact version each, and is installed into no environment of ours."""
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["dependency-groups"]
    assert [line for line in groups["bench"] if not re.fullmatch(r"[\w-]+==[\w.]+", line)] == []
    installs = [line for line in MAKEFILE.splitlines() if "--group bench" in line]
    assert len(installs) == 1
    assert installs[0].startswith("\t@$(PEERS)/bin/python")


def _pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines if not line.startswith("#"))


def test_constraints_are_exact_and_name_no_place() -> None:
    """Every line of constraints.txt but its heading is name==version: no address, no option, no file."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()[1:]
    assert [line for line in lines if not re.fullmatch(r"[\w.-]+==[\w.+!]+", line)] == []


@pytest.mark.parametrize("extra", ["local", "dev"])
def test_constraints_pin_all_that_is_installed(extra: str) -> None:
    """Whatever an install of the project brings has a pin, so that two installs are the same."""
    pinned = {canonical(name) for name in _pins()}
    assert installed_by(extra) - {"spendgauge"} <= pinned
