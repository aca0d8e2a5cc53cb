"""One thread: for timings that say so, whatever the libraries were told before."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

from threadpoolctl import threadpool_limits

__all__ = ["one_thread"]


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Let BLAS, OpenMP and torch compute on one thread, and give them theirs back afterwards.

    polars fixes its threads when it is first imported and is left as it is.
    """
    # torch counts its threads by itself, out of threadpoolctl's reach; where it is not loaded, nothing is to be done.
    torch = sys.modules.get("torch")
    before = None if torch is None else int(torch.get_num_threads())
    try:
        if torch is not None:
            torch.set_num_threads(1)
        with threadpool_limits(limits=1):
            yield
    finally:
        if torch is not None:
            torch.set_num_threads(before)
