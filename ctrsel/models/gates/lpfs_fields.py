"""LPFS on fields: a smoothed step in a gate's parameter, which a proximal step makes exactly zero.

Reference: Guo et al., "LPFS: learnable polarizing feature selection for click-through rate prediction", 2022: the gate is
g(x) = x^2 / (x^2 + eps), and in LPFS++ g(x) = sign(x) x^2 / (x^2 + eps) + alpha sqrt(eps) atan(x), whose slope at 0 lets a
closed gate open again; x starts at 1, eps falls, and each step ends with the soft threshold of an L1 penalty. Starts and
decay follow the released code (eps from 0.1, times .9978 each 100 steps).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor, nn

from ctrsel.core.errors import ConfigError
from ctrsel.core.ranges import choose, search
from ctrsel.models.embedded import Embedded
from ctrsel.models.gates._adam import Adam
from ctrsel.models.gates._contract import Exchange, FieldGateModule, Gate, GateModule, SearchPlan, Site, scaled
from ctrsel.models.gates._rates import rate_for

__all__ = ["LPFSFields"]

_CLOSING = 0.25  # share of what follows the warm-up in which a gate without any gradient closes at the derived rate


def polarised(x: Tensor, eps: Tensor | float, *, alpha: float) -> Tensor:
    """Return gates: those of LPFS at alpha 0, else those of LPFS++.

    Examples:
        >>> [round(g, 4) for g in polarised(torch.tensor([1.0, -1.0, 0.0]), 0.1, alpha=0.0).tolist()]
        [0.9091, 0.9091, 0.0]
        >>> [round(g, 4) for g in polarised(torch.tensor([1.0, -1.0, 0.0]), 0.1, alpha=10.0).tolist()]
        [3.3927, -3.3927, 0.0]
    """
    eps = torch.as_tensor(eps, dtype=x.dtype, device=x.device)
    g = x.square() / (x.square() + eps)
    if not alpha:
        return g
    return torch.where(x >= 0, g, -g) + alpha * eps.sqrt() * torch.atan(x)


@dataclass(frozen=True, slots=True, kw_only=True)
class LPFSFields(Gate):
    """Parameters of LPFS on fields.

    Attributes:
        epochs: T, epochs of the search; None = 8, fewer on tables of many rows: see `Gate.epochs_on`.
        rewind: Epoch to whose start the weights go back for the retraining.
        patience: The search is over after so many epochs in a row in which kept set and ranking hardly change or the hardened
            model is worse than it was; 0 = never before `epochs`.
        alpha: 0 is LPFS; above it LPFS++.
        eps: Of the gate, at the start.
        last_eps: At the end.
        penalty: lambda of the L1 penalty on x; a gate stays shut whose gradient, in units of its own size over the last
            steps, is smaller.
        every: x learns from a batch of validation rows after so many steps; 0 = from the training batches, as published.
        gate_lr: Adam's rate for x; None = the net's, or as much more as a gate without any gradient needs to close in a
            quarter of what follows the warm-up.
        warmup: Share of the search in which the gates are held while the net trains.
    """

    site: ClassVar[Site] = "field"
    usual_epochs: ClassVar[int] = 8
    epochs: int | None = None
    rewind: int = 0
    patience: int = 0
    alpha: float = field(default=10.0, metadata=search(0.0, 20.0))
    eps: float = field(default=0.1, metadata=search(1e-3, 0.2, log=True))
    last_eps: float = 1e-3
    penalty: float = field(default=0.3, metadata=search(0.02, 0.5, log=True))
    every: int = field(default=2, metadata=choose(0, 1, 2, 5))
    gate_lr: float | None = None
    warmup: float = field(default=0.1, metadata=search(0.0, 0.5))

    def __post_init__(self) -> None:
        self.check_search("lpfs_fields")
        if not 0 < self.last_eps <= self.eps or self.alpha < 0 or self.penalty < 0 or self.every < 0:
            raise ConfigError(
                "lpfs_fields: needs 0 < last_eps <= eps, alpha >= 0, penalty >= 0 and every >= 0, got "
                f"{self.last_eps}, {self.eps}, {self.alpha}, {self.penalty} and {self.every}"
            )
        if not 0 <= self.warmup < 1:
            raise ConfigError(f"lpfs_fields.warmup: must be in [0, 1), got {self.warmup}")
        if self.gate_lr is not None and self.gate_lr <= 0:
            raise ConfigError(f"lpfs_fields.gate_lr: must be above 0, got {self.gate_lr}")

    def build(self, plan: SearchPlan) -> GateModule:
        """Build for a search.

        Raises:
            ConfigError: If a gate without any gradient could not close in it.
        """
        moves = plan.steps * (1 - self.warmup) / max(self.every, 1)
        # DEVIATION(LPFS): x learns as fast as the search is short; at the net's rate no gate can close in some epochs.
        rate = rate_for(plan, 1 / max(self.penalty, 1e-9), moves=moves * _CLOSING, rate=self.gate_lr)
        if self.penalty and rate * self.penalty * moves < 1:
            raise ConfigError(
                f"lpfs_fields: no gate can close in {moves:.0f} moves after the warm-up with gate_lr {rate:.3g} and penalty "
                f"{self.penalty:.3g}; raise the epochs or the penalty, or make the batches smaller"
            )
        return _LPFSFields(self, plan, rate=rate)


class _LPFSFields(FieldGateModule):
    eps: Tensor
    learning: Tensor

    def __init__(self, gate: LPFSFields, plan: SearchPlan, *, rate: float) -> None:
        super().__init__()
        self.alpha, self.first, self.last, self.warmup = gate.alpha, gate.eps, gate.last_eps, gate.warmup
        # DEVIATION(LPFS): x learns from validation rows unless told otherwise: on training rows a field of many values gains
        # most by what its embeddings learned by heart.
        self.every = gate.every
        self.threshold = gate.penalty * rate
        self.x = nn.Parameter(torch.ones(len(plan.fields)))
        self.register_buffer("eps", torch.tensor(gate.eps))
        self.register_buffer("learning", torch.tensor(not gate.warmup))
        self.adam = Adam([self.x], rate=rate)

    def forward(self, embedded: Embedded) -> Embedded:
        return scaled(embedded, polarised(self.x, self.eps, alpha=self.alpha))

    @torch.no_grad()
    def advance(self, progress: float) -> None:
        # DEVIATION(LPFS): eps falls to a given last value over the search, so that gates polarise in one of any length.
        self.eps.fill_(self.first * (self.last / self.first) ** progress)
        # DEVIATION(LPFS): gates are held for the first share of the search, while embeddings carry no meaning yet.
        self.learning.fill_(progress >= self.warmup)

    @torch.no_grad()
    def update(self, exchange: Exchange) -> None:
        """Move x by its gradient and then towards 0, unless it is held."""
        if not self.learning:
            self.x.grad = None
            return
        self.adam.step()
        self.x.copy_(self.x.sign() * (self.x.abs() - self.threshold).clamp(min=0))

    def kept(self) -> Tensor:
        return self.x.detach() != 0

    def scores(self) -> Tensor:
        """The size of the gates, float64; the sign of x says nothing."""
        return polarised(self.x.detach().double(), self.eps.double(), alpha=self.alpha).abs()

    def facts(self) -> Mapping[str, float]:
        return {"eps": float(self.eps)}
