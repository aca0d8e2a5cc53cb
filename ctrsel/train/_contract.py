"""Learner: anything that turns a Table's train and valid splits into a Model; Fit is what it hands back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ctrsel.models.model import Model

if TYPE_CHECKING:
    from ctrsel.data.table import Table
    from ctrsel.models.gates._contract import Gate
    from ctrsel.records.feature_set import FeatureSet
    from ctrsel.train.rewinding import Rewound

__all__ = ["Fit", "Learner"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """A trained model and how it came about.

    Attributes:
        model: The model; after a search the one with hard gates: dropped values have row `OTHER`, the gates' scale is
            folded into the rows.
        epochs: Epochs that were run, None for trees.
        seconds: Wall-clock time of the fit.
        history: Per epoch (per round for trees) numbers by name: epoch, lr, loss, valid_auc, valid_log_loss, and in a
            search those of the gate and `kept`, the share of values still open.
        valid: auc and log_loss of `model` on the validation split, as sampled (the model's offset is not applied); those of
            `unseen` where there are some.
        rewound: After a search what makes `snapshot`.
        kept: After a search bool `[V]` per vocabulary.
        scores: After a search the gates' parameters `[V]` per vocabulary.
        kept_fields: After a search with a gate on fields those that stay open; `model` is the net without its gate then.
        field_scores: After such a search how strongly each field is wanted.
        field_errors: Their standard errors, where they are means over rows.
        notes: What a reader should know of this training, a sentence each.
        unseen: Log-odds `[N, T]` of the validation rows, where parts of the model were fitted on them: each row's by a fit
            on other rows. What is fitted on top of the model goes by these. None where `model` gives them itself.
    """

    model: Model
    epochs: int | None
    seconds: float
    history: tuple[Mapping[str, float], ...]
    valid: Mapping[str, float]
    rewound: Rewound | None = None
    kept: Mapping[str, np.ndarray] | None = None
    scores: Mapping[str, np.ndarray] | None = None
    kept_fields: frozenset[str] | None = None
    field_scores: Mapping[str, float] | None = None
    field_errors: Mapping[str, float] | None = None
    notes: tuple[str, ...] = ()
    unseen: np.ndarray | None = None

    @property
    def snapshot(self) -> Model | None:
        """After a search the model at the rewind point with the scale of open gates folded into its rows.

        `snapshot.narrow(features)` is where a retraining starts. It is made anew each time it is asked for.
        """
        return None if self.rewound is None else self.rewound.model()


class Learner(ABC):
    """A frozen dataclass of parameters."""

    @property
    def starts_from(self) -> tuple[str, ...]:
        """Kinds of predictors whose weights a fit can start from."""
        return ()

    @abstractmethod
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
        """Fit on the splits "train" and "valid" of a table, narrowed to `features` first.

        Args:
            table: Encoded rows; learners never get a test split.
            features: What to narrow the table to.
            gate: Search with this gate.
            start: A model of the (narrowed) table's Encoder whose weights are the starting point.
            work: A folder from which a fit that was killed goes on, with the same outcome; None keeps nothing. A learner
                that cannot go on starts again.
            seed: Of everything drawn.
        """

    def memory(self, table: Table) -> int | None:
        """Estimate the bytes that a fit on a table takes beside the table itself; None = it cannot be said."""
        return None

    def multiply_adds(self, table: Table) -> int:
        """Return the multiply-adds of one row, forward, of all nets that a fit trains; trees count as nothing."""
        return sum(part.multiply_adds(table) for part in self.parts() if part is not self)

    def parts(self) -> tuple[Learner, ...]:
        """Return the learners that a fit trains one after the other: this one, unless it is made of others."""
        return (self,)
