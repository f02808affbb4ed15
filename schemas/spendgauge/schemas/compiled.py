"""How does a function become machine code? Numba compiles it when it is first called, and keeps it on disk.

Compiled functions run without the interpreter's lock. What they may use is a small part of Python: numbers, arrays
and named tuples of them, and each other, of one folder.
"""

from collections.abc import Callable
from contextlib import suppress
from functools import cache, wraps
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import numba
import numpy as np
import numpy.typing as npt

__all__ = ["Bytes", "Numbers", "compiled", "inlined", "interpreted", "kept", "signed", "unsigned"]

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])
Bytes = npt.NDArray[np.uint8]
Numbers = npt.NDArray[np.int64]

_jit: Final[Any] = numba.njit
"""Numba's types do not know ``_nrt``: what counts references. Nothing here makes arrays, and to count costs more than
all the rest."""
signed: Final[Any] = np.int64
unsigned: Final[Any] = np.uint64
"""What makes a number of that kind, as compiled code takes it; to it a number is no int."""


def compiled(function: F) -> F:
    """Have a function compiled together with those that call it."""
    return cast(F, _jit(nogil=True, _nrt=False)(function))


def inlined(function: F) -> F:
    """Have a function compiled into each place that calls it: tuples of arrays cost more to pass than most do."""
    return cast(F, _jit(nogil=True, _nrt=False, forceinline=True)(function))


def kept(function: F) -> F:
    """Have a function compiled when it is first called, and kept for the next process.

    It is kept where Python keeps what it compiles itself, or else in the user's cache directory; where neither can be
    written each process compiles for itself, which takes some seconds.
    """
    dispatcher = cache(lambda: _kept(function))

    @wraps(function)
    def call(*arguments: Any) -> Any:
        return dispatcher()(*arguments)

    return cast(F, call)


def _kept(function: Callable[..., Any]) -> Any:
    try:
        dispatcher = _jit(nogil=True, cache=True, _nrt=False)(function)
    except RuntimeError:
        return compiled(function)
    files = dispatcher._cache._cache_file
    # Numba looks at the function's own module alone, and would go on using what other modules said before.
    files._source_stamp = _sources_digest(Path(function.__code__.co_filename).parent)
    _forget_damaged(files)
    return dispatcher


def _forget_damaged(files: Any) -> None:
    """Have it compiled again where what was kept cannot be read: a machine that loses power leaves empty files."""
    try:
        for name in files._load_index().values():
            files._load_data(name)
    except Exception:  # noqa: BLE001 - whatever unpickling stumbles over
        with suppress(OSError):
            files.flush()


def interpreted(function: Callable[..., T]) -> Callable[..., T]:
    """Return the Python function of a compiled one."""
    return cast(Callable[..., T], cast(Any, function).py_func)


@cache
def _sources_digest(folder: Path) -> bytes:
    """Tell one state of the modules of a folder, and of this one, from another."""
    modules = (Path(__file__), *sorted(folder.glob("*.py")))
    return sha256(b"".join(module.read_bytes() for module in modules)).digest()
