"""AdaFS: a small network gives each row its own weights of the fields.

Reference: Lin et al., "AdaFS: adaptive feature selection in deep recommender system", 2022: the weights are
softmax(MLP(BN(e))) over the fields of a row; in the hard form the largest k stay and are scaled to the sum 1. The net
trains alone first; then the controller learns from validation batches and the net from training batches, in turns.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor, nn

from ctrsel.core.errors import ConfigError
from ctrsel.core.ranges import choose, search
from ctrsel.models.backbones._mlp import BatchNorm, mlp
from ctrsel.models.gates._contract import Gate, GateModule, SearchPlan, Site
from ctrsel.models.gates._row_weights import RowWeights

__all__ = ["AdaFS"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AdaFS(Gate):
    """Parameters of AdaFS.

    Attributes:
        epochs: T, epochs of the search; None = 8, fewer on tables of many rows: see `Gate.epochs_on`.
        rewind: Epoch to whose start the weights go back for the retraining.
        patience: The search is over after so many epochs in a row in which the better half and the ranking hardly change or the hardened
            model is worse than it was; 0 = never before `epochs`.
        hidden: Units of the controller's hidden layer.
        top: k of the hard form: so many fields of a row have a weight; None = the soft form.
        every: The controller learns from a batch of validation rows after so many steps; 0 = from the training batches.
        controller_lr: Adam's rate for the controller; None = the net's.
        warmup: Share of the search in which all weights are 1 while the net trains.
    """

    site: ClassVar[Site] = "field"
    usual_epochs: ClassVar[int] = 8
    decides: ClassVar[bool] = False
    epochs: int | None = None
    rewind: int = 0
    patience: int = 0
    hidden: int = field(default=16, metadata=choose(16, 64))
    top: int | None = None
    every: int = field(default=2, metadata=choose(0, 2, 5))
    controller_lr: float | None = None
    warmup: float = field(default=0.25, metadata=search(0.0, 0.5))

    def __post_init__(self) -> None:
        self.check_search("adafs")
        if self.every < 0 or self.hidden < 1:
            raise ConfigError(f"adafs: needs every >= 0 and hidden >= 1, got {self.every} and {self.hidden}")
        if self.top is not None and self.top < 1:
            raise ConfigError(f"adafs.top: must be at least 1, got {self.top}")
        if not 0 <= self.warmup < 1:
            raise ConfigError(f"adafs.warmup: must be in [0, 1), got {self.warmup}")
        if self.controller_lr is not None and self.controller_lr <= 0:
            raise ConfigError(f"adafs.controller_lr: must be above 0, got {self.controller_lr}")

    def build(self, plan: SearchPlan) -> GateModule:
        """Build for a search.

        Raises:
            ConfigError: If `top` is more than there are fields.
        """
        if self.top is not None and self.top > len(plan.fields):
            raise ConfigError(f"adafs.top: there are {len(plan.fields)} fields, got {self.top}")
        return _AdaFS(self, plan)


class _AdaFS(RowWeights):
    def __init__(self, gate: AdaFS, plan: SearchPlan) -> None:
        super().__init__(plan, every=gate.every, warmup=gate.warmup)
        fields = len(plan.fields)
        self.top = gate.top
        self.norm = BatchNorm(plan.width)
        self.controller = mlp(fields * plan.width, (gate.hidden,), fields, batch_norm=False, dropout=0.0)
        last = self.controller[-1]
        assert isinstance(last, nn.Linear)
        if self.top is None:
            nn.init.zeros_(last.weight)  # even weights at first; the hard form needs some order to choose by
        self.learn_by(plan, rate=gate.controller_lr)

    def weights(self, main: Tensor) -> Tensor:
        rows, fields, width = main.shape
        # DEVIATION(AdaFS): the controller alone sees normalised embeddings; the backbone gets weights times the embeddings
        # themselves, so that the net searched with is the one that is retrained.
        normal = self.norm(main.reshape(rows * fields, width)).view(rows, fields * width)
        weights = torch.softmax(self.controller(normal), 1)
        if self.top is not None:
            chosen = torch.zeros_like(weights).scatter_(1, weights.topk(self.top, 1).indices, 1.0)
            weights = weights * chosen
            weights = weights / weights.sum(1, keepdim=True)
        # DEVIATION(AdaFS): weights have the mean 1, not the sum 1, so that even ones leave the net as it is.
        return weights * fields
