"""Lock: one process at a time changes aliases and the promotion log of a store; a killed one leaves nothing locked."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from ctrsel.core.errors import ConfigError, UnreachableError
from ctrsel.register.store import Store, public_uri

__all__ = ["held"]

_WAIT = 300.0  # seconds; a change takes well below one


@contextlib.contextmanager
def held(store: Store, *, wait: float = _WAIT) -> Iterator[None]:
    """Hold the store's lock, a file beside an SQLite database, else one of this machine; it ends with the process.

    Args:
        store: Which store.
        wait: Seconds for which other processes may hold it.

    Raises:
        UnreachableError: If others hold it for longer.
        ConfigError: If the file cannot be made.
    """
    import fcntl

    file = _place(store)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise ConfigError(f"register: the lock {file} cannot be made: {error.strerror}") from error
    try:
        until = time.monotonic() + wait
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() >= until:
                    raise UnreachableError(
                        f"register: another process has held the promotions of {public_uri(store.uri)} for over {wait:.0f} s"
                    ) from error
                time.sleep(0.05)
        yield
    finally:
        os.close(handle)


def _place(store: Store) -> Path:
    database = store.database_file
    if database is not None:
        return database.parent / f".{database.name}.promotions-lock"
    return Path(tempfile.gettempdir()) / f"ctrsel-{hashlib.sha256(store.uri.encode()).hexdigest()[:16]}.lock"
