"""Finished fits in a work folder: what was trained there with the same table, learner and seed is not trained again."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ctrsel.core.artifact import MANIFEST, atomic_folder, digest_json, read_array, read_manifest
from ctrsel.core.catalog import describe
from ctrsel.core.log import event
from ctrsel.models.model import Model
from ctrsel.train._contract import Fit, Learner

if TYPE_CHECKING:
    from ctrsel.data.table import Table

__all__ = ["finished"]

_FORMAT, _UNSEEN = "ctrsel.finished", "unseen.npy"


def finished(learner: Learner, table: Table, *, seed: int, work: Path | None) -> Fit:
    """Fit a learner, or return the fit that lies finished in a folder.

    Args:
        learner: What is trained.
        table: On what.
        seed: Of the training.
        work: A folder for fits of any table, learner and seed, each in a subfolder named by a digest of the three, in
            which the learner itself may keep what it goes on from; None keeps nothing.

    Returns:
        The fit; without the gates of a search where it was read.
    """
    if work is None:
        return learner.fit(table, seed=seed)
    mine = Path(work) / digest_json([table.digest, describe(learner), seed])
    if (mine / "fit" / MANIFEST).is_file():
        event("member", result="finished before", folder=mine)
        return _load(mine / "fit")
    (mine / "work").mkdir(parents=True, exist_ok=True)
    fit = learner.fit(table, work=mine / "work", seed=seed)
    manifest = {
        "format": _FORMAT,
        "version": 1,
        "epochs": fit.epochs,
        "seconds": fit.seconds,
        "history": [dict(h) for h in fit.history],
        "valid": dict(fit.valid),
        "notes": list(fit.notes),
    }
    with atomic_folder(mine / "fit", manifest=manifest) as folder:
        fit.model.save(folder / "model")
        if fit.unseen is not None:
            np.save(folder / _UNSEEN, fit.unseen, allow_pickle=False)
    shutil.rmtree(mine / "work", ignore_errors=True)
    return fit


def _load(path: Path) -> Fit:
    m = read_manifest(path, format=_FORMAT, version=1)
    return Fit(
        model=Model.load(path / "model"),
        epochs=m["epochs"],
        seconds=m["seconds"],
        history=tuple(m["history"]),
        valid=m["valid"],
        notes=tuple(m["notes"]),
        unseen=read_array(path / _UNSEEN) if (path / _UNSEEN).is_file() else None,
    )
