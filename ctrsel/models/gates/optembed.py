"""OptEmbed's row pruning: a value stays while its row is longer than its field's learned threshold.

Reference: Lyu et al., "OptEmbed: learning optimal embedding table for click-through rate prediction", 2022, section 3.2: mask
1[|e|_1 > t_f], a long-tailed estimator for the step's derivative, and alpha * sum of exp(-t_f) in the objective. Its search for
widths per field is not part of this.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ctrsel.core.ranges import search
from ctrsel.models.gates._adam import Adam
from ctrsel.models.gates._contract import Exchange, Gate, GateModule, SearchPlan
from ctrsel.models.gates._smooth_rows import check
from ctrsel.models.gates._thresholds import ThresholdModule

__all__ = ["OptEmbed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OptEmbed(Gate):
    """Parameters of OptEmbed's thresholds.

    Attributes:
        epochs: T, epochs of the search at most; None = 6, fewer on tables of many rows: see `Gate.epochs_on`.
        rewind: Epoch to whose start the weights go back for the retraining.
        patience: The search is over after so many epochs in a row in which kept set and ranking hardly change or the hardened
            model is worse than it was; 0 = never before `epochs`.
        alpha: Of the sum of exp(-t) over the fields, nats per row.
        reach: How far a threshold that only alpha moves would get in steps of one length, in the L1 norm of a row; Adam's
            rate follows. It gets to .82 to .87 of it.
        warmup: Share of the search in which the thresholds stay at 0.
    """

    epochs: int | None = None
    rewind: int = 0
    patience: int = 0
    alpha: float = field(default=1e-3, metadata=search(1e-5, 1e-2, log=True))
    reach: float = 1.0
    warmup: float = 0.3

    usual_epochs: ClassVar[int] = 6

    def __post_init__(self) -> None:
        self.check_search("optembed")
        check(
            "optembed",
            positive={"alpha": self.alpha, "reach": self.reach},
            shares={"warmup": self.warmup},
        )

    def build(self, plan: SearchPlan) -> GateModule:
        """Build for a search."""
        return _OptEmbed(plan, self)


class _OptEmbed(ThresholdModule):
    def __init__(self, plan: SearchPlan, params: OptEmbed) -> None:
        super().__init__(plan)
        self.alpha, self.warmup, self.held = params.alpha, params.warmup, params.warmup > 0
        self.register_buffer("starts", _starts(plan))
        self.t = nn.Parameter(torch.zeros(len(self.starts)))
        # DEVIATION(OptEmbed): the rate follows from how far a threshold is to get; the paper tunes it per data set.
        self.adam = Adam([self.t], rate=params.reach / max(plan.steps * (1 - params.warmup), 1.0))

    def advance(self, progress: float) -> None:
        # DEVIATION(OptEmbed): thresholds are held at 0 for the first share of the search, while rows are as short as they begin.
        self.held = progress < self.warmup

    def _over(self, rows: Tensor, codes: Tensor) -> Tensor:
        owner = torch.bucketize(codes, self.starts, right=True) - 1
        return rows.abs().sum(-1) - self.t[owner]

    def alive(self, rows: Tensor, codes: Tensor) -> Tensor:
        # DEVIATION(OptEmbed): a row of zeros stays as long as its field's threshold is 0: nothing is pruned at the start.
        return self._over(rows, codes) >= 0

    def forward(self, x: Tensor, codes: Tensor, *, hard: bool = False, other: Tensor | None = None) -> Tensor:
        if hard or x.shape[-1] != self.width or not torch.is_grad_enabled():
            mask = self._alive_of(x, codes).to(x.dtype)
        else:
            step: Tensor = _Step.apply(self._over(x, codes))  # type: ignore[no-untyped-call]  # torch does not annotate it
            mask = torch.where(self.free[codes], step, torch.ones_like(step))
        return x * mask[..., None]

    def price(self) -> Tensor:
        return self.alpha * torch.exp(-self.t).sum()

    def update(self, exchange: Exchange) -> None:
        """Move the thresholds."""
        if self.held:
            self.t.grad = None
        self.adam.step()
        with torch.no_grad():
            # DEVIATION(OptEmbed): thresholds stay at 0 or above: a row cannot be shorter than nothing. As released they may
            # fall below.
            self.t.clamp_(min=0.0)

    def scores(self) -> Tensor:
        """How far a row is above its threshold."""
        if not self._main:
            return torch.zeros(self.total_codes)
        with torch.no_grad():
            return self._over(self._main[0], torch.arange(self.total_codes, device=self.reserved.device)).clone()

    def facts(self) -> dict[str, float]:
        return {"threshold": float(self.t.detach().mean())}


def _starts(plan: SearchPlan) -> Tensor:
    """First rows of the vocabularies: the first third of the reserved ones."""
    return torch.from_numpy(plan.reserved[: len(plan.reserved) // 3].copy())


class _Step(torch.autograd.Function):
    """1[x >= 0], with the long-tailed estimator of Xu and Cheung (2019) as its derivative."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return (x >= 0).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        far = x.abs()
        slope = torch.where(
            far <= 0.4, 2 - 4 * far, torch.where(far <= 1, torch.full_like(far, 0.4), torch.zeros_like(far))
        )
        return grads[0] * slope
