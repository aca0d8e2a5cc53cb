"""Compile a loop with numba and keep its type."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

__all__ = ["fast_kernel", "kernel"]

Function = TypeVar("Function", bound=Callable[..., Any])


def kernel(function: Function) -> Function:
    """Compile ``function`` on first call, cached on disk, without holding the interpreter lock.

    Without the lock, one thread per field counts a table. Where no folder for the cache can be written (a read-only
    installation without a home) the function is compiled once per process instead; results are the same.

    Args:
        function: A loop over arrays and numbers that numba can compile.

    Returns:
        The compiled function, typed as the one given.

    Examples:
        >>> @kernel
        ... def double(x: float) -> float:
        ...     return 2.0 * x
        >>> double(3.0)
        6.0
    """
    return _compiled(function, {"nogil": True, "error_model": "numpy"})


def fast_kernel(function: Function) -> Function:
    """Compile ``function`` as :func:`kernel` does, and let sums be taken in another order than written.

    Sums then run over several entries at once; they are rounded otherwise, and the same from call to call.
    """
    fast = {"reassoc", "contract", "nsz", "arcp"}  # nan and infinity keep their meaning
    return _compiled(function, {"nogil": True, "error_model": "numpy", "fastmath": fast})


def _compiled(function: Function, options: dict[str, Any]) -> Function:
    try:
        return cast(Function, numba.njit(cache=True, **options)(function))
    except RuntimeError:  # numba found no folder that it may write its cache to
        return cast(Function, numba.njit(**options)(function))
