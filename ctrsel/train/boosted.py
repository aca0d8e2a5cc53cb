"""BoostedLearner: LightGBM on the codes, with early stopping; the reference that every net stands beside.

Reference: Ke et al., "LightGBM: a highly efficient gradient boosting decision tree", 2017.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ctrsel.core.errors import ConfigError, DataError
from ctrsel.core.log import event, progress
from ctrsel.core.ranges import choose, search
from ctrsel.core.seeds import derive
from ctrsel.models.boosted import BoostedPredictor
from ctrsel.models.model import Model
from ctrsel.models.tree_columns import TreeColumns
from ctrsel.train._contract import Fit, Learner
from ctrsel.train.boosted_memory import boosted_bytes, check_boosted_memory
from ctrsel.train.validation import validate
from ctrsel.train.watch import report

if TYPE_CHECKING:
    from pathlib import Path

    import lightgbm

    from ctrsel.data.table import Table
    from ctrsel.models.gates._contract import Gate
    from ctrsel.records.feature_set import FeatureSet

__all__ = ["BoostedLearner"]

_REPORTED = 10  # every so many trees whoever watches is told


@dataclass(frozen=True, slots=True, kw_only=True)
class BoostedLearner(Learner):
    """Parameters of the trees.

    Attributes:
        rounds: At most so many trees.
        patience: Stop after so many trees without a better validation metric; the best number of trees is kept.
        monitor: The validation metric.
        learning_rate: Factor of each tree.
        leaves: Largest number of leaves.
        min_rows: Fewest training rows of a leaf.
        l2: Of leaf values.
        category_smoothing: Rows at the mean rate added to a category before categories are ordered.
        max_category_split: Most categories on the smaller side of a split.
        feature_share: Share of the columns tried for each tree.
        row_share: Share of the rows drawn for each tree.
        threads: LightGBM's.
    """

    rounds: int = 2000
    patience: int = 30
    monitor: Literal["auc", "log_loss"] = "auc"
    learning_rate: float = field(default=0.1, metadata=search(0.02, 0.3, log=True))
    leaves: int = field(default=63, metadata=search(15, 255, log=True))
    min_rows: int = field(default=20, metadata=search(5, 200, log=True))
    l2: float = field(default=0.0, metadata=choose(0.0, 0.1, 1.0, 10.0))
    category_smoothing: float = field(default=50.0, metadata=search(1.0, 200.0, log=True))
    max_category_split: int = field(default=32, metadata=search(8, 128, log=True))
    feature_share: float = field(default=1.0, metadata=search(0.4, 1.0))
    row_share: float = field(default=1.0, metadata=search(0.5, 1.0))
    threads: int = 1

    def __post_init__(self) -> None:
        for name, least in (("rounds", 1), ("patience", 1), ("leaves", 2), ("min_rows", 1), ("threads", 1)):
            if getattr(self, name) < least:
                raise ConfigError(f"boosted.{name}: must be at least {least}, got {getattr(self, name)}")
        if self.learning_rate <= 0 or self.l2 < 0 or self.category_smoothing < 0 or self.max_category_split < 1:
            raise ConfigError(
                "boosted: needs learning_rate > 0, l2 >= 0, category_smoothing >= 0 and max_category_split >= 1, got "
                f"{self.learning_rate}, {self.l2}, {self.category_smoothing}, {self.max_category_split}"
            )
        for name in ("feature_share", "row_share"):
            if not 0 < getattr(self, name) <= 1:
                raise ConfigError(f"boosted.{name}: must be in (0, 1], got {getattr(self, name)}")
        if self.monitor not in ("auc", "log_loss"):
            raise ConfigError(f"boosted.monitor: must be 'auc' or 'log_loss', got {self.monitor!r}")

    def fit(
        self,
        table: Table,
        features: FeatureSet | None = None,
        *,
        gate: Gate | None = None,
        start: Model | None = None,
        work: Path | None = None,
        seed: int,
    ) -> Fit:
        """Grow trees until the validation metric stops to improve.

        Args:
            table: With the splits "train" and "valid".
            features: What to narrow the table to first.
            gate: Refused: trees have no gates.
            start: Refused: trees are grown from nothing.
            work: Not used: trees are grown again.
            seed: Of the row and column shares.

        Raises:
            ConfigError: If a gate or a start is given, or the trees would not fit in memory.
            DataError: If a split lacks rows, labels or a class.
        """
        began = time.perf_counter()
        if gate is not None or start is not None:
            raise ConfigError("boosted: trees take neither a gate nor starting weights; use the learner 'net'")
        if features is not None:
            table = table.narrow(features)
        train, valid = table.part("train"), table.part("valid")
        columns = TreeColumns(table.encoder)
        check_boosted_memory(table, columns, leaves=self.leaves)
        x, x_valid = columns.matrix(train), columns.matrix(valid)
        boosters, history = [], []
        for t, label in enumerate(table.schema.labels):
            for name, part in (("training", train), ("validation", valid)):
                y = part.label(t)
                if not len(y) or y.min() == y.max():
                    raise DataError(f"boosted: the {name} split needs both classes of {label.name!r}")
            booster, found = self._grow(columns, (x, train, x_valid, valid), label=t, seed=seed)
            boosters.append(booster)
            history.extend(found if t == 0 else [])
        predictor = BoostedPredictor(columns=columns, boosters=tuple(boosters), threads=self.threads)
        model = Model(encoder=table.encoder, predictor=predictor, offset=math.log(table.schema.sampling_rate))
        scores = validate(valid, predictor.logits(valid))
        seconds = time.perf_counter() - began
        event("boosted", rounds=len(history), seconds=seconds, **{f"valid_{k}": v for k, v in scores.items()})
        return Fit(model=model, epochs=None, seconds=seconds, history=tuple(history), valid=scores)

    def memory(self, table: Table) -> int:
        """Estimate the bytes of the matrices and of LightGBM's own."""
        return boosted_bytes(table, TreeColumns(table.encoder), leaves=self.leaves)

    def _grow(
        self,
        columns: TreeColumns,
        data: tuple[np.ndarray, Table, np.ndarray, Table],
        *,
        label: int,
        seed: int,
    ) -> tuple[lightgbm.Booster, list[dict[str, float]]]:
        import lightgbm

        x, train, x_valid, valid = data
        params: dict[str, Any] = {
            "objective": "binary",
            "metric": ["auc", "binary_logloss"] if self.monitor == "auc" else ["binary_logloss", "auc"],
            "learning_rate": self.learning_rate,
            "num_leaves": self.leaves,
            "min_data_in_leaf": self.min_rows,
            "lambda_l2": self.l2,
            "cat_smooth": self.category_smoothing,
            "max_cat_threshold": self.max_category_split,
            "feature_fraction": self.feature_share,
            "bagging_fraction": self.row_share,
            "bagging_freq": int(self.row_share < 1),
            "num_threads": self.threads,
            "seed": derive(seed, "boosted", label) % (1 << 31),
            "deterministic": True,
            "force_col_wise": True,
            "verbosity": -1,
        }
        names = [f"column_{j}" for j in range(len(columns.names))]  # LightGBM refuses some signs in names
        sets: Any = {"categorical_feature": list(columns.categorical), "feature_name": names}
        first = lightgbm.Dataset(
            x, label=np.ascontiguousarray(train.label(label)), weight=train.weight, params=params, **sets
        )
        second = lightgbm.Dataset(
            x_valid, label=np.ascontiguousarray(valid.label(label)), weight=valid.weight, reference=first, **sets
        )
        found: dict[str, dict[str, list[float]]] = {}
        with progress("train", self.rounds, unit="trees at most") as bar:

            def told(state: Any) -> None:
                now = {name: float(value) for _, name, value, *_ in state.evaluation_result_list}
                bar.advance(1, auc=now["auc"])
                trees = state.iteration + 1
                if label == 0 and trees % _REPORTED == 0:
                    report(trees, auc=now["auc"], log_loss=now["binary_logloss"])

            booster = lightgbm.train(
                params,
                first,
                num_boost_round=self.rounds,
                valid_sets=[second],
                valid_names=["valid"],
                callbacks=[
                    told,
                    lightgbm.early_stopping(self.patience, first_metric_only=True, verbose=False),
                    lightgbm.record_evaluation(found),
                ],
            )
        best = booster.best_iteration if booster.best_iteration > 0 else booster.current_iteration()
        # The text holds the best rounds only, so that a loaded booster needs to know nothing else.
        kept = lightgbm.Booster(model_str=booster.model_to_string(num_iteration=best))
        history = [
            {"round": float(i + 1), "valid_auc": a, "valid_log_loss": b}
            for i, (a, b) in enumerate(zip(found["valid"]["auc"], found["valid"]["binary_logloss"], strict=True))
        ]
        return kept, history
