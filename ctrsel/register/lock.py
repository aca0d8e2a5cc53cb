"""Lock: one process at a time changes aliases and the promotion log of a store; a killed one leaves nothing locked."""

from __future__ import annotations

import contextlib
import hashlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ctrsel.core.claims import claimed
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
    file = _place(store)
    with contextlib.ExitStack() as stack:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            mine = stack.enter_context(claimed(file, seconds=wait, mode=0o666))
        except OSError as error:
            raise ConfigError(f"register: the lock {file} cannot be made: {error.strerror}") from error
        if not mine:
            raise UnreachableError(
                f"register: another process has held the promotions of {public_uri(store.uri)} for over {wait:.0f} s"
            )
        yield


def _place(store: Store) -> Path:
    database = store.database_file
    if database is not None:
        return database.parent / f".{database.name}.promotions-lock"
    return Path(tempfile.gettempdir()) / f"ctrsel-{hashlib.sha256(store.uri.encode()).hexdigest()[:16]}.lock"
