"""SmoothRows: value gates x^2 / (x^2 + eps), moved by the proximal step of an L1 penalty; skipped steps in closed form.

Reference: Guo et al., "LPFS: learnable polarizing feature selection for click-through rate prediction", 2022.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ctrsel.core.errors import ConfigError
from ctrsel.models.gates._contract import SearchPlan
from ctrsel.models.gates._rows import DriftingRows

__all__ = ["SmoothRows", "check"]

_LONGEST = 0.1  # move of a step that the data asks for


class SmoothRows(DriftingRows):
    """g(x) = (x^2 / (x^2 + eps) + slope * sqrt(eps) * atan(x)) / g0, with g0 such that gates start at 1, at x = 1.

    A step is x - rate * dL/dx, then by `reach` towards 0 and no further (the proximal step of rate * lambda * |x|), and a step
    that would lead over 0 ends there: x is never negative, where LPFS's gate would open again and LPFS++'s would turn the value's
    rows around. So many steps without the data are one of k * reach: that is their closed form, exactly.

    Args:
        plan: Of the search.
        eps: At the start.
        last_eps: At the end; in between it falls by a constant factor a step.
        slope: alpha of LPFS++; 0 = LPFS.
        nats: lambda = nats / training rows.
        idle: Share of what follows the warm-up in which a gate without any gradient closes.
        warmup: Share of the search in which gates are held.
    """

    eps: Tensor

    def __init__(
        self,
        plan: SearchPlan,
        *,
        eps: float,
        last_eps: float,
        slope: float,
        nats: float,
        idle: float,
        warmup: float,
    ) -> None:
        # DEVIATION(LPFS): gates are held for the first share of the search, while embeddings carry no meaning yet.
        super().__init__(plan, start=1.0, held=round(warmup * plan.steps))
        self.bounds, self.slope, self.warmup = (eps, last_eps), slope, warmup
        self.register_buffer("eps", torch.tensor(eps))
        self.scale = 1.0
        # DEVIATION(LPFS): gates start at 1, so that the net begins as it would without them; an open gate's g ends near 1 / g0.
        self.scale = 1.0 / float(self.opened(torch.tensor(1.0)))
        self.reach = 1.0 / max(idle * (plan.steps - self.held), 1.0)
        self.rate = self.reach * max(plan.train_rows, 1) / nats

    def advance(self, progress: float) -> None:
        # DEVIATION(LPFS): eps falls with the progress, not by .9978 every 100 steps: a short search would end as it began.
        first, last = self.bounds
        after = max((progress - self.warmup) / (1 - self.warmup), 0.0)
        self.eps.fill_(first * (last / first) ** after)

    def opened(self, w: Tensor) -> Tensor:
        square = w.square()
        gate = square / (square + self.eps)
        if self.slope:
            gate = gate + self.slope * self.eps.sqrt() * torch.atan(w)
        return gate * self.scale

    def is_open(self, w: Tensor) -> Tensor:
        # DEVIATION(LPFS): open means x^2 > eps, where g passes a half, not x != 0: the last batches leave dust around 0.
        return w.square() > self.eps

    def drifted(self, w: Tensor, steps: Tensor) -> Tensor:
        return (w - self.reach * steps.to(w.dtype)).clamp_(min=0.0)

    def moved(self, codes: Tensor, w: Tensor, sums: Tensor, squares: Tensor, *, skipped: Tensor, rows: int) -> Tensor:
        square = w.square()
        slope = 2 * w * self.eps / (square + self.eps).square()
        if self.slope:
            slope = slope + self.slope * self.eps.sqrt() / (1 + square)
        move = (self.rate * self.scale * slope * sums).clamp_(-_LONGEST, _LONGEST)
        # DEVIATION(LPFS): no gate is negative. The steps that the data asks for are plain ones of at most .1, not Adam's.
        return self.drifted((w - move).clamp_(min=0.0), torch.ones_like(skipped))

    def scores(self) -> Tensor:
        return self.now()

    def facts(self) -> Mapping[str, float]:
        return {"eps": float(self.eps)}


def check(
    use: str,
    *,
    positive: Mapping[str, float],
    shares: Mapping[str, float],
) -> None:
    """Refuse parameters with which nothing can be searched.

    Args:
        use: The gate's name.
        positive: Parameters above 0.
        shares: Parameters from 0, below 1.
    """
    for name, value in positive.items():
        if not value > 0:
            raise ConfigError(f"{use}.{name}: must be above 0, got {value}")
    for name, value in shares.items():
        if not 0 <= value < 1:
            raise ConfigError(f"{use}.{name}: must be in [0, 1), got {value}")
