"""AutoField: per field a choice between keeping and dropping it, learned on validation rows.

Reference: Wang et al., "AutoField: automating feature selection in deep recommender systems", 2022, equations 3-9: the
choice is a Gumbel softmax over two logits, whose temperature falls from 1, max(.01, 1 - 5e-5 t) in step t; net and logits
learn in turns (first-order DARTS); the fields with the largest probability of being kept are retrained.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor, nn

from ctrsel.core.errors import ConfigError
from ctrsel.core.ranges import choose, search
from ctrsel.core.seeds import generator
from ctrsel.models.embedded import Embedded
from ctrsel.models.gates._adam import Adam
from ctrsel.models.gates._contract import Exchange, FieldGateModule, Gate, GateModule, SearchPlan, Site, scaled
from ctrsel.models.gates._rates import rate_for

__all__ = ["AutoField"]

_COLDEST = 0.01
_WAY = 5.0  # from an even choice to one of .99995 against its opposite: two logits, each moved by it


@dataclass(frozen=True, slots=True, kw_only=True)
class AutoField(Gate):
    """Parameters of AutoField.

    Attributes:
        epochs: T, epochs of the search; None = 8, fewer on tables of many rows: see `Gate.epochs_on`.
        rewind: Epoch to whose start the weights go back for the retraining.
        patience: The search is over after so many epochs in a row in which the better half and the ranking hardly change or the hardened
            model is worse than it was; 0 = never before `epochs`.
        every: Logits learn from a batch of validation rows after so many steps.
        cooling: By how much the temperature falls in a step, 5e-5 as published; None = evenly, so that the search ends cold.
        gate_lr: Adam's rate for the logits; None = the net's, or as much more as they need to decide in this search.
        warmup: Share of the search in which the logits are held while the net trains.
    """

    site: ClassVar[Site] = "field"
    usual_epochs: ClassVar[int] = 8
    decides: ClassVar[bool] = False
    epochs: int | None = None
    rewind: int = 0
    patience: int = 0
    every: int = field(default=10, metadata=choose(2, 5, 10))
    cooling: float | None = None
    gate_lr: float | None = None
    warmup: float = field(default=0.1, metadata=search(0.0, 0.5))

    def __post_init__(self) -> None:
        self.check_search("autofield")
        if self.every < 1:
            raise ConfigError(f"autofield.every: must be at least 1, got {self.every}")
        if not 0 <= self.warmup < 1:
            raise ConfigError(f"autofield.warmup: must be in [0, 1), got {self.warmup}")
        for name in ("cooling", "gate_lr"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise ConfigError(f"autofield.{name}: must be above 0, got {value}")

    def build(self, plan: SearchPlan) -> GateModule:
        """Build for a search.

        Raises:
            ConfigError: If the search has no validation step.
        """
        moves = plan.steps * (1 - self.warmup) / self.every
        if moves < 1:
            raise ConfigError(
                f"autofield.every: the search has {plan.steps} steps, of which none after the warm-up is a {self.every}th; "
                "make it smaller, or raise the epochs"
            )
        # DEVIATION(AutoField): logits learn as fast as the search is short; at the net's rate they hardly leave an even
        # choice in some epochs, and the order is that of noise.
        return _AutoField(self, plan, rate=rate_for(plan, _WAY, moves=moves / 2, rate=self.gate_lr))


class _AutoField(FieldGateModule):
    tau: Tensor
    noise: Tensor
    step: Tensor
    learning: Tensor

    def __init__(self, gate: AutoField, plan: SearchPlan, *, rate: float) -> None:
        super().__init__()
        self.every, self.cooling, self.warmup, self.seed = gate.every, gate.cooling, gate.warmup, plan.seed
        self.logits = nn.Parameter(torch.zeros(len(plan.fields), 2))  # keep, drop
        self.register_buffer("tau", torch.tensor(1.0))
        self.register_buffer("step", torch.tensor(0))
        self.register_buffer("learning", torch.tensor(not gate.warmup))
        self.register_buffer("noise", torch.zeros(len(plan.fields), 2))
        # DEVIATION(AutoField): logits move in proportion to their gradients; under plain Adam they move alike, so that their
        # order says how steadily a field helps, not how much.
        self.adam = Adam([self.logits], rate=rate, shared=True)

    def weights(self) -> Tensor:
        """Return `[F]`: the weight of keeping each field; while training under this step's noise, else its mean when cold."""
        if not self.training:
            return torch.softmax(self.logits, 1)[:, 0]
        return torch.softmax((self.logits + self.noise) / self.tau, 1)[:, 0]

    def forward(self, embedded: Embedded) -> Embedded:
        return scaled(embedded, self.weights())

    @torch.no_grad()
    def advance(self, progress: float) -> None:
        # DEVIATION(AutoField): the temperature falls evenly over the search unless a step's fall is given, so that a search
        # of any length ends cold; the published one needs 19,800 steps for that.
        fallen = progress if self.cooling is None else self.cooling * int(self.step)
        self.tau.fill_(max(_COLDEST, 1 - fallen))
        # The noise is drawn here, from a stream of its own, so that all processes and a resumed search have the same.
        uniform = generator(self.seed, "autofield", int(self.step)).random(tuple(self.noise.shape)).clip(1e-12)
        drawn = torch.from_numpy(uniform).to(self.noise.device)
        self.noise.copy_(-(-drawn.log()).log())
        self.step += 1
        # DEVIATION(AutoField): logits are held for the first share of the search, while embeddings carry no meaning yet.
        self.learning.fill_(progress >= self.warmup)

    def update(self, exchange: Exchange) -> None:
        """Move the logits, unless they are held."""
        if not self.learning:
            self.logits.grad = None
        self.adam.step()

    def kept(self) -> Tensor:
        return self.logits.detach()[:, 0] >= self.logits.detach()[:, 1]

    def scores(self) -> Tensor:
        """The probability of being kept, in float64: near 1 and 0 it still puts fields in order."""
        return torch.softmax(self.logits.detach().double(), 1)[:, 0]

    def facts(self) -> Mapping[str, float]:
        return {"tau": float(self.tau)}
