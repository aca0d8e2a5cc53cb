"""Store: what lies beside a stored table for increments (facts, rejected rows), its lock, and scratch space for ingest."""

from __future__ import annotations

import glob
import json
import math
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ctrsel.core.artifact import atomic_text, check_place, to_json
from ctrsel.core.claims import claimed
from ctrsel.core.config import DataConfig, IngestConfig
from ctrsel.core.errors import ConfigError, DataError
from ctrsel.core.memory import available_memory
from ctrsel.data.raw import RawRows
from ctrsel.data.rejects import Rejects
from ctrsel.data.tally import STORE

__all__ = [
    "REJECTS",
    "check_settings",
    "file_digests",
    "limited",
    "locked",
    "memory_bytes",
    "note_rejects",
    "read_facts",
    "scratch_folder",
    "store_facts",
    "table_place",
]

REJECTS = "rejects.csv"
_FACTS = (
    "label_values",
    "given",
    "delay",
    "split",
    "settings",
    "seed",
    "next_row",
    "until",
    "temporal",
    "files",
    "tally",
)


def table_place(out: str | Path) -> Path:
    """Return the folder that a user named for a table, `~` expanded and links followed, if a table may be written there.

    Raises:
        ConfigError: If something else stands there, or the process runs inside of it.
    """
    if not str(out):
        raise ConfigError("out: name a folder for the table, got ''")
    place = Path(out).expanduser().resolve()
    if place.is_file():
        raise ConfigError(f"{out}: is a file; name a folder for the table")
    if not place.is_dir():
        return place
    here = Path.cwd()
    if place == here or place in here.parents:
        raise ConfigError(f"{out}: is the folder that this runs in, and would be replaced as a whole; name another one")
    check_place(place, format="ctrsel.table")
    return place


def check_settings(settings: IngestConfig) -> None:
    """Refuse settings that are no settings of anything.

    Raises:
        ConfigError: With the setting, its rule and its value.
    """
    if settings.max_cell < 1:
        raise ConfigError(f"ingest.max_cell: must be at least 1 character, got {settings.max_cell}")
    if settings.growth is not None and settings.growth < 0:
        raise ConfigError(f"ingest.growth: must be at least 0 values, got {settings.growth}")


def memory_bytes(settings: IngestConfig) -> int:
    """Return the bytes that the dictionaries may hold: the setting, else an eighth of the memory that is free."""
    if settings.memory_gb is not None:
        if not 0 < settings.memory_gb < math.inf:
            raise ConfigError(f"ingest.memory_gb: must be a number above 0, got {settings.memory_gb}")
        return int(settings.memory_gb * 2**30)
    return available_memory() // 8


@contextmanager
def scratch_folder(out: Path | None) -> Iterator[Path]:
    """Hold a folder for what does not fit in memory: beside the result, else where temporary files go."""
    beside = None
    if out is not None:
        target = out.absolute()
        target.parent.mkdir(parents=True, exist_ok=True)
        for stale in target.parent.glob(f".{glob.escape(target.name)}.scratch-*"):
            _sweep(stale, "scratch")
        beside = target.parent
        prefix = f".{target.name}.scratch-{os.getpid()}-"
    else:
        prefix = "ctrsel-ingest-"
    with tempfile.TemporaryDirectory(prefix=prefix, dir=beside, ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def _sweep(stale: Path, kind: str) -> None:
    """Remove the folder of a process that is gone."""
    owner = stale.name.rsplit(f".{kind}-", 1)[1].split("-")[0]
    if owner.isdecimal() and not Path(f"/proc/{owner}").exists():
        shutil.rmtree(stale, ignore_errors=True)


def store_facts(folder: Path, facts: dict[str, Any], rejects: Rejects, *, before: Path | None = None) -> None:
    """Write beside a table what an increment needs, and the rejected rows, after those of the store as it was before."""
    (folder / STORE).write_text(to_json(facts, indent=1) + "\n", encoding="utf-8")
    earlier = None if before is None else before / REJECTS
    if earlier is not None and earlier.is_file():
        shutil.copyfile(earlier, folder / REJECTS)
    if rejects.rows:
        rejects.save(folder / REJECTS)


def note_rejects(store: Path, facts: dict[str, Any], rejects: Rejects) -> None:
    """Write down what was rejected where nothing else changes; a kill in between leaves rows that are told once more."""
    file = store / REJECTS
    before = file.read_text(encoding="utf-8") if file.is_file() else ""
    atomic_text(file, before + rejects.text(header=not before))
    atomic_text(store / STORE, to_json(facts, indent=1) + "\n")


def read_facts(store: Path) -> dict[str, Any] | None:
    """Return what `store_facts` wrote beside a table; None if ingest did not write it.

    Raises:
        DataError: If the file is damaged.
    """
    file = store / STORE
    if not file.is_file():
        return None
    try:
        found: Any = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{file}: expected JSON, got {error}") from error
    lacking = [key for key in _FACTS if not isinstance(found, dict) or key not in found]
    if lacking:
        raise DataError(f"{file}: expected what ingest wrote, but {lacking[0]!r} is missing; the file was changed")
    return dict(found)


def file_digests(raw: RawRows, *, whole: bool = True) -> dict[str, str]:
    """Return the digests of the files that rows came from, by name; empty ones where they were not read to the end."""
    return {s.name: s.digest if whole else "" for s in raw.shards if s.name != "frame"}


def limited(data: Any) -> bool:
    """Whether a user wants the first rows of files only."""
    return isinstance(data, DataConfig) and data.rows is not None


@contextmanager
def locked(store: Path) -> Iterator[None]:
    """Hold a store alone for writing; the lock ends with the process, however it ends.

    Raises:
        ConfigError: If another process holds it.
    """
    store = store.absolute()
    store.parent.mkdir(parents=True, exist_ok=True)
    with claimed(store.parent / f".{store.name}.lock") as mine:
        if not mine:
            raise ConfigError(f"{store}: another process is writing this table; wait for it")
        for kind in ("partial", "scratch"):  # of a process that was killed
            for stale in store.parent.glob(f".{glob.escape(store.name)}.{kind}-*"):
                _sweep(stale, kind)
        yield
