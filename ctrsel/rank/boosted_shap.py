"""BoostedShap: how much each field moves the log-odds of boosted trees, on a sample of validation rows.

Reference: Lundberg et al., "From local explanations to global understanding with explainable AI for trees", 2020,
section "Global model understanding" (mean absolute contribution).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar

from ctrsel.core.catalog import describe
from ctrsel.core.errors import ConfigError
from ctrsel.explain import explain
from ctrsel.explain.pred_contrib import PredContrib
from ctrsel.rank._contract import ModelRanker
from ctrsel.train import CATALOG, Learner
from ctrsel.train.boosted import BoostedLearner

if TYPE_CHECKING:
    from ctrsel.data.table import Table
    from ctrsel.models.model import Model
    from ctrsel.records.ranking import Ranking

__all__ = ["BoostedShap"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BoostedShap(ModelRanker):
    """Mean |contribution| in log-odds, with the standard error over the sampled rows.

    Attributes:
        rows: Validation rows explained, each class in proportion; a row costs milliseconds.
        learner: What grows the trees where no model is given.
    """

    weighted: ClassVar[bool] = True  # the trees are grown by weight; the explained rows are a sample that is not

    rows: int = 2000
    learner: Learner = field(default_factory=BoostedLearner, metadata={"catalog": CATALOG})

    def __post_init__(self) -> None:
        if self.rows < 2:
            raise ConfigError(f"boosted_shap.rows: must be at least 2 for a standard error, got {self.rows}")

    def score(self, table: Table, *, seed: int, model: Model | None = None) -> Ranking:
        """Fit the learner unless a model is given, and rank all fields by what moves its logits.

        Raises:
            ConfigError: If the model (given or fitted) does not consist of trees.
        """
        explainer = PredContrib(rows=self.rows)
        fitted = self.learner.fit(table, seed=seed).model if model is None else model
        if not explainer.accepts(fitted):
            raise ConfigError(f"boosted_shap: needs a model of kind 'boosted', got {fitted.predictor.kind!r}")
        explanation = explain(fitted, table, explainer=explainer, seed=seed)
        return replace(explanation.to_ranking(), method="boosted_shap", params=describe(self), table=table.digest)
