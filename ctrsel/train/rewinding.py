"""Rewinding: the weights to which a search goes back; those of epoch 0 are made again, later ones are kept in a file."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from ctrsel.models.layout import Layout
from ctrsel.models.model import Model
from ctrsel.models.net import NetPredictor
from ctrsel.models.own_noise import own_noise
from ctrsel.train.fresh import fresh_net, known_odds
from ctrsel.train.hardening import fold

if TYPE_CHECKING:
    from torch import Tensor

    from ctrsel.data.table import Table
    from ctrsel.train.best import Best
    from ctrsel.train.net import NetLearner

__all__ = ["Again", "Kept", "Rewound"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewound(ABC):
    """A model of which there is nothing in memory before it is asked for.

    Attributes:
        learner: Of the search.
        table: What was searched on.
        scale: Of open gates, folded into the rows.
    """

    learner: NetLearner
    table: Table
    scale: float

    @abstractmethod
    def model(self) -> Model:
        """Make it; the next call makes it again."""

    def _of(self, predictor: NetPredictor) -> Model:
        with torch.no_grad():
            fold(predictor.net.weights(), scale=self.scale)
        offset = math.log(self.table.schema.sampling_rate)
        return Model(encoder=self.table.encoder, predictor=predictor, offset=offset)


@dataclass(frozen=True, slots=True, kw_only=True)
class Again(Rewound):
    """The weights that the search began with, made again from its seed.

    Attributes:
        seed: Of the search.
    """

    seed: int

    def model(self) -> Model:
        """Make the first weights again."""
        learner, table = self.learner, self.table
        layout = Layout.of(table.encoder, history="history" in learner.backbone.lookups)
        with own_noise():
            net = fresh_net(learner, table, layout, seed=self.seed)
        net.prior.copy_(known_odds(table))
        labels = len(table.schema.labels)
        return self._of(NetPredictor(backbone=learner.backbone, width=learner.width, labels=labels, net=net))


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept(Rewound):
    """Weights of a later epoch: in memory where they are small, in a scratch file where not.

    Attributes:
        weights: Where they are.
    """

    weights: Best

    def model(self) -> Model:
        """Read them."""
        learner, table = self.learner, self.table
        held: Mapping[str, Tensor] = self.weights.weights()
        labels = len(table.schema.labels)
        predictor = NetPredictor.of(table.encoder, held, backbone=learner.backbone, width=learner.width, labels=labels)
        return self._of(predictor)
