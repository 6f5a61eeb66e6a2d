"""Compilation by numba, and how its cache learns of changes.

Without numba (there are platforms that it has no build for) the same code runs as plain Python:
the results are the same, some hundred times slower.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

P = ParamSpec("P")
T = TypeVar("T")


def inner(function: Callable[P, T]) -> Callable[P, T]:
    """Compile a function that only compiled ones call, into each of them.

    It is not cached by itself: it becomes part of the entry point that is.
    """
    return _compile(function, outermost=False)


def entry_point(function: Callable[P, T]) -> Callable[P, T]:
    """Compile a function that Python calls, and keep it on disk.

    The function must close over `sources_digest()` of its package and use it: numba's cache looks
    at the file of this function alone, and at the values that it closes over.
    """
    return _compile(function, outermost=True)


def sources_digest() -> str:
    """Return a digest of all modules of the kernel."""
    digest = hashlib.sha256()
    for module in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(module.read_bytes())
    return digest.hexdigest()


def _compile(function: Callable[P, T], *, outermost: bool) -> Callable[P, T]:
    if find_spec("numba") is None:
        return function
    # Read once, when numba is first imported. The higher levels take three times as long to
    # compile, and the simulation is no faster by them.
    os.environ.setdefault("NUMBA_OPT", "1")
    import numba

    njit: Any = numba.njit  # two of the options are known to the compiler, not to its types
    options = {
        "error_model": "numpy",  # no exceptions for a division by zero
        "forceinline": not outermost,
        # Nothing here allocates; reference counts would take most of the time.
        "_nrt": False,
        # Functions that Python does not call need no way in from it.
        "no_cpython_wrapper": not outermost,
        "no_cfunc_wrapper": True,
    }
    try:
        compiled = njit(cache=outermost, **options)(function)
    except RuntimeError:  # no folder that could be written to
        compiled = njit(**options)(function)
    return cast(Callable[P, T], compiled)
