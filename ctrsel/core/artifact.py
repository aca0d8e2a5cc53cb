"""Saved artifacts: folders that appear whole or not at all, name their format, and digests of their content."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import hashlib
import json
import os
import re
import shutil
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ctrsel.core.errors import ConfigError, DataError

__all__ = [
    "MANIFEST",
    "atomic_folder",
    "atomic_text",
    "check_place",
    "digest_arrays",
    "digest_file",
    "digest_json",
    "read_array",
    "read_manifest",
    "to_json",
]

MANIFEST = "manifest.json"


def to_json(value: Any, *, indent: int | None = None) -> str:
    """Write canonical JSON: sorted keys, numpy scalars as numbers, NaN and infinities refused.

    Examples:
        >>> to_json({"b": np.float64(1.5), "a": [np.int64(2)]})
        '{"a": [2], "b": 1.5}'
    """

    def plain(item: Any) -> Any:
        if isinstance(item, np.generic):
            return item.item()
        if isinstance(item, np.ndarray):
            return item.tolist()
        if isinstance(item, Path):
            return str(item)
        raise TypeError(f"a saved artifact holds plain values, not {type(item).__name__}")

    return json.dumps(value, sort_keys=True, default=plain, allow_nan=False, indent=indent, ensure_ascii=False)


def digest_json(value: Any) -> str:
    """Return the first 16 hex digits of the SHA-256 of the canonical JSON of a plain value."""
    return hashlib.sha256(to_json(value).encode()).hexdigest()[:16]


def digest_arrays(arrays: Mapping[str, np.ndarray]) -> str:
    """Digest named arrays by name, shape, type and bytes; the order of the names does not matter."""
    h = hashlib.sha256()
    for name in sorted(arrays):
        a = np.ascontiguousarray(arrays[name])
        h.update(f"{name}|{a.dtype.str}|{a.shape}|".encode())
        h.update(a.reshape(-1).view(np.uint8).data if a.size else b"")
    return h.hexdigest()[:16]


def digest_file(path: Path) -> str:
    """Digest a file's bytes, read in pieces of 4 MiB."""
    h = hashlib.sha256()
    with path.open("rb") as f:
        while piece := f.read(1 << 22):
            h.update(piece)
    return h.hexdigest()[:16]


@contextlib.contextmanager
def atomic_folder(path: Path, *, manifest: Mapping[str, Any]) -> Iterator[Path]:
    """Fill a folder beside `path`, then put it in place with its manifest written last.

    Whatever happens in between (an exception, a kill, a full disk), `path` is either what it was before or the
    whole new folder: the manifest is written and everything synced before the rename.

    Args:
        path: Where the folder will stand; a saved one of the same format is replaced, behind a link where it lies.
        manifest: What the folder is; must hold `format` (name) and `version` (number).

    Yields:
        The folder to write into.

    Raises:
        ConfigError: If a folder stands there that is anything else: what it holds would be lost.
        DataError: If the disk is full.
    """
    path = path.resolve() if path.is_symlink() else path.absolute()
    check_place(path, format=manifest.get("format"))
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.parent / f".{path.name}.partial-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    partial.mkdir()
    try:
        yield partial
        check_place(path, format=manifest.get("format"))
        (partial / MANIFEST).write_text(to_json(dict(manifest), indent=1) + "\n", encoding="utf-8")
        for file in partial.rglob("*"):
            _sync(file)
        _sync(partial)
        if path.exists():
            _exchange(partial, path)
        else:
            partial.rename(path)
        _sync(path.parent)
        _remove(partial)
    except OSError as error:
        _remove(partial)
        if _full(error):
            raise DataError(f"{path}: no space is left on the disk for this folder; nothing was written") from error
        raise
    except BaseException:
        _remove(partial)
        raise


def check_place(path: Path, *, format: str | None = None) -> None:
    """Refuse a place whose folder holds anything but what may be replaced there.

    Args:
        path: Where a saved folder will stand.
        format: Of the folder; None if that is not known yet.

    Raises:
        ConfigError: If a folder stands there that is not empty, and is no saved folder, or one of another format.
    """
    if not path.is_dir():
        return
    held = sorted(p.name for p in path.iterdir())
    if not held:
        return
    try:
        kind = json.loads((path / MANIFEST).read_text(encoding="utf-8")).get("format")
    except (OSError, ValueError, AttributeError):
        kind = None
    if not isinstance(kind, str) or format not in (None, kind):
        what = f"is a saved {kind}" if isinstance(kind, str) else f"holds other files, such as {held[0]!r}"
        raise ConfigError(f"{path}: this folder {what}, which would be lost; name a new one, or remove it first")


def atomic_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all (beside, synced, renamed)."""
    path = path.absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.parent / f".{path.name}.partial-{uuid.uuid4().hex[:8]}"
    try:
        partial.write_text(text, encoding="utf-8")
        _sync(partial)
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        if _full(error):
            raise DataError(f"{path}: no space is left on the disk for this file; nothing was written") from error
        raise


def read_manifest(path: Path, *, format: str, version: int | tuple[int, ...]) -> dict[str, Any]:
    """Read a folder's manifest and check that it is the expected format, of the expected version or one of some.

    Raises:
        DataError: If the folder or its manifest is missing, unreadable, of another format or of a newer version.
    """
    file = Path(path) / MANIFEST
    if not file.is_file():
        raise DataError(f"{path}: expected a saved {format}, but there is no {MANIFEST} in it")
    try:
        manifest: Any = json.loads(file.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise DataError(f"{file}: expected JSON, got {error}") from error
    if not isinstance(manifest, dict) or manifest.get("format") != format:
        got = manifest.get("format") if isinstance(manifest, dict) else manifest
        raise DataError(f"{path}: expected a saved {format}, got {got!r}")
    versions = version if isinstance(version, tuple) else (version,)
    if manifest.get("version") not in versions:
        wanted = " or ".join(map(str, versions))
        raise DataError(f"{path}: expected {format} version {wanted}, got {manifest.get('version')!r}")
    return dict(manifest)


def read_array(file: Path, *, mapped: bool = False) -> np.ndarray:
    """Read one array of a saved folder, memory-mapped on request.

    Raises:
        DataError: If the file is missing or damaged.
    """
    try:
        array: np.ndarray = np.load(file, mmap_mode="r" if mapped else None, allow_pickle=False)
    except FileNotFoundError as error:
        raise DataError(f"{file}: this part of the saved folder is missing") from error
    except (ValueError, OSError, EOFError) as error:
        raise DataError(f"{file}: expected a whole .npy array, got: {str(error).splitlines()[0][:200]}") from error
    return array


def _full(error: OSError) -> bool:
    # Some libraries keep the number of the error in its text only.
    text = str(error)
    said = f"os error {errno.ENOSPC}" in text or re.search(r"\d+ requested and \d+ written", text) is not None
    return error.errno in (errno.ENOSPC, errno.EDQUOT) or said


def _exchange(new: Path, path: Path) -> None:
    """Let two paths change places in one step, so that a kill never leaves neither; the old one is at `new` then."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    here, swap = -100, 2  # AT_FDCWD, RENAME_EXCHANGE (Linux)
    if rename is not None and rename(here, os.fsencode(new), here, os.fsencode(path), swap) == 0:
        return
    # Two steps where the system or the file system has no exchange; a kill in between leaves the old one beside.
    old = path.parent / f".{path.name}.old-{uuid.uuid4().hex[:8]}"
    path.rename(old)
    try:
        new.rename(path)
    except BaseException:
        old.rename(path)
        raise
    old.rename(new)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
