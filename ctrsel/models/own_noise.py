"""Own noise: what draws from torch's generator does so alone, and leaves it as it was.

Torch's layers draw from one generator of the process. Two trainings in two threads would take each other's draws, and neither
could be made again from its seed; so one waits for the other.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

import torch

__all__ = ["own_noise"]

_ALONE = threading.RLock()  # a training within a training (an ensemble's) is the same thread


@contextlib.contextmanager
def own_noise(*, wait: bool = True) -> Iterator[None]:
    """Hold torch's generator while the block runs.

    Args:
        wait: For another thread that holds it. Without, as for weights that are read from a file anyway, the block runs beside
            it; what it draws is then missing there.

    Examples:
        >>> state = torch.get_rng_state()
        >>> with own_noise():
        ...     _ = torch.rand(3)
        >>> bool((torch.get_rng_state() == state).all())
        True
    """
    held = _ALONE.acquire(blocking=wait)
    try:
        with torch.random.fork_rng(devices=[]) if held else contextlib.nullcontext():
            yield
    finally:
        if held:
            _ALONE.release()
