"""Scratch: large arrays in files that have no name, so that the system removes them however the process ends."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ctrsel.core.errors import DataError

__all__ = ["in_memory_folder", "mapped_arrays", "scratch_file"]

_ALIGN = 64  # bytes: where an array starts in the file


def scratch_file(size: int, *, folder: Path | None = None) -> BinaryIO:
    """Open a nameless file whose space is taken at once.

    The file is gone when it is closed and nothing maps it any more, after `kill -9` too: nothing is left to sweep.

    Args:
        size: Bytes.
        folder: Where; None for the system's folder for temporary files (TMPDIR).

    Raises:
        DataError: If the folder cannot be written or has no space for it.
    """
    place = Path(tempfile.gettempdir() if folder is None else folder)
    try:
        with contextlib.ExitStack() as stack:
            file = stack.enter_context(tempfile.TemporaryFile(prefix="ctrsel-", dir=place))
            if size and hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size)
            elif size:
                file.truncate(size)
            stack.pop_all()
            return file
    except OSError as error:
        why = (
            "is full"
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
            else f"cannot be written: {error.strerror}"
        )
        raise DataError(
            f"{place}: {size / 2**30:.2f} GiB of scratch are needed here, but it {why}; set TMPDIR"
        ) from error


def mapped_arrays(shapes: list[tuple[int, np.dtype[np.generic]]], *, folder: Path | None = None) -> list[np.ndarray]:
    """Return one-dimensional arrays of the given lengths and types, all mapped from one scratch file.

    Raises:
        DataError: See `scratch_file`.
    """
    starts, total = [], 0
    for length, dtype in shapes:
        starts.append(total)
        total += -(-length * dtype.itemsize // _ALIGN) * _ALIGN
    if total == 0:
        return [np.empty(0, dtype=dtype) for _, dtype in shapes]
    with scratch_file(total, folder=folder) as file:
        whole = np.memmap(file, dtype=np.uint8, mode="r+", shape=(total,))
    return [
        whole[start : start + length * dtype.itemsize].view(dtype)
        for start, (length, dtype) in zip(starts, shapes, strict=True)
    ]


def in_memory_folder(folder: Path | None = None) -> bool:
    """Tell whether the scratch folder is itself kept in memory (tmpfs), where scratch files save nothing."""
    place = str(Path(tempfile.gettempdir() if folder is None else folder).resolve())
    try:
        lines = Path("/proc/mounts").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    mounts = [line.split()[1:3] for line in lines]
    over = [(len(path), kind) for path, kind in mounts if place == path or place.startswith(path.rstrip("/") + "/")]
    return bool(over) and max(over)[1] in ("tmpfs", "ramfs")
