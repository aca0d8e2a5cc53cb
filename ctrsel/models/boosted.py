"""BoostedPredictor: gradient-boosted trees (LightGBM) on codes, kept as LightGBM's own text.

References: Ke et al., "LightGBM: a highly efficient gradient boosting decision tree", 2017; Lundberg et al., "From
local explanations to global understanding with explainable AI for trees", 2020 (the contributions).
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, NoReturn

import numpy as np

from ctrsel.core.artifact import atomic_text, to_json
from ctrsel.core.errors import ConfigError, DataError
from ctrsel.models._contract import Predictor
from ctrsel.models.tree_columns import TreeColumns

if TYPE_CHECKING:
    import lightgbm

    from ctrsel.data.encoder import Encoder
    from ctrsel.data.table import Table
    from ctrsel.records.feature_set import FeatureSet

__all__ = ["BoostedPredictor"]


class BoostedPredictor(Predictor):
    """One ensemble of trees per label.

    Attributes:
        columns: How a Table becomes the trees' matrix.
        boosters: One per label.
        threads: LightGBM's, when scoring.
    """

    kind: ClassVar[str] = "boosted"

    def __init__(self, *, columns: TreeColumns, boosters: tuple[lightgbm.Booster, ...], threads: int = 1) -> None:
        self.columns = columns
        self.boosters = boosters
        self.threads = threads

    def logits(self, table: Table) -> np.ndarray:
        """Score all rows of a table, in order."""
        out = np.zeros((table.n_rows, len(self.boosters)), dtype=np.float32)
        if table.n_rows:
            x = self.columns.matrix(table)
            for t, booster in enumerate(self.boosters):
                out[:, t] = booster.predict(x, raw_score=True, num_threads=self.threads)
        return out

    def contributions(self, table: Table, *, label: int = 0) -> np.ndarray:
        """Attribute each row's logit to the fields (path-dependent SHAP values of trees).

        Args:
            table: The rows.
            label: Of which label's trees.

        Returns:
            float64 `[N, F + 1]`, fields in the Encoder's order, the base value last; a row sums to its logit.
        """
        fields = [f.name for f in table.encoder.fields]
        out = np.zeros((table.n_rows, len(fields) + 1))
        if table.n_rows:
            x = self.columns.matrix(table)
            found = np.asarray(self.boosters[label].predict(x, pred_contrib=True, num_threads=self.threads))
            for j, name in enumerate(self.columns.owners):
                out[:, fields.index(name)] += found[:, j]
            out[:, -1] = found[:, -1]
        return out

    def narrow(self, old: Encoder, new: Encoder, features: FeatureSet) -> NoReturn:
        """Refuse: trees split on the old codes; train new ones on the narrowed table."""
        raise ConfigError(
            f"boosted: trees cannot be narrowed from {old.total_codes} to {new.total_codes} codes without training; "
            f"fit the learner on the {features.n_fields} kept fields"
        )

    def save(self, folder: Path) -> None:
        """Write `boosted.json` and one text file per label."""
        for t, text in enumerate(self._texts()):
            (folder / f"trees_{t}.txt").write_text(text, encoding="utf-8")
        atomic_text(folder / "boosted.json", to_json({"labels": len(self.boosters), "threads": self.threads}) + "\n")

    @classmethod
    def load(cls, folder: Path, encoder: Encoder) -> BoostedPredictor:
        """Read what `save` wrote."""
        import lightgbm

        head = json.loads((folder / "boosted.json").read_text(encoding="utf-8"))
        boosters = []
        for t in range(head["labels"]):
            file = folder / f"trees_{t}.txt"
            if not file.is_file():
                raise DataError(f"{file}: the trees of label {t} are missing")
            boosters.append(lightgbm.Booster(model_str=file.read_text(encoding="utf-8")))
        return cls(columns=TreeColumns(encoder), boosters=tuple(boosters), threads=head["threads"])

    @property
    def n_parameters(self) -> int:
        """Leaf values and split thresholds."""
        return sum(
            tree["num_leaves"] * 2 - 1 for b in self.boosters for tree in b.dump_model(num_iteration=-1)["tree_info"]
        )

    @property
    def digest(self) -> str:
        """Digest of the trees' text."""
        return hashlib.sha256("\n".join(self._texts()).encode()).hexdigest()[:16]

    def _texts(self) -> list[str]:
        return [b.model_to_string(num_iteration=-1) for b in self.boosters]
