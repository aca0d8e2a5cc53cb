"""Saved feature sets: found in whatever folder holds one, and bound to the texts that they keep."""

from __future__ import annotations

import json
from pathlib import Path

from ctrsel.core.artifact import MANIFEST
from ctrsel.core.errors import ConfigError, DataError
from ctrsel.data.applied import AppliedFeatureSet
from ctrsel.data.encoder import Encoder
from ctrsel.data.table import Table
from ctrsel.records.feature_set import FeatureSet

__all__ = ["feature_set_folder", "load_feature_set"]

_INSIDE = ("feature_set", "features")  # of a run or of `ctrsel select --out`, and of a saved selection


def load_feature_set(path: str | Path, *, table: Table | Encoder | str | Path | None = None) -> AppliedFeatureSet:
    """Load a feature set that can be applied to raw rows.

    Args:
        path: Its folder, or one that holds it: a run's, a saved selection's, or that of one selector of `ctrsel select`.
        table: The table that it decides on, its Encoder, or the folder of either; for a set that was saved alone.

    Raises:
        ConfigError: If the folder holds several feature sets.
        DataError: If there is none, or it was saved without the texts that it keeps and no table is given.

    Examples:
        >>> import tempfile
        >>> from ctrsel.testing.tables import tiny_frame, tiny_table
        >>> encoder = tiny_table().encoder
        >>> keep = {"ad": encoder.vocabulary("ad").counts > 30}
        >>> features = FeatureSet.from_keep(keep, fields=("ad",), method="toy", params={}, encoder=encoder.digest)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     AppliedFeatureSet.of(features, encoder).save(Path(folder) / "feature_set")
        ...     load_feature_set(folder).transform(tiny_frame(rows=3)).columns
        ['ad']
    """
    folder = feature_set_folder(Path(path))
    if table is None:
        return AppliedFeatureSet.load(folder)
    return AppliedFeatureSet.of(FeatureSet.load(folder), _encoder(table))


def feature_set_folder(path: Path) -> Path:
    """Return the folder of the one feature set that a folder is or holds.

    Raises:
        ConfigError: If it holds several.
        DataError: If it holds none.
    """
    for folder in (path, *(path / name for name in _INSIDE)):
        if _is_set(folder):
            return folder
    if not path.is_dir():
        raise DataError(f"{path}: there is no such folder")
    found = sorted(p.name for p in path.iterdir() if any(_is_set(p / name) for name in _INSIDE))
    if len(found) == 1:
        return feature_set_folder(path / found[0])
    if found:
        raise ConfigError(f"{path}: holds several feature sets; name one of {', '.join(str(path / n) for n in found)}")
    raise DataError(f"{path}: expected a saved feature set, or a folder that holds one, such as runs/NAME")


def _is_set(folder: Path) -> bool:
    try:
        return bool(json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["format"] == "ctrsel.feature_set")
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _encoder(given: Table | Encoder | str | Path) -> Encoder:
    if isinstance(given, Encoder):
        return given
    if isinstance(given, Table):
        return given.encoder
    path = Path(given)
    return Encoder.load(path / "encoder" if (path / "encoder" / MANIFEST).is_file() else path)
