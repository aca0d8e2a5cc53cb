"""Claims: who of several processes does a piece of work; the claim of a process ends with it, however it ends."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

__all__ = ["TakenError", "claimed"]

_LOOK = 0.05  # seconds between two tries


class TakenError(Exception):
    """Another process has claimed a piece of work, and nobody wanted to wait for it."""


@contextlib.contextmanager
def claimed(file: Path, *, seconds: float | None = 0.0, mode: int = 0o644) -> Iterator[bool]:
    """Hold a file's lock while the block runs, if no other process does.

    The file stays where it is: whoever removed it would let two processes hold the lock of one name. A second claim in the
    same process counts as another process's.

    Args:
        file: Made if it is not there; its folder must be.
        seconds: How long to wait for another process; None = as long as it takes.
        mode: Of the file, where it is made.

    Yields:
        Whether it is held. Where not, another process holds it.

    Raises:
        OSError: If the file cannot be made, or its file system knows no locks.

    Examples:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder, claimed(Path(folder) / "work") as mine:
        ...     with claimed(Path(folder) / "work") as theirs:
        ...         print(mine, theirs)
        True False
    """
    import fcntl  # not on every system that reads a saved model

    handle = os.open(file, os.O_RDWR | os.O_CREAT, mode)
    try:
        until = None if seconds is None else time.monotonic() + seconds
        held = False
        while not held:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                held = True
            except BlockingIOError:
                if until is not None and time.monotonic() >= until:
                    break
                time.sleep(_LOOK)
        yield held
    finally:
        os.close(handle)
