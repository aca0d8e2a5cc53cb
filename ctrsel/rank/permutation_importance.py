"""PermutationImportance: how much worse a model predicts validation rows when a field holds other rows' values.

References: Breiman, "Random forests", 2001, section 10; Fisher, Rudin and Dominici, "All models are wrong, but many are
useful: learning a variable's importance by studying an entire class of prediction models simultaneously", 2019, section 3.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ctrsel.core.catalog import describe
from ctrsel.core.errors import ConfigError, unknown_name
from ctrsel.core.seeds import derive
from ctrsel.explain import sample_rows
from ctrsel.rank._contract import ModelRanker
from ctrsel.rank._importance import constant_fields, loss_increase, ranked
from ctrsel.stats.multiple import benjamini_hochberg
from ctrsel.train import CATALOG, Learner
from ctrsel.train.boosted import BoostedLearner

if TYPE_CHECKING:
    from ctrsel.data.table import Table
    from ctrsel.models.model import Model
    from ctrsel.records.ranking import Ranking

__all__ = ["PermutationImportance"]

_LIMIT = 1.959963984540054  # standard errors either side of a 95 % interval


@dataclass(frozen=True, slots=True, kw_only=True)
class PermutationImportance(ModelRanker):
    """Rise of the first label's log-loss in nats a validation row; that of a field that tells nothing is 0 on average.

    Columns of the ranking: `standard_error` (over rows, each as giver and as receiver of values; over groups where the
    table has them), `repeat_sd` (of the repeats' values), `z`, `p` (one-sided, normal), `q` (Benjamini-Hochberg over what
    was permuted), `low` and `high` (95 % interval), `permuted` (the fields that moved together, joined by "+").

    Attributes:
        rows: Validation rows at most, each class in proportion; rows x fields x repeats are scored.
        repeats: Permutations a field.
        groups: Fields that are permuted together, such as copies of each other; each gets the group's number.
        apart: Whether a training of the ranker's own stops by the first half of the validation rows, and the second half is
            permuted. On rows that stopped the training noise is a little ahead of 0. A given model has seen them all.
        learner: What is fitted where no model is given.
    """

    weighted: ClassVar[bool] = True  # the loss is weighted and givers are drawn by weight

    rows: int = 20_000
    repeats: int = 3
    groups: tuple[tuple[str, ...], ...] = ()
    apart: bool = True
    learner: Learner = field(default_factory=BoostedLearner, metadata={"catalog": CATALOG})

    def __post_init__(self) -> None:
        if self.rows < 2:
            raise ConfigError(f"permutation_importance.rows: must be at least 2 for a standard error, got {self.rows}")
        if self.repeats < 1:
            raise ConfigError(f"permutation_importance.repeats: must be at least 1, got {self.repeats}")
        members = [name for group in self.groups for name in group]
        twice = sorted({name for name in members if members.count(name) > 1})
        if twice:
            raise ConfigError(f"permutation_importance.groups: a field is in one group at most, {twice[0]!r} is in two")

    def score(self, table: Table, *, seed: int, model: Model | None = None) -> Ranking:
        """Fit the learner unless a model is given, and rank the fields by the rise of the log-loss.

        Raises:
            ConfigError: If a group names a field that the table has not.
            DataError: If the model is another Encoder's.
        """
        from scipy.special import ndtr

        names = table.schema.names
        for member in (name for group in self.groups for name in group):
            if member not in names:
                raise unknown_name("field", member, names, place="permutation_importance.groups")
        refused = constant_fields(table)
        grouped = {name: group for group in self.groups for name in group}
        items = list(dict.fromkeys(grouped.get(name, (name,)) for name in names if name not in refused))
        valid = table.span("valid")
        start, stop = valid.start, valid.stop
        apart = self.apart and model is None
        middle = (start + stop) // 2 if apart else start
        if model is None:
            stopped_by = (start, middle) if apart else (start, stop)
            model = self.learner.fit(replace(table, splits={**table.splits, "valid": stopped_by}), seed=seed).model
        asked = replace(table, splits={"valid": (middle, stop)})
        rows = sample_rows(asked, self.rows, split="valid", seed=derive(seed, "rank", "permutation_importance"))
        part = table.take(rows)
        found = loss_increase(model, part, items=items, repeats=self.repeats, seed=seed)
        p = ndtr(-found.z)
        q = benjamini_hochberg(p)
        place = {name: i for i, item in enumerate(items) for name in item if name not in refused}

        def by(values: np.ndarray) -> dict[str, float]:
            return {name: float(values[i]) for name, i in place.items()}

        error = found.error
        return ranked(
            "permutation_importance",
            by(found.value),
            columns={
                "standard_error": by(error),
                "repeat_sd": by(found.repeat_sd),
                "z": by(found.z),
                "p": by(p),
                "q": by(q),
                "low": by(found.value - _LIMIT * error),
                "high": by(found.value + _LIMIT * error),
                "permuted": {name: "+".join(items[i]) for name, i in place.items()},
            },
            params=describe(self),
            unit="nats",
            null="no difference: 0 on average for a field that tells nothing beyond the others, normal tail",
            refused=refused,
            notes=(
                f"{len(rows)} validation rows, {self.repeats} permutations each",
                "what another field says too may be missed: permute copies together (groups)",
                *(() if apart else ("these rows stopped the training: noise is a little ahead of 0",)),
                *(() if table.group is None else ("standard errors are over groups, each counted as one",)),
            ),
            table=table.digest,
            ties=by(found.z),
        )
