"""What happens when these modules are imported? Run by ``test_layout_imports`` in a fresh interpreter.

Reads a job from standard input (names to import, top-level names that must not be found, the checkout's root) and
prints what the project's own code did meanwhile. What a library does at its own import is its own affair.
"""

import importlib
import json
import os
import sys
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

EFFECTS = ("socket.", "subprocess.", "open", "os.", "shutil.", "tempfile.", "signal.")
HARMLESS = ("os.listdir", "os.scandir", "os.putenv")

job = json.load(sys.stdin)
seen: list[str] = []


def _ours(*, direct: bool = False) -> str | None:
    """Find the project's line that is running, unless an import statement stands between it and here.

    ``direct`` forgives what an installed library reads for itself: pydantic looks for its plugins and switches.
    """
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        name = frame.f_code.co_filename
        if name.startswith("<frozen importlib"):
            return None
        if name.startswith(job["root"]) and "/spendgauge/" in name:
            return f"{os.path.relpath(name, job['root'])}:{frame.f_lineno}"
        if direct and "site-packages" in name:
            return None
        frame = frame.f_back
    return None


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    reads = event == "open" and arguments[1] in ("r", "rb", None)
    if event.startswith(EFFECTS) and event not in HARMLESS and (place := _ours(direct=reads)):
        seen.append(f"{place} {event} {str(arguments)[:200]}")


class _Environment(dict[str, str]):
    """An environment that tells who reads it."""

    def __getitem__(self, name: str) -> str:
        _tell(name)
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        _tell(name)
        return super().get(name, default)

    def __iter__(self) -> Iterator[str]:
        _tell("all of it")
        return super().__iter__()


def _tell(name: str) -> None:
    if place := _ours(direct=True):
        seen.append(f"{place} reads the environment: {name}")


class _Thread(threading.Thread):
    """A thread that tells who starts it (only Python 3.12 audits that)."""

    def start(self) -> None:
        if place := _ours():
            seen.append(f"{place} starts a thread")
        super().start()


class _Absent:
    """Finds nothing under the names that are not installed here."""

    def find_spec(self, name: str, *_: object) -> None:
        if name.partition(".")[0] in job["absent"]:
            raise ModuleNotFoundError(f"{name} is not part of this install", name=name)


sys.meta_path.insert(0, _Absent())
sys.path.insert(0, f"{job['root']}/spendgauge")
os.environ = _Environment(os.environ)  # type: ignore[assignment]  # noqa: B003 - not to clear it, to hear who reads
threading.Thread = _Thread  # type: ignore[misc]  # every import from here on gets the one that tells
sys.addaudithook(_hear)
for module in job["names"]:
    importlib.import_module(module)
print(json.dumps(seen))
