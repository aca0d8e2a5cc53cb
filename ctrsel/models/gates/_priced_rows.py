"""PricedRows: gates sigmoid(tau * w) with a price on every open one, moved by Adam, as dense steps would, where a batch has them.

Adam's moments under a price whose slope changes from step to step have no closed form. The steps are taken one by one, but for the
values that a batch needs and at no other time, so that a step of the search touches the batch's rows only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ctrsel.models.gates._contract import SearchPlan
from ctrsel.models.gates._rows import RowGate

__all__ = ["BETAS", "EPS", "PricedRows", "PricedSteps", "Values", "replayed"]

BETAS, EPS = (0.9, 0.999), 1e-8  # Adam's, as usual
_NOTHING = 1e-20  # gates below are 0


@dataclass(frozen=True, kw_only=True)
class PricedSteps:
    """A search's steps by the price `strength * sigmoid(tau * w)` alone, under Adam.

    Attributes:
        first: The step that is Adam's first.
        taus: float64 `[steps]`: the temperature in each step; it never falls.
        strength: Nats per row.
        rate: Adam's.
    """

    first: int
    taus: np.ndarray
    strength: float
    rate: float

    @cached_property
    def rates(self) -> np.ndarray:
        """Adam's rate over the bias correction of first moments, float64, from its first step on."""
        return np.asarray(self.rate / (1 - BETAS[0] ** np.arange(1, len(self.taus) - self.first + 1)))

    @cached_property
    def roots(self) -> np.ndarray:
        """What corrects the bias of the root of second moments, likewise."""
        return np.asarray(1 / np.sqrt(1 - BETAS[1] ** np.arange(1, len(self.taus) - self.first + 1)))

    def slope(self, w: Tensor, tau: Tensor | float) -> Tensor:
        """Return the derivative of the price."""
        s = torch.sigmoid(tau * w)
        return self.strength * tau * s * (1 - s)


class Values(NamedTuple):
    """Values' numbers under Adam.

    Attributes:
        w: `[V]`.
        m: `[V]`, first moments.
        v: `[V]`, second moments.
        seen: int32 `[V]`: the step before which a value's numbers stand.
    """

    w: Tensor
    m: Tensor
    v: Tensor
    seen: Tensor


Replay = Callable[[Tensor, Values, int, PricedSteps], None]  # of codes int64 `[n]`, in place, to before which step


def _by_adam(
    w: Tensor, m: Tensor, v: Tensor, slope: Tensor, *, step: int, rate: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Return parameters and moments after Adam's step of this number, from 1 (Kingma and Ba, 2015, algorithm 1)."""
    b1, b2 = BETAS
    m = b1 * m + (1 - b1) * slope
    v = b2 * v + (1 - b2) * slope.square()
    root = v.sqrt() / float((1 - b2**step) ** 0.5) + EPS
    return w - rate / (1 - b1**step) * m / root, m, v


def replayed(codes: Tensor, values: Values, clock: int, steps: PricedSteps) -> None:
    """Take the steps from `seen` to `clock` for some values, in place; training puts a compiled form in place of this one.

    Args:
        codes: int64 `[n]`; a value may stand there more than once.
        values: Of which some are brought up to date.
        clock: The step before which they are to stand.
        steps: Of the search.

    Examples:
        >>> values = Values(torch.full((2,), 0.5), torch.zeros(2), torch.zeros(2), torch.tensor([0, 3]))
        >>> replayed(torch.tensor([0, 0, 1]), values, 3, PricedSteps(first=0, taus=np.ones(9), strength=1e-3, rate=0.01))
        >>> values.w, values.seen
        (tensor([0.4700, 0.5000]), tensor([3, 3]))
    """
    codes = torch.unique(codes)
    codes = codes[values.seen[codes] < clock]
    if not len(codes):
        return
    at = values.seen[codes]
    w, m, v = (t[codes].double() for t in values[:3])
    for step in range(int(at.min()), clock):
        slope = steps.slope(w, float(steps.taus[step]))
        then = _by_adam(w, m, v, slope, step=step - steps.first + 1, rate=steps.rate)
        w, m, v = (torch.where(at <= step, new, old) for new, old in zip(then, (w, m, v), strict=True))
    for tensor, new in zip(values, (w, m, v), strict=False):
        tensor[codes] = new.to(tensor.dtype)
    values.seen[codes] = clock


class PricedRows(RowGate):
    """g(w) = sigmoid(tau * w) * scale; w moves by Adam, in steps without the value by the price alone.

    Args:
        plan: Of the search.
        start: Where w starts.
        scale: What a hard, open gate multiplies by.
        steps: What the price does in each step.

    Attributes:
        tau: Of the step at hand.
        replay: Brings values up to date in place.
    """

    m: Tensor
    v: Tensor
    tau: Tensor

    def __init__(self, plan: SearchPlan, *, start: float, scale: float, steps: PricedSteps) -> None:
        super().__init__(plan, start=start, held=steps.first)
        self.scale, self.priced = scale, steps
        self.replay: Replay = replayed
        self.register_buffer("m", torch.zeros(plan.total_codes))
        self.register_buffer("v", torch.zeros(plan.total_codes))
        self.register_buffer("tau", torch.tensor(1.0))

    @property
    def _values(self) -> Values:
        return Values(self.w, self.m, self.v, self.seen)

    def opened(self, w: Tensor) -> Tensor:
        gate = torch.sigmoid(self.tau * w) * self.scale
        # Closing gates pass through numbers so small that processors take a hundred times as long to multiply by them.
        return gate.masked_fill_(gate < _NOTHING, 0.0)

    def now(self, codes: Tensor | None = None) -> Tensor:
        some = slice(None) if codes is None else codes.reshape(-1)
        shape = self.w.shape if codes is None else codes.shape
        seen = self.seen[some]
        if not (seen < self.clock).any():
            return self.w[some].view(shape)
        values = Values(self.w[some].clone(), self.m[some].clone(), self.v[some].clone(), seen.clone())
        self.replay(torch.arange(len(seen), device=self.w.device), values, int(self.clock), self.priced)
        return values.w.view(shape)

    def bring(self, codes: Tensor) -> None:
        self.replay(codes.reshape(-1), self._values, int(self.clock), self.priced)

    def brought(self, codes: Tensor, due: Tensor) -> Tensor:
        self.bring(codes)
        return self.w[codes]

    def moved(self, codes: Tensor, w: Tensor, sums: Tensor, squares: Tensor, *, skipped: Tensor, rows: int) -> Tensor:
        s = torch.sigmoid(self.tau * w)
        slope = self.scale * self.tau * s * (1 - s) * sums + self.priced.slope(w, self.tau)
        step = int(self.clock) - self.held + 1
        w, self.m[codes], self.v[codes] = _by_adam(
            w, self.m[codes], self.v[codes], slope, step=step, rate=self.priced.rate
        )
        return w

    @torch.no_grad()
    def finish(self) -> None:
        """Bring all values up to date."""
        self.bring(torch.arange(len(self.w), device=self.w.device))
