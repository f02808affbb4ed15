"""What does an import do? Nothing but define names, and it needs no more than the room's own extra promises."""

import json
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from tests.installed import canonical, installed_by
from tests.rooms import ROOT, modules

CHILD = Path(__file__).with_name("import_child.py")

EXTRAS = {
    "schemas": ("",),
    "producers": ("",),
    "streams": ("streams",),
    "sinks": ("sinks",),
    "insights": ("insights", "sinks"),
    "deploy": ("streams", "sinks", "insights", "deploy", "gateway"),
}
"""What is installed where a room runs ("" alone: the base install). The Dockerfile installs deploy's."""

NEEDS_EXTRA = (
    "spendgauge.schemas.chunks",
    "spendgauge.schemas.compiled",
    "spendgauge.schemas.monitor",
    "spendgauge.schemas.prices.book",
    "spendgauge.schemas.prices.columns",
    "spendgauge.schemas.prices.summing",
)
"""Modules of the light room that belong to the extras ``streams`` and ``sinks``; they are imported by name only."""

EMBEDDED = ("spendgauge.deploy.store.server",)
"""Modules that speak aiohttp, which the extra ``local`` has. Broker and engine are looked for when they start."""

SENDERS = ("spendgauge.streams.delivery.services", "spendgauge.streams.delivery.webhooks")
"""Modules that the extra ``alerts`` is for; they are imported when a channel asks for them."""

GATEWAY = "spendgauge.producers.gateway"
"""The part of the light room that belongs to the extra ``gateway``."""


def _absent(extras: tuple[str, ...]) -> list[str]:
    """List the importable names that an install with these extras does not have."""
    present = frozenset().union(*map(installed_by, extras))
    names = packages_distributions().items()
    return sorted(top for top, owners in names if not present & {canonical(owner) for owner in owners})


def _import_all(names: list[str], absent: list[str], *, root: Path = ROOT) -> list[str]:
    """Import these modules in a fresh interpreter where ``absent`` cannot be found; list what they did."""
    job = json.dumps({"names": names, "absent": absent, "root": str(root)})
    command = [sys.executable, "-B", str(CHILD)]
    done = subprocess.run(command, input=job, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr.splitlines()[-1]
    return list(json.loads(done.stdout))


@pytest.mark.parametrize("room", EXTRAS)
def test_a_room_needs_only_its_extra(room: str) -> None:
    """A room's modules import with nothing installed but what its extra names; a light room's with the base install."""
    others = (*NEEDS_EXTRA, *EMBEDDED, *SENDERS, GATEWAY)
    names = [module.name for module in modules(room) if not module.name.startswith(others)]
    _import_all(names, _absent(EXTRAS[room]))


def test_the_heavier_schemas_need_only_streams_or_sinks() -> None:
    """The codec, the price book and the monitor import with either of the extras that use them."""
    names = [module.name for module in modules("schemas")]
    for extra in ("streams", "sinks"):
        _import_all(names, _absent((extra,)))


def test_the_senders_need_only_their_extra() -> None:
    """What sends alerts imports with the extras ``streams`` and ``alerts``."""
    _import_all(list(SENDERS), _absent(("streams", "alerts")))


def test_who_tells_people_needs_no_frames() -> None:
    """The notifier, of which a second one only waits, starts without what counts: Faust, Polars, numba."""
    _import_all(["spendgauge.streams.delivery.notifier"], ["aiohttp", "faust", "numba", "numpy", "polars", "pyarrow"])


def test_the_gateway_needs_only_its_extra() -> None:
    """The gateway imports with nothing installed but the base and its extra; its settings with the base alone."""
    names = [module.name for module in modules("producers") if module.name.startswith(GATEWAY)]
    assert len(names) > 10
    _import_all(names, _absent(("gateway",)))
    _import_all([f"{GATEWAY}.settings"], _absent(("",)))


def test_importing_has_no_effect() -> None:
    """No module connects, listens, starts a thread or a process, opens a file or reads the environment at import."""
    names = [module.name for module in modules() if module.path.name != "__main__.py"]
    assert _import_all([name for name in names if name != "spendgauge.streams.worker"], []) == []


def test_an_effect_at_import_is_seen(tmp_path: Path) -> None:
    """The watcher above sees a file, a thread, a process and the environment, so its silence means something."""
    folder = tmp_path / "spendgauge"
    folder.mkdir()
    lines = [
        "import os, subprocess, threading",
        "open(__file__)",
        "threading.Thread(target=print, args=('',), kwargs={'end': ''}).start()",
        "subprocess.run(['true'])",
        "os.environ.get('HOME')",
        "os.environ['HOME']",
    ]
    (folder / "rude.py").write_text("\n".join(lines), encoding="utf-8")
    seen = _import_all(["rude"], [], root=tmp_path)
    assert {int(line.partition(":")[2].split()[0]) for line in seen} == {2, 3, 4, 5, 6}
