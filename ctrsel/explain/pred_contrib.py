"""PredContrib: the contributions that boosted trees report of themselves, in float64 and checked.

Reference: Lundberg et al., "From local explanations to global understanding with explainable AI for trees", 2020,
algorithm 2 (path-dependent Shapley values of trees), as computed by LightGBM.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ctrsel.core.errors import ConfigError, CtrselError
from ctrsel.core.log import progress
from ctrsel.explain._contract import Explainer
from ctrsel.models.boosted import BoostedPredictor
from ctrsel.records.explanation import Explanation

if TYPE_CHECKING:
    from ctrsel.data.table import Table
    from ctrsel.models.model import Model

__all__ = ["PredContrib"]

_CHUNK = 500  # rows between two signs of progress; a row costs up to 15 ms
_TOLERANCE = 1e-8  # log-odds; float64 sums are off by some 1e-14


@dataclass(frozen=True, slots=True, kw_only=True)
class PredContrib(Explainer):
    """Path-dependent Shapley values; a list field gets the sum over its columns.

    Attributes:
        rows: How many rows are explained unless the caller names them.
    """

    rows: int = 2000

    def __post_init__(self) -> None:
        if self.rows < 1:
            raise ConfigError(f"pred_contrib.rows: must be at least 1, got {self.rows}")

    def accepts(self, model: Model) -> bool:
        """Boosted trees only."""
        return isinstance(model.predictor, BoostedPredictor)

    def explain(self, model: Model, table: Table, *, rows: np.ndarray, seed: int) -> Explanation:
        """Attribute the first label's logit; nothing is drawn, the seed is not used.

        The base holds the model's offset for sampled negatives, which no field is responsible for.

        Raises:
            ConfigError: If the model does not consist of trees.
            DataError: If the table is another Encoder's.
            CtrselError: If base and contributions of a row do not add up to its raw score.
        """
        predictor = model.predictor
        if not isinstance(predictor, BoostedPredictor):
            raise ConfigError(f"pred_contrib: explains models of kind 'boosted', got {predictor.kind!r}")
        sample = table.take(rows)
        model.logits(sample.take(np.arange(0)))  # refuses another Encoder's table
        found = np.empty((len(rows), len(table.schema.fields) + 1))
        error = 0.0
        with progress("explain", len(rows), unit="rows") as bar:
            for start in range(0, len(rows), _CHUNK):
                part = sample.take(np.arange(start, min(start + _CHUNK, len(rows))))
                found[start : start + part.n_rows] = predictor.contributions(part, label=0)
                x = predictor.columns.matrix(part)
                raw = np.asarray(predictor.boosters[0].predict(x, raw_score=True, num_threads=predictor.threads))
                off = np.abs(found[start : start + part.n_rows].sum(axis=1) - raw)
                error = max(error, float((off / np.maximum(1.0, np.abs(raw))).max()))
                bar.advance(part.n_rows)
        if not error <= _TOLERANCE:
            raise CtrselError(
                f"pred_contrib: contributions must add up to the raw score within 1e-8, off by {error:.3g}"
            )
        return Explanation(
            method="pred_contrib",
            fields=table.schema.names,
            values=found[:, :-1],
            base=found[:, -1] + model.offset,
            rows=np.asarray(rows, dtype=np.int64),
            checks={"additivity": error},
            model=model.digest,
            notes=(f"{len(rows)} rows; absent fields follow the trees' own training counts",),
        )
