"""Journal: a study as a file of lines that several processes add to, and that a kill cannot spoil."""

from __future__ import annotations

import fcntl
import os
import threading
from pathlib import Path

from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

__all__ = ["open_journal"]


class _Flock(JournalFileOpenLock):
    """A lock that the system takes back from a process that dies; optuna's own is waited for half a minute then."""

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        self._path = path
        self._handle = -1
        self._threads = threading.Lock()

    def acquire(self) -> bool:
        """Wait for the lock."""
        self._threads.acquire()
        self._handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        fcntl.flock(self._handle, fcntl.LOCK_EX)
        return True

    def release(self) -> None:
        """Let the next one have it."""
        os.close(self._handle)
        self._threads.release()


def open_journal(path: Path) -> JournalStorage:
    """Open or begin a journal; a last line that a kill cut short is dropped.

    Args:
        path: The file, on a disk of this machine.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = _Flock(path.with_suffix(".lock"))
    lock.acquire()
    try:
        if path.exists():
            text = path.read_bytes()
            whole = text.rfind(b"\n") + 1
            if whole < len(text):
                os.truncate(path, whole)
    finally:
        lock.release()
    return JournalStorage(JournalFileBackend(str(path), lock_obj=lock))
