"""The files of a vocabulary: an Arrow file of its values and arrays as `.npy`, large ones memory-mapped when they are loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from ctrsel.core.artifact import digest_arrays, digest_file, read_array
from ctrsel.core.errors import DataError
from ctrsel.data.hashing import Collision, Hashed
from ctrsel.data.texts import SortedTexts
from ctrsel.data.vocabulary import Vocabulary, smallest_uint

__all__ = ["changed", "load_vocabulary", "save_vocabulary", "vocabulary_digests"]

MAPPED = 1 << 22  # bytes; larger arrays stay in their files


def changed(path: Path, why: str) -> DataError:
    """Return the error of a folder whose content is not what was saved."""
    return DataError(f"{path}: the saved encoder was changed: {why}")


def _arrays(v: Vocabulary) -> dict[str, np.ndarray]:
    """Return a vocabulary's arrays by the names that they are saved under."""
    found: dict[str, np.ndarray | None] = {
        "codes": v.codes.astype(smallest_uint(v.size), copy=False),
        "counts": v.counts,
        "order": v.order,
        "remap": v.hashed.remap if v.hashed is not None else None,
        "distinct": v.hashed.distinct if v.hashed is not None else None,
    }
    return {k: a for k, a in found.items() if a is not None}


def _told(v: Vocabulary) -> dict[str, Any]:
    """Return what the manifest says of a hashed vocabulary."""
    if v.hashed is None:
        return {}
    return {"buckets": v.hashed.buckets, "heaviest": [asdict(c) for c in v.hashed.heaviest]}


def vocabulary_digests(v: Vocabulary) -> list[Any]:
    """Return what tells a vocabulary's content apart from any other."""
    return [v.values.digest, digest_arrays(_arrays(v)), _told(v)]


def save_vocabulary(folder: Path, number: int, v: Vocabulary) -> dict[str, Any]:
    """Save vocabulary `number` into an Encoder's folder; return what `load_vocabulary` must be told."""
    file = folder / f"values_{number}.arrow"
    v.values.save(file)
    arrays = _arrays(v)
    for kind, array in arrays.items():
        np.save(folder / f"{kind}_{number}.npy", array, allow_pickle=False)
    # A damaged small file must not reach the reader, which takes it for sound; a large one is only mapped.
    digest = digest_file(file) if file.stat().st_size <= MAPPED else None
    return {"arrays": list(arrays), "file": digest, **_told(v)}


def load_vocabulary(path: Path, number: int, told: Mapping[str, Any]) -> Vocabulary:
    """Load vocabulary `number` of a saved Encoder; what is large stays in its files.

    The content is not known to be what was saved before `vocabulary_digests` have been compared.

    Raises:
        DataError: If a file is missing or damaged.
    """
    file = path / f"values_{number}.arrow"
    try:
        if told["file"] is not None and digest_file(file) != told["file"]:
            raise changed(path, f"{file.name} is not the file that was saved")
    except OSError as error:
        raise DataError(f"{file}: this part of the saved folder is missing") from error
    arrays = {}
    for kind in told["arrays"]:
        at = path / f"{kind}_{number}.npy"
        arrays[kind] = np.asarray(read_array(at, mapped=at.exists() and at.stat().st_size > MAPPED))
    hashed = None
    if "buckets" in told:
        heaviest = [
            Collision(bucket=c["bucket"], texts=tuple(c["texts"]), counts=tuple(c["counts"])) for c in told["heaviest"]
        ]
        hashed = Hashed(
            buckets=told["buckets"],
            remap=arrays.get("remap"),
            distinct=arrays["distinct"],
            heaviest=tuple(heaviest),
        )
    return Vocabulary(
        name=told["name"],
        values=SortedTexts.load(file),
        codes=arrays["codes"],
        counts=arrays["counts"],
        order=arrays.get("order"),
        hashed=hashed,
    )
