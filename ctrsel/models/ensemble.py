"""EnsemblePredictor: a weighted sum of the log-odds of predictors that read the same codes.

Reference: Wolpert, "Stacked generalization", 1992. A sum in log-odds, so that attributions add up as the scores do:
z = b + sum_m w_m z_m.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ctrsel.core.artifact import atomic_text, digest_json, to_json
from ctrsel.core.errors import DataError
from ctrsel.models._contract import Predictor

if TYPE_CHECKING:
    from ctrsel.data.encoder import Encoder
    from ctrsel.data.table import Table
    from ctrsel.records.feature_set import FeatureSet

__all__ = ["EnsemblePredictor"]


class EnsemblePredictor(Predictor):
    """Members and what each one counts.

    Attributes:
        members: M predictors of one Encoder.
        weights: float64 `[M, T]`, not negative.
        intercept: float64 `[T]`.
    """

    kind: ClassVar[str] = "ensemble"

    def __init__(self, *, members: tuple[Predictor, ...], weights: np.ndarray, intercept: np.ndarray) -> None:
        if not members or weights.ndim != 2 or len(weights) != len(members) or intercept.shape != weights.shape[1:]:
            raise DataError(
                f"an ensemble needs weights [M, T] of its {len(members)} members and an intercept [T], got "
                f"{weights.shape} and {intercept.shape}"
            )
        self.members = members
        self.weights = np.asarray(weights, dtype=np.float64)
        self.intercept = np.asarray(intercept, dtype=np.float64)

    def logits(self, table: Table) -> np.ndarray:
        """Score all rows of a table, in order, member by member."""
        total = np.repeat(self.intercept[None], table.n_rows, axis=0)
        for member, weight in zip(self.members, self.weights, strict=True):
            total += weight * member.logits(table)
        return total.astype(np.float32)

    def for_scoring(self) -> EnsemblePredictor:
        """Prepare every member."""
        members = tuple(m.for_scoring() for m in self.members)
        return EnsemblePredictor(members=members, weights=self.weights, intercept=self.intercept)

    def narrow(self, old: Encoder, new: Encoder, features: FeatureSet) -> EnsemblePredictor:
        """Narrow every member.

        Raises:
            ConfigError: If a member cannot be narrowed without training, as trees.
        """
        members = tuple(m.narrow(old, new, features) for m in self.members)
        return EnsemblePredictor(members=members, weights=self.weights, intercept=self.intercept)

    def save(self, folder: Path) -> None:
        """Write `ensemble.json` and a subfolder per member."""
        for i, member in enumerate(self.members):
            place = folder / f"member_{i}"
            place.mkdir()
            member.save(place)
        atomic_text(folder / "ensemble.json", to_json(self._head(), indent=1) + "\n")

    @classmethod
    def load(cls, folder: Path, encoder: Encoder) -> EnsemblePredictor:
        """Read what `save` wrote."""
        from ctrsel.models import CATALOG

        head = json.loads((folder / "ensemble.json").read_text(encoding="utf-8"))
        members = tuple(
            CATALOG.load(kind, place=f"{folder}: member {i}").load(folder / f"member_{i}", encoder)
            for i, kind in enumerate(head["kinds"])
        )
        return cls(members=members, weights=np.array(head["weights"]), intercept=np.array(head["intercept"]))

    @property
    def n_parameters(self) -> int:
        """Of all members, and the weights and the intercept."""
        return sum(m.n_parameters for m in self.members) + self.weights.size + self.intercept.size

    @property
    def digest(self) -> str:
        """Digest of the members and of what each one counts."""
        return digest_json([self._head(), [m.digest for m in self.members]])

    def _head(self) -> dict[str, object]:
        return {
            "kinds": [m.kind for m in self.members],
            "weights": self.weights.tolist(),
            "intercept": self.intercept.tolist(),
        }
