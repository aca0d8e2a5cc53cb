"""MvFS: several small networks give each row weights of the fields, and a gate mixes them by row.

Reference: Lee et al., "MvFS: multi-view feature selection for recommender system", 2023: sub-network k scores a row's fields
by softmax(W_k e + b_k); the mixture's shares are a softmax over a linear map of all scores; from the mixed score I a field's
weight is (1 + tanh(tau (I - l))) / 2 by itself, so that a row may use many fields or few. l = .2, and tau rises from 5.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from ctrsel.core.errors import ConfigError
from ctrsel.core.ranges import choose, search
from ctrsel.models.backbones._mlp import linear
from ctrsel.models.gates._contract import Gate, GateModule, SearchPlan, Site
from ctrsel.models.gates._row_weights import RowWeights

__all__ = ["MvFS"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MvFS(Gate):
    """Parameters of MvFS.

    Attributes:
        epochs: T, epochs of the search; None = 8, fewer on tables of many rows: see `Gate.epochs_on`.
        rewind: Epoch to whose start the weights go back for the retraining.
        patience: The search is over after so many epochs in a row in which the better half and the ranking hardly change or the hardened
            model is worse than it was; 0 = never before `epochs`.
        views: K sub-networks.
        level: l, the score of a weight of a half; None = what an even score is, one over the number of fields.
        first_temperature: tau at the start.
        temperature: tau at the end.
        every: The networks learn from a batch of validation rows after so many steps; 0 = from the training batches.
        controller_lr: Adam's rate for the networks; None = the net's.
        warmup: Share of the search in which all weights are 1 while the net trains.
    """

    site: ClassVar[Site] = "field"
    usual_epochs: ClassVar[int] = 8
    decides: ClassVar[bool] = False
    epochs: int | None = None
    rewind: int = 0
    patience: int = 0
    views: int = field(default=6, metadata=search(2, 8))
    level: float | None = None
    first_temperature: float = 5.0
    temperature: float = field(default=10.0, metadata=search(5.0, 50.0, log=True))
    every: int = field(default=2, metadata=choose(0, 2, 5))
    controller_lr: float | None = None
    warmup: float = field(default=0.25, metadata=search(0.0, 0.5))

    def __post_init__(self) -> None:
        self.check_search("mvfs")
        if self.every < 0 or self.views < 1:
            raise ConfigError(f"mvfs: needs every >= 0 and views >= 1, got {self.every} and {self.views}")
        if self.level is not None and not 0 <= self.level < 1:
            raise ConfigError(f"mvfs.level: must be in [0, 1), got {self.level}")
        if not 0 < self.first_temperature <= self.temperature:
            raise ConfigError(
                f"mvfs: needs 0 < first_temperature <= temperature, got {self.first_temperature} and {self.temperature}"
            )
        if not 0 <= self.warmup < 1:
            raise ConfigError(f"mvfs.warmup: must be in [0, 1), got {self.warmup}")
        if self.controller_lr is not None and self.controller_lr <= 0:
            raise ConfigError(f"mvfs.controller_lr: must be above 0, got {self.controller_lr}")

    def build(self, plan: SearchPlan) -> GateModule:
        """Build for a search."""
        return _MvFS(self, plan)


class _MvFS(RowWeights):
    tau: Tensor

    def __init__(self, gate: MvFS, plan: SearchPlan) -> None:
        super().__init__(plan, every=gate.every, warmup=gate.warmup)
        fields = len(plan.fields)
        self.first, self.last = gate.first_temperature, gate.temperature
        # DEVIATION(MvFS): the level is an even score unless given; with more than a few fields all weights begin nearly shut
        # at the published .2.
        # DEVIATION(MvFS): the networks learn from validation rows unless told otherwise: on training rows a field of many
        # values gains most by what its embeddings learned by heart.
        self.level = 1 / fields if gate.level is None else gate.level
        self.views, self.fields = gate.views, fields
        self.scorers = linear(fields * plan.width, gate.views * fields)
        # DEVIATION(MvFS): the mixing weights begin as any linear layer's; as released they are memory that nobody set.
        self.mixer = linear(gate.views * fields, gate.views)
        self.register_buffer("tau", torch.tensor(self.first))
        self.learn_by(plan, rate=gate.controller_lr)

    def weights(self, main: Tensor) -> Tensor:
        views = torch.softmax(self.scorers(main.flatten(1)).view(-1, self.views, self.fields), 2)  # [B, K, F]
        shares = torch.softmax(self.mixer(views.flatten(1)), 1)  # [B, K]
        mixed = (shares[:, :, None] * views).sum(1)
        return 0.5 * (1 + torch.tanh(self.tau * (mixed - self.level)))

    @torch.no_grad()
    def advance(self, progress: float) -> None:
        super().advance(progress)
        # DEVIATION(MvFS): tau rises evenly over what follows the warm-up; as released it rises with every forward pass,
        # those of evaluations too, and only past 4,000 of them.
        after = max(progress - self.warmup, 0.0) / (1 - self.warmup)
        self.tau.fill_(self.first + (self.last - self.first) * after)

    def facts(self) -> Mapping[str, float]:
        return {"tau": float(self.tau)}
