"""CalibratedOptFS: a gate per value, open where the value's row earns its price in nats of training log-likelihood.

Reference: the relaxed gates, their temperature and the objective (a price on every open gate) are those of Lyu et al.,
"Optimizing feature set for click-through rate prediction", 2023. What follows is derived here.

With hard gates that objective says: a value stays if without it the loss of all training rows would rise by more than its
price, `nats`. OptFS goes there by gradient steps of a parameter w, and whether a gate closes in time depends on the number of
steps, their rate, the temperature and lambda together. Here w is not stepped: it is set to what the steps would have to find.

Evidence. Let a = -dL_o/dg be the derivative of the loss of one occurrence o (nats) by its gate g. To second order, with the
squares of gradients for the curvature (Fisher's identity), the sum over an epoch's occurrences, A = sum(a + g a^2) and
Q = sum(a^2), says what all gates g would gain over a closed one: g A - g^2 Q / 2. A gate and its row's length say the same
twice (g * e), so evidence must not depend on the length: at the best one the gain is

    gain = max(A, 0)^2 / (2 Q)

nats, the same for e and for 7 e. A row that is fitted to d directions of noise gains d / 2 on the average (half a chi-squared
of d degrees of freedom) at any frequency, number of rows and batch size; a value of use gains in proportion to its rows and to
its effect squared. A closed gate goes on measuring (at g = 0: A = sum(a)), so that it can open again.

Gate. w = log(gain / nats), and g = min(1, sigmoid(3 + tau w) / sigmoid(3)) with tau from 0 up to `temperature`, step by step: 1
exactly for every value that earns its price. Closing moves a row towards row `OTHER`, which a dropped value gets when
serving, and `OTHER` learns from the rows that it takes over; the gain is that over `OTHER` therefore.

Steps. A and Q forget by exp(-1 / steps of an epoch) a step, so that they speak of one pass; until the first pass is over they
are divided by the share they have seen. A value that a batch lacks has A and Q times exp(-k / epoch) after k steps, and w lower
by k / epoch: a gate that is not heard of goes down at constant speed in epochs, whatever the batches. One that never was is
closed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from ctrsel.core.errors import ConfigError
from ctrsel.core.ranges import choose, search
from ctrsel.models.gates._contract import Gate, GateModule, SearchPlan
from ctrsel.models.gates._rows import DriftingRows

__all__ = ["CalibratedOptFS"]

_WIDE_OPEN = 3.0  # sigmoid(3) = .95: what w has to undo before a gate is half closed
_FLOOR = -8.0  # of w: below nats * exp(-8) evidence is not told apart


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibratedOptFS(Gate):
    """Parameters of the calibrated form.

    Attributes:
        epochs: T, epochs of the search at most; three are what a training takes at least that waits two for a better one.
        rewind: Epoch to whose start the weights go back for the retraining; those of 0 are made again from the seed.
        patience: The search is over after so many epochs in a row in which kept set and ranking hardly change or the hardened
            model is worse than it was; 0 = never before `epochs`.
        nats: The price: training log-likelihood that a value's row must gain over `OTHER`'s.
        temperature: The last tau.
        warmup: Share of the search in which tau is 0 and all gates are open, while evidence gathers.
        held_out: Share of a value's occurrences that its row does not learn from and that alone are evidence: gains are then
            free of the net's fit to noise, at the price of power. 0 = all occurrences are both. Values of lists are told
            apart by their place in the batch only, so that their evidence is not held out.
    """

    epochs: int = 3
    rewind: int = 0
    patience: int = 2
    nats: float = field(default=4.0, metadata=search(0.5, 20.0, log=True))
    temperature: float = 50.0
    warmup: float = 0.3
    held_out: float = field(default=0.0, metadata=choose(0.0, 0.5))

    ordered: ClassVar[bool] = True

    def __post_init__(self) -> None:
        self.check_search("calibrated_optfs")
        for name in ("warmup", "held_out"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"calibrated_optfs.{name}: must be in [0, 1), got {getattr(self, name)}")
        for name in ("nats", "temperature"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"calibrated_optfs.{name}: must be above 0, got {getattr(self, name)}")

    def build(self, plan: SearchPlan) -> GateModule:
        """Build for a search of any length: no gate needs more steps to close than there are."""
        return _Calibrated(plan, self)


class _Calibrated(DriftingRows):
    """w is log(gain / nats), before it is corrected for what the first pass has not seen yet."""

    scale = 1.0
    toward_other = True
    push: Tensor
    curvature: Tensor
    tau: Tensor

    def __init__(self, plan: SearchPlan, params: CalibratedOptFS) -> None:
        super().__init__(plan, start=_FLOOR, held_out=params.held_out)
        self.w[self.reserved] = 0.0
        self.nats, self.temperature, self.warmup = params.nats, params.temperature, params.warmup
        self.epoch = plan.steps / params.epochs  # steps
        self.register_buffer("push", torch.zeros(plan.total_codes))  # A
        self.register_buffer("curvature", torch.zeros(plan.total_codes))  # Q
        self.register_buffer("tau", torch.tensor(0.0))

    def advance(self, progress: float) -> None:
        # DEVIATION(OptFS): tau rises from 0 with the square of the progress, not from 1 by a constant factor: gates are 1 at
        # the start whatever w, and a gate at an edge of exp(1 / tau) of the price is decided at the end.
        after = max((progress - self.warmup) / (1 - self.warmup), 0.0)
        self.tau.fill_(self.temperature * after * after)

    def _unseen(self) -> float:
        """Log of the share of a pass that evidence speaks of."""
        steps = int(self.clock)
        return math.log(-math.expm1(-steps / self.epoch)) if steps else 0.0

    def opened(self, w: Tensor) -> Tensor:
        if not int(self.clock):  # nothing is known yet
            return torch.ones_like(w)
        gate = torch.sigmoid(_WIDE_OPEN + self.tau * (w - self._unseen()))
        return (gate * (1 + math.exp(-_WIDE_OPEN))).clamp_(max=1.0)

    def is_open(self, w: Tensor) -> Tensor:
        return w >= self._unseen() if int(self.clock) else torch.ones_like(w, dtype=torch.bool)

    def drifted(self, w: Tensor, steps: Tensor) -> Tensor:
        return (w - steps.to(w.dtype) / self.epoch).clamp_(min=_FLOOR)

    def moved(self, codes: Tensor, w: Tensor, sums: Tensor, squares: Tensor, *, skipped: Tensor, rows: int) -> Tensor:
        # DEVIATION(OptFS): w is the log of the evidence over the price, not a parameter that Adam steps.
        fade = torch.exp(-(skipped + 1).to(w.dtype) / self.epoch)
        squares = squares * float(rows) ** 2  # of gradients of a row's own loss
        q = self.curvature[codes] * fade + squares
        a = self.push[codes] * fade - sums * float(rows) + self.opened(w) * squares
        self.curvature[codes], self.push[codes] = q, a
        gain = a.clamp(min=0).square() / (2 * q).clamp_(min=1e-30)
        return (gain / self.nats).clamp_(min=math.exp(_FLOOR)).log()

    def settle(self, part: slice, due: Tensor) -> None:
        fade = torch.exp(-due.to(self.push.dtype) / self.epoch)
        self.curvature[part] *= fade
        self.push[part] *= fade

    def scores(self) -> Tensor:
        """Gains, nats of an epoch's training rows."""
        return torch.exp(self.now() - self._unseen()) * self.nats

    def facts(self) -> Mapping[str, float]:
        return {"tau": float(self.tau)}
