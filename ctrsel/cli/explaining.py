"""Explaining: what `ctrsel explain` explains, the learners of a plan or a saved model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ctrsel.cli.work import Work
from ctrsel.data.sources import read_source
from ctrsel.explain import explain
from ctrsel.models.model import Model
from ctrsel.records.explanation import Explanation

if TYPE_CHECKING:
    from ctrsel.cli.source import Source

__all__ = ["explain_learners", "explain_saved"]


def explain_learners(work: Work, names: Sequence[str] | None) -> dict[str, Explanation]:
    """Train (or reuse) learners and explain each on validation rows, as the run does."""
    work.audit()
    fits = work.train(names)
    return {name: work.stages.explain(f"{name}, all values", fit.model, work.usable) for name, fit in fits.items()}


def explain_saved(folder: Path, source: Source, *, rows: int | None) -> Explanation:
    """Explain a saved model on raw rows."""
    model = Model.load(folder)
    frame = read_source(str(source.path), format=source.format or "auto", rows=source.rows)
    return explain(model, model.encoder.encode(frame), rows=rows, seed=source.seed or 1)
