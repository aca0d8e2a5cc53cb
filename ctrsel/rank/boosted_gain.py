"""BoostedGain: the share of the gain of all splits that boosted trees owe to each field.

References: Ke et al., "LightGBM: a highly efficient gradient boosting decision tree", 2017 (the gain of a split);
Strobl et al., "Bias in random forest variable importance measures", 2007 (why fields of many values get too much of it).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ctrsel.core.catalog import describe
from ctrsel.rank._contract import ModelRanker
from ctrsel.rank._importance import constant_fields, ranked, split_gain
from ctrsel.train import CATALOG, Learner
from ctrsel.train.boosted import BoostedLearner

if TYPE_CHECKING:
    from ctrsel.data.table import Table
    from ctrsel.models.model import Model
    from ctrsel.records.ranking import Ranking

__all__ = ["BoostedGain"]

_WARNING = (
    "gain is counted on training rows, where many values fit noise: a field of many values gets gain without any "
    "signal; see permutation_importance or null_importance"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BoostedGain(ModelRanker):
    """Share of the total split gain of the first label's trees; a list field has the sum over its columns.

    Columns of the ranking: `gain` (sum over the splits, LightGBM's unit: twice the fall of the training loss, to second
    order, before the learning rate), `splits` (their number). A field on which no tree splits scores 0.

    Attributes:
        learner: What grows the trees where no model is given.
    """

    weighted: ClassVar[bool] = True  # gains are sums of weighted gradients

    learner: Learner = field(default_factory=BoostedLearner, metadata={"catalog": CATALOG})

    def score(self, table: Table, *, seed: int, model: Model | None = None) -> Ranking:
        """Fit the learner unless a model is given, and rank the fields by their share of the gain.

        Raises:
            ConfigError: If the model (given or fitted) does not consist of trees.
            DataError: If it is another Encoder's.
        """
        fitted = self.learner.fit(table, seed=seed).model if model is None else model
        gain, splits = split_gain(fitted, ranker="boosted_gain")
        fitted.logits(table.take(np.arange(0)))  # refuses another Encoder's table
        refused = constant_fields(table)
        names = list(table.schema.names)
        if not splits.any():
            refused = dict.fromkeys(names, "the trees have no split at all, so there is no gain to share") | refused
        kept = {name: j for j, name in enumerate(names) if name not in refused}
        return ranked(
            "boosted_gain",
            {name: float(gain[j] / gain.sum()) for name, j in kept.items()},
            columns={
                "gain": {name: float(gain[j]) for name, j in kept.items()},
                "splits": {name: int(splits[j]) for name, j in kept.items()},
            },
            params=describe(self),
            unit="share",
            null=None,
            refused=refused,
            notes=(f"{len(splits)} fields, {int(splits.sum())} splits", _WARNING),
            table=table.digest,
        )
