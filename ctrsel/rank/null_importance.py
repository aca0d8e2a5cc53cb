"""NullImportance (PIMP): a field's importance beside that of trainings with shuffled labels.

Reference: Altmann, Tolosi, Sander and Lengauer, "Permutation importance: a corrected feature importance measure", 2010,
section 2.1.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from ctrsel.core.catalog import describe
from ctrsel.core.errors import ConfigError
from ctrsel.core.log import progress
from ctrsel.core.seeds import derive
from ctrsel.explain import sample_rows
from ctrsel.rank._contract import ModelRanker
from ctrsel.rank._importance import KINDS, UNITS, Kind, constant_fields, importance, ranked
from ctrsel.rank._resampled import SHUFFLES, Shuffle, relabelled, resolved, subset
from ctrsel.stats.multiple import benjamini_hochberg
from ctrsel.train import CATALOG, Learner
from ctrsel.train.boosted import BoostedLearner

if TYPE_CHECKING:
    from ctrsel.data.table import Table
    from ctrsel.models.model import Model
    from ctrsel.records.ranking import Ranking

__all__ = ["NullImportance"]

_EXPLAINED = 2000  # rows whose contributions are worked out: they cost milliseconds each


def _learner() -> BoostedLearner:
    return BoostedLearner(rounds=40, patience=40, leaves=15, monitor="log_loss", feature_share=0.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class NullImportance(ModelRanker):
    """Importance with the true labels, less its mean with shuffled labels, in standard deviations of the latter.

    All trainings are alike: as many rows, and as many trees, since nothing stops them early (they are shown their training
    rows as validation rows). A model that is given is not used: it was trained otherwise than the null's.

    Columns of the ranking: `importance`, `null_mean`, `null_sd`, `effect` (importance less `null_mean`), `z`, `p` (upper
    tail), `q` (Benjamini-Hochberg over the fields).

    Attributes:
        trainings: With shuffled labels; one more has the true ones.
        rows: Training rows at most, and validation rows at most, each class in proportion.
        importance: "gain": the sum over its splits; "shap": mean |contribution| on validation rows; "permutation": rise of
            the log-loss of validation rows over its standard error.
        by: What the score is: "z" or "effect".
        tail: What p is read from: "gamma" or "normal", fitted by mean and variance, or "empirical", which is at least
            1 / (trainings + 1).
        shuffle: How labels are shuffled. "rows": freely; "shift": all labels move on in the order of group and time, so that
            neighbours stay neighbours; "within": within groups or blocks of time, where the question is what a field adds
            to these; "auto": "shift" where the table has a group or time, else "rows".
        learner: What is trained. Its default is 40 trees of 15 leaves with half of the fields at hand for each.
    """

    weighted: ClassVar[bool] = True  # trees and losses are weighted; a row's weight moves with its label

    trainings: int = 20
    rows: int = 50_000
    importance: Kind = "gain"
    by: Literal["z", "effect"] = "z"
    tail: Literal["gamma", "normal", "empirical"] = "gamma"
    shuffle: Shuffle = "auto"
    learner: Learner = field(default_factory=_learner, metadata={"catalog": CATALOG})

    @property
    def fits(self) -> int:
        """One with the true labels, the others with shuffled ones."""
        return self.trainings + 1

    def __post_init__(self) -> None:
        if self.trainings < 3:
            raise ConfigError(f"null_importance.trainings: must be at least 3 for a spread, got {self.trainings}")
        if self.rows < 20:
            raise ConfigError(f"null_importance.rows: must be at least 20, got {self.rows}")
        for name, known in (
            ("importance", KINDS),
            ("by", ("z", "effect")),
            ("tail", ("gamma", "normal", "empirical")),
            ("shuffle", SHUFFLES),
        ):
            if getattr(self, name) not in known:
                raise ConfigError(
                    f"null_importance.{name}: must be one of {', '.join(known)}, got {getattr(self, name)!r}"
                )
        if self.importance == "permutation" and self.tail == "gamma":
            raise ConfigError(
                "null_importance.tail: a gamma tail needs importances that are never negative, and those by permutation "
                "are; use 'normal' or 'empirical'"
            )

    def score(self, table: Table, *, seed: int, model: Model | None = None) -> Ranking:
        """Train with the true labels and with shuffled ones, and rank the fields.

        Raises:
            ConfigError: If the importance needs trees and the learner makes none.
        """
        shuffle, told = resolved(self.shuffle, table, place="null_importance.shuffle")
        refused = constant_fields(table)
        drawn = {
            split: sample_rows(table, self.rows, split=split, seed=derive(seed, "rank", "null_importance", split))
            for split in ("train", "valid")
        }
        fewer = subset(table, drawn["train"], drawn["valid"])
        null = np.zeros((self.trainings, len(table.schema.fields)))
        with progress("null", self.trainings + 1, unit="trainings") as bar:
            true = self._importances(fewer, seed=seed, draw=0)
            bar.advance(1)
            for b in range(1, self.trainings + 1):
                moved = relabelled(fewer, shuffle=shuffle, seed=seed, names=("rank", "null_importance", "labels", b))
                null[b - 1] = self._importances(moved, seed=seed, draw=b)
                bar.advance(1)
        for name, value, column in zip(table.schema.names, true, null.T, strict=True):
            if name not in refused and not value and not column.any():
                refused[name] = "no training used it, neither with the true labels nor with shuffled ones"
        kept = [j for j, name in enumerate(table.schema.names) if name not in refused]
        return self._ranking(
            table, true[kept], null[:, kept], kept=kept, refused=refused, told=told, rows=len(drawn["train"])
        )

    def _importances(self, table: Table, *, seed: int, draw: int) -> np.ndarray:
        start, stop = table.splits["train"]
        # Shown its training rows as validation rows, a learner has no reason to stop early, so that all trainings are alike.
        shown = replace(table, splits={"train": (start, stop), "valid": (start, stop)})
        model = self.learner.fit(shown, seed=derive(seed, "rank", "null_importance", "fit", draw)).model
        part = table.part("valid")
        if self.importance == "shap":
            part = part.take(np.arange(min(part.n_rows, _EXPLAINED)))
        return importance(
            model, part, kind=self.importance, seed=derive(seed, "rank", "null_importance", "permute", draw)
        )

    def _ranking(
        self,
        table: Table,
        true: np.ndarray,
        null: np.ndarray,
        *,
        kept: list[int],
        refused: dict[str, str],
        told: str,
        rows: int,
    ) -> Ranking:
        null = _with_spread(null)
        mean, sd = null.mean(axis=0), null.std(axis=0, ddof=1)
        effect = true - mean
        z = effect / sd
        p = self._p(true, null, mean=mean, sd=sd, z=z)
        names = [table.schema.names[j] for j in kept]

        def by(values: np.ndarray) -> dict[str, float]:
            return dict(zip(names, values.tolist(), strict=True))

        return ranked(
            "null_importance",
            by(z if self.by == "z" else effect),
            columns={
                "importance": by(true),
                "null_mean": by(mean),
                "null_sd": by(sd),
                "effect": by(effect),
                "z": by(z),
                "p": by(p),
                "q": by(benjamini_hochberg(p)),
            },
            params=describe(self),
            unit="sd" if self.by == "z" else UNITS[self.importance],
            null=f"{self.trainings} trainings on labels of other rows ({told}), {self.tail} tail",
            refused=refused,
            notes=(f"{self.trainings + 1} trainings of {rows} rows each",),
            table=table.digest,
            ties=by(z),
        )

    def _p(self, true: np.ndarray, null: np.ndarray, *, mean: np.ndarray, sd: np.ndarray, z: np.ndarray) -> np.ndarray:
        from scipy.special import gammaincc, ndtr

        if self.tail == "normal":
            return np.asarray(ndtr(-z))
        if self.tail == "gamma":
            # DEVIATION(Altmann et al. 2010): fitted by mean and variance, not by maximum likelihood, which zeros do not have.
            return np.asarray(gammaincc((mean / sd) ** 2, np.maximum(true, 0.0) * mean / sd**2))
        return np.asarray(((null >= true).sum(axis=0) + 1) / (len(null) + 1))


def _with_spread(null: np.ndarray) -> np.ndarray:
    """Return the null importances `[B, F]`, where a field that no null training used gets the smallest one there is once.

    DEVIATION(Altmann et al. 2010): a null that is 0 in all trainings has no spread; that one more training would have
    used the field cannot be ruled out, and is counted in its favour the least.
    """
    unused = null.std(axis=0) == 0
    sizes = np.abs(null[null != 0])
    if not unused.any():
        return null
    out = null.copy()
    out[0, unused] += sizes.min() if len(sizes) else 1.0
    return out
