"""What the rankers of single fields share: the held-out gain, columns that say what a field is like, and the ranking's frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ctrsel.records.feature_set import MISSING, RESERVED
from ctrsel.stats.held_out import held_out_gain, weighted_held_out_gain

if TYPE_CHECKING:
    import polars as pl

    from ctrsel.rank.counts import FieldCounts

__all__ = ["field_frame", "gain_of", "shape_of"]


def gain_of(counts: FieldCounts, *, prior: float) -> float | None:
    """Return the held-out gain of a field [nats a validation row, or a unit of weight]; None without validation rows.

    The prior counts as so many rows of average weight.
    """
    train, valid = counts.train, counts.valid
    if valid is None:
        return None
    # Values without validation rows matter through the base rate only: one stands for them all.
    held = valid.occupied
    if counts.weighted_train is None or counts.weighted_valid is None:
        known = [np.append(c, whole - c.sum()) for c, whole in zip(train.at(held), train.sums, strict=True)]
        asked = [np.append(c, 0) for c in valid.at(held)]
        return held_out_gain(*known, *asked, prior=prior)
    sums, asked_sums = counts.weighted_train, counts.weighted_valid
    known = [np.append(c[held], c[~held].sum()) for c in (sums.positives, sums.totals)]
    asked = [np.append(c[held], 0.0) for c in (asked_sums.positives, asked_sums.totals)]
    weight = float(sums.totals.sum())
    if weight == 0.0:
        return None
    return weighted_held_out_gain(*known, *asked, prior=prior * weight / max(train.rows, 1))


def shape_of(counts: FieldCounts) -> dict[str, float]:
    """Return `values` (with a code of their own and training rows) and `missing_share` (of training rows)."""
    train = counts.train
    return {
        "values": int(np.count_nonzero(train.occupied[RESERVED:])),
        "missing_share": float(train.at(MISSING)[1][0]) / max(train.rows, 1),
    }


def field_frame(
    rows: Mapping[str, Mapping[str, Any]], *, score: str, columns: Sequence[str], texts: Sequence[str] = ()
) -> pl.DataFrame:
    """Return the frame of a ranking of fields, best first; ties stand in the order of their names.

    Args:
        rows: Numbers and texts by field.
        score: Which of them is the score.
        columns: Further columns in this order, the score's own name included where it is to be seen.
        texts: Those of the columns that hold text.
    """
    import polars as pl

    names = sorted(rows, key=lambda name: (-float(rows[name][score]), name))
    whole = {"values"}
    types = {c: pl.String if c in texts else pl.Int64 if c in whole else pl.Float64 for c in columns}
    return pl.DataFrame(
        [
            {"field": name, "score": float(rows[name][score]), "rank": place, **{c: rows[name][c] for c in columns}}
            for place, name in enumerate(names, start=1)
        ],
        schema={"field": pl.String, "score": pl.Float64, "rank": pl.Int64, **types},
    )
