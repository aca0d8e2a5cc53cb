"""Reasons: what a row's log-odds would lose if one of its inputs had no value, and which values the model did not know.

Reference: Robnik-Sikonja and Kononenko, "Explaining classifications for individual instances", 2008 (the difference of
log-odds with and without a value). Here "without" is the model's own code for a missing value, and a column is left out
with all crosses that read it. The effects of a row do not add up to its log-odds, since columns act together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from ctrsel.serve.serving_model import Scored, ServingModel

__all__ = ["METHOD", "Reason", "reasons"]

METHOD = "leave_one_out"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why a row has its score.

    Attributes:
        effects: By column that has a value in the row: log-odds as they are minus those without the value, of the first
            label; the largest in size first.
        unknown: Fields whose value has no code of its own: never seen in training, too rare there, or dropped.
        missing: Fields without a value.
    """

    effects: Mapping[str, float]
    unknown: tuple[str, ...]
    missing: tuple[str, ...]


def reasons(model: ServingModel, rows: pl.DataFrame, scored: Scored) -> tuple[Reason, ...]:
    """Explain scores; costs one more scoring of the rows per column.

    Args:
        model: What scored them.
        rows: The raw rows.
        scored: Their scores.
    """
    columns = [c for c in rows.columns if c in model.inputs]
    z = scored.logits[:, 0].astype(np.float64)
    effects = np.zeros((rows.height, len(columns)))
    present = np.zeros((rows.height, len(columns)), dtype=bool)
    for j, name in enumerate(columns):
        present[:, j] = ~_empty(rows[name])
        at = np.flatnonzero(present[:, j])
        if len(at):
            # The column stays, as nulls: a frame without any column would have no rows.
            without = rows[at].with_columns(pl.lit(None, dtype=rows.schema[name]).alias(name))
            effects[at, j] = z[at] - model.score(without).logits[:, 0].astype(np.float64)
    found = []
    for i in range(rows.height):
        order = sorted(np.flatnonzero(present[i]).tolist(), key=lambda j: -abs(effects[i, j]))
        found.append(
            Reason(
                effects={columns[j]: float(effects[i, j]) for j in order},
                unknown=tuple(n for n, at in scored.other_at.items() if at[i]),
                missing=tuple(n for n, at in scored.missing_at.items() if at[i]),
            )
        )
    return tuple(found)


def _empty(values: pl.Series) -> np.ndarray:
    """Whether each value says nothing: null, or an empty text or list."""
    empty = values.is_null()
    if values.dtype == pl.String:
        empty = empty | (values == "").fill_null(value=False)
    if isinstance(values.dtype, pl.List):
        empty = empty | (values.list.len() == 0).fill_null(value=False)
    return empty.to_numpy()
