"""Children: processes of our own that do not outlive who started them, and find the same packages."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from pathlib import Path

__all__ = ["die_with", "import_path"]

_PR_SET_PDEATHSIG = 1  # Linux


def die_with(parent: int) -> None:
    """Ask the system to kill this process as soon as its parent is gone, however that went.

    Args:
        parent: The process id of who started this one; if that has gone already, this process ends here.
    """
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it went before we asked
        os._exit(1)


def import_path() -> str:
    """Return where a child finds what this process finds, this very package first.

    A model that was loaded from MLflow leaves the folder of its code on the path, with the part of this package it needs.
    """
    return os.pathsep.join([str(Path(__file__).parents[2]), *(p or str(Path.cwd()) for p in sys.path)])
