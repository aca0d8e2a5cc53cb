"""attention_maps: where the slots of an AutoInt look, averaged over rows.

Reference: Song et al., "AutoInt: automatic feature interaction learning via self-attentive neural networks", 2019, section
5.4. The maps describe how a net mixes its fields; they are no attributions: the residual path and what is done with the
mixture do not show in them. That they need not agree with gradients or with what decides a prediction is shown by Jain and
Wallace, "Attention is not explanation", 2019.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ctrsel.core.errors import ConfigError, CtrselError, DataError
from ctrsel.core.log import event
from ctrsel.explain.rows import sample_rows

if TYPE_CHECKING:
    import polars as pl

    from ctrsel.data.table import Table
    from ctrsel.models.model import Model

__all__ = ["AttentionMaps", "attention_maps"]

_BATCH = 4096  # rows at once
_TOLERANCE = 1e-4  # float32 sums of up to some hundred shares are off by 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionMaps:
    """Mean attention weights of a sample of rows.

    Shape:
        L layers, H heads, F slots.

    Attributes:
        fields: Names of the slots.
        mean: float64 `[L, H, F, F]`: the share of slot `[.., i, j]` in what slot i takes in; rows sum to 1.
        error: float64 `[L, H, F, F]`, standard error of the mean over the rows; nan for a single row.
        rows: Row numbers in the table.
        checks: "row_sums": largest distance of a row's sum from 1, over all rows, layers and heads.
        model: Digest of the model.
    """

    fields: tuple[str, ...]
    mean: np.ndarray
    error: np.ndarray
    rows: np.ndarray
    checks: Mapping[str, float]
    model: str

    def frame(self) -> pl.DataFrame:
        """Return a row per layer, head and ordered pair of fields, with weight, its standard error and what is even.

        Columns: layer and head (counted from 1), field, attends_to, weight, standard_error, even (1 / F).
        """
        import polars as pl

        layer, head, i, j = (axis.ravel() for axis in np.indices(self.mean.shape))
        names = np.asarray(self.fields, dtype=object)
        return pl.DataFrame(
            {
                "layer": layer + 1,
                "head": head + 1,
                "field": names[i].tolist(),
                "attends_to": names[j].tolist(),
                "weight": self.mean.ravel(),
                "standard_error": self.error.ravel(),
                "even": np.full(self.mean.size, 1 / len(self.fields)),
            }
        )

    def pairs(self) -> pl.DataFrame:
        """Return unordered pairs of different fields, by the larger of both directions averaged over layers and heads.

        Columns: field, other, weight.
        """
        import polars as pl

        over = self.mean.mean(axis=(0, 1))
        i, j = np.triu_indices(len(self.fields), 1)
        weight = np.maximum(over[i, j], over[j, i])
        order = np.argsort(-weight, kind="stable")
        return pl.DataFrame(
            {
                "field": [self.fields[k] for k in i[order]],
                "other": [self.fields[k] for k in j[order]],
                "weight": weight[order],
            },
            schema={"field": pl.String, "other": pl.String, "weight": pl.Float64},
        )


def attention_maps(
    model: Model, table: Table, *, rows: np.ndarray | int = 2000, split: str = "valid", seed: int = 1
) -> AttentionMaps:
    """Average the attention weights of an AutoInt or AutoInt+ over rows, by layer and head.

    Args:
        model: A net whose backbone has attention layers.
        table: A Table of the model's Encoder.
        rows: Row numbers in the table; or how many to draw from `split`, each class in proportion.
        split: Where rows are drawn from; a table without splits is drawn from as a whole.
        seed: Of the draw.

    Raises:
        ConfigError: If the model has no attention layers.
        DataError: If the table is another Encoder's, there are no rows, or a row is not in the table.
        CtrselError: If the weights of a slot do not add up to 1.
    """
    import torch

    from ctrsel.data.batches import batches
    from ctrsel.models.embedding import to_inputs
    from ctrsel.models.net import NetPredictor

    predictor = model.predictor
    layers = getattr(predictor.net.backbone, "attention", None) if isinstance(predictor, NetPredictor) else None
    if not isinstance(predictor, NetPredictor) or layers is None:
        raise ConfigError("attention_maps: needs a net with attention layers, such as the backbone autoint_plus")
    picked = _picked(table, rows, split=split, seed=seed)
    sample = table.take(picked)
    model.logits(sample.take(np.arange(0)))  # refuses another Encoder's table
    net = predictor.net.eval()
    n, off = len(picked), 0.0
    total = square = None
    with torch.inference_mode():
        for batch in batches(sample, None, size=_BATCH):
            x = net.embedding(to_inputs(batch)).main
            maps = []
            for layer in layers:
                maps.append(layer.weights(x).double())  # [B, H, F, F]
                x = layer(x)
            stacked = torch.stack(maps, 1)  # [B, L, H, F, F]
            off = max(off, float((stacked.sum(-1) - 1).abs().max()))
            total = stacked.sum(0) if total is None else total + stacked.sum(0)
            square = stacked.square().sum(0) if square is None else square + stacked.square().sum(0)
    assert total is not None
    assert square is not None
    if not off <= _TOLERANCE:
        raise CtrselError(f"attention_maps: the weights of a slot must add up to 1 within 1e-4, off by {off:.3g}")
    mean = (total / n).numpy()
    spread = np.maximum(square.numpy() / n - mean**2, 0.0)
    error = np.sqrt(spread / (n - 1)) if n > 1 else np.full_like(mean, np.nan)
    event("attention_maps", rows=n, check_row_sums=off)
    return AttentionMaps(
        fields=net.layout.slots, mean=mean, error=error, rows=picked, checks={"row_sums": off}, model=model.digest
    )


def _picked(table: Table, rows: np.ndarray | int, *, split: str, seed: int) -> np.ndarray:
    if isinstance(rows, int):
        return sample_rows(table, rows, split=split, seed=seed)
    picked = np.asarray(rows, dtype=np.int64)
    outside = (picked < 0) | (picked >= table.n_rows)
    if outside.any() or not len(picked):
        raise DataError(f"attention_maps: needs rows in 0..{table.n_rows - 1}, got {picked[outside][:1].tolist()}")
    return picked
