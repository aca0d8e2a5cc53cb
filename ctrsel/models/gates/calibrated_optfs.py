"""draft"""
from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ctrsel.core.errors import ConfigError
from ctrsel.core.ranges import search
from ctrsel.models.gates._contract import Gate, GateModule, SearchPlan
from ctrsel.models.gates._rows import RowGate

__all__ = ["CalibratedOptFS"]

_START = 3.0  # w0 of sigmoid(w0 + tau * w) / sigmoid(w0)
_FLOOR = -8.0  # of w: evidence of a value, over its price, is not told apart below exp of it


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibratedOptFS(Gate):
    epochs: int = 5
    rewind: int = 0
    nats: float = field(default=3.0, metadata=search(0.5, 20.0, log=True))
    temperature: float = 50.0
    warmup: float = 0.3
    held_out: float = 0.5
    patience: int = 2

    def build(self, plan: SearchPlan) -> GateModule:
        return _Calibrated(plan, self)


class _Calibrated(RowGate):
    scale = 1.0
    toward_other = True
    push: Tensor
    curvature: Tensor
    tau: Tensor

    def __init__(self, plan: SearchPlan, params: CalibratedOptFS) -> None:
        super().__init__(plan, start=0.0, held_out=params.held_out)
        self.nats, self.temperature, self.warmup = params.nats, params.temperature, params.warmup
        self.memory = plan.steps / params.epochs  # steps: an epoch
        self.register_buffer("push", torch.zeros(plan.total_codes))
        self.register_buffer("curvature", torch.zeros(plan.total_codes))
        self.register_buffer("tau", torch.tensor(0.0))

    def advance(self, progress: float) -> None:
        after = (progress - self.warmup) / (1 - self.warmup)
        self.tau.fill_(self.temperature * max(after, 0.0)**2)

    def opened(self, w: Tensor) -> Tensor:
        relaxed = torch.sigmoid(_START + self.tau * (w - self.ramp())) / (1 / (1 + math.exp(-_START)))
        return relaxed.clamp_(max=1.0)

    def ramp(self) -> float:
        return math.log(-math.expm1(-max(int(self.clock), 1) / self.memory))

    def is_open(self, w: Tensor) -> Tensor:
        return w - self.ramp() >= 0

    def drifted(self, w, steps):
        return (w - steps / self.memory).clamp_(min=_FLOOR)

    def moved(self, codes, w, sums, squares, *, skipped, rows):
        gate = self.opened(w)
        fade = torch.exp(-(skipped + 1) / self.memory)
        squares = squares * float(rows) ** 2
        q = self.curvature[codes] * fade + squares
        a = self.push[codes] * fade - sums * rows + gate * squares
        self.curvature[codes], self.push[codes] = q, a
        gain = a.clamp(min=0).square() / (2 * q).clamp(min=1e-30)
        return (gain / self.nats).clamp(min=math.exp(_FLOOR)).log()

    def settle(self, part, due):
        fade = torch.exp(-due / self.memory)
        self.curvature[part] *= fade
        self.push[part] *= fade

    def scores(self) -> Tensor:
        return torch.exp(self.now() - self.ramp()) * self.nats

    def facts(self) -> Mapping[str, float]:
        return {"tau": float(self.tau)}
