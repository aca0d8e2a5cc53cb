"""Explanation: how much each field moved each row's log-odds, by the explainer that fits the model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ctrsel.core.catalog import Catalog
from ctrsel.core.errors import ConfigError, DataError
from ctrsel.core.log import event
from ctrsel.explain._contract import Explainer
from ctrsel.explain.attention import attention_maps
from ctrsel.explain.rows import sample_rows

if TYPE_CHECKING:
    from ctrsel.data.table import Table
    from ctrsel.models.model import Model
    from ctrsel.records.explanation import Explanation

__all__ = ["CATALOG", "Explainer", "attention_maps", "explain", "explainer_for", "sample_rows"]

CATALOG: Catalog[Explainer] = Catalog(__name__, Explainer, "explainer")


def explain(
    model: Model,
    table: Table,
    *,
    seed: int,
    rows: np.ndarray | int | None = None,
    split: str = "valid",
    explainer: Explainer | None = None,
) -> Explanation:
    """Attribute the logits of some rows to the fields.

    Args:
        model: What is explained.
        table: A Table of the model's Encoder.
        seed: Of everything drawn.
        rows: Row numbers in the table; or how many to draw from `split`, each class in proportion; None for as many as
            the explainer explains by default.
        split: Where rows are drawn from; a table without splits is drawn from as a whole.
        explainer: How; None for the one that fits the model.

    Raises:
        ConfigError: If the explainer does not accept the model.
        DataError: If a row is not in the table, or the table is another Encoder's.
        CtrselError: If the attributions do not add up to the logits.
    """
    chosen = explainer_for(model) if explainer is None else explainer
    if not chosen.accepts(model):
        raise ConfigError(f"explain: {type(chosen).__name__} does not explain a model of kind {model.predictor.kind!r}")
    if rows is None or isinstance(rows, int):
        picked = sample_rows(table, chosen.rows if rows is None else rows, split=split, seed=seed)
    else:
        picked = np.asarray(rows, dtype=np.int64)
        outside = (picked < 0) | (picked >= table.n_rows)
        if outside.any():
            raise DataError(f"explain: rows must be in 0..{table.n_rows - 1}, got {picked[outside][0]}")
    explanation = chosen.explain(model, table, rows=picked, seed=seed)
    event(
        "explain",
        method=explanation.method,
        rows=len(picked),
        **{f"check_{k}": v for k, v in explanation.checks.items()},
    )
    return explanation


def explainer_for(model: Model, *candidates: Explainer) -> Explainer:
    """Return the first candidate that accepts the model, those made for its kind before the general ones.

    Args:
        model: What is to be explained.
        candidates: Explainers with the parameters wanted; without any, every known one with its default parameters.

    Raises:
        ConfigError: If none accepts the model.
    """
    known = candidates or tuple(CATALOG.load(name)() for name in CATALOG.names())
    for candidate in sorted(known, key=lambda e: e.general):
        if candidate.accepts(model):
            return candidate
    names = ", ".join(type(e).__name__ for e in known)
    raise ConfigError(f"explain: none of {names} explains a model of kind {model.predictor.kind!r}")
