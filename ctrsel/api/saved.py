"""Saved forms of what stages hand on that is more than one record: fits, and selections with their snapshot."""

from __future__ import annotations

from pathlib import Path

from ctrsel.core.artifact import atomic_folder, read_manifest
from ctrsel.models.model import Model
from ctrsel.records.feature_set import FeatureSet
from ctrsel.select import Selection
from ctrsel.train import Fit

__all__ = ["load_fit", "load_selection", "save_fit", "save_selection"]


def save_fit(fit: Fit, path: Path) -> None:
    """Save a fit's model and history; a search's gates live on in its selection."""
    manifest = {
        "format": "ctrsel.fit",
        "version": 1,
        "epochs": fit.epochs,
        "seconds": fit.seconds,
        "history": [dict(h) for h in fit.history],
        "valid": dict(fit.valid),
        "notes": list(fit.notes),
    }
    with atomic_folder(path, manifest=manifest) as folder:
        fit.model.save(folder / "model")


def load_fit(path: Path) -> Fit:
    """Load what `save_fit` wrote."""
    m = read_manifest(path, format="ctrsel.fit", version=1)
    return Fit(
        model=Model.load(path / "model"),
        epochs=m["epochs"],
        seconds=m["seconds"],
        history=tuple(m["history"]),
        valid=m["valid"],
        notes=tuple(m.get("notes", ())),
    )


def save_selection(selection: Selection, path: Path) -> None:
    """Save a selection with its snapshot."""
    manifest = {
        "format": "ctrsel.selection",
        "version": 1,
        "seconds": selection.seconds,
        "history": [dict(h) for h in selection.history],
        "snapshot": selection.snapshot is not None,
    }
    with atomic_folder(path, manifest=manifest) as folder:
        selection.features.save(folder / "features")
        if selection.snapshot is not None:
            selection.snapshot.save(folder / "snapshot")


def load_selection(path: Path) -> Selection:
    """Load what `save_selection` wrote."""
    m = read_manifest(path, format="ctrsel.selection", version=1)
    snapshot = Model.load(path / "snapshot") if m["snapshot"] else None
    return Selection(
        features=FeatureSet.load(path / "features"),
        snapshot=snapshot,
        history=tuple(m["history"]),
        seconds=m["seconds"],
    )
