"""OptFS: one gate per value, relaxed by a sigmoid whose temperature rises until the gate is a step.

Reference: Lyu et al., "Optimizing feature set for click-through rate prediction", 2023, equations 6-12; details of
the schedule and of the scale follow its released code: g = sigmoid(tau * w) / sigmoid(w0), w starts at w0 = 0.5,
tau = gamma ** (t / (T - 1)) in epoch t of T, penalty lambda * sum of sigmoid(tau * w), kept where w > 0.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from ctrsel.core.errors import ConfigError
from ctrsel.models.gates._contract import Gate, GateModule, SearchPlan
from ctrsel.models.gates._priced_rows import BETAS, EPS, PricedRows, PricedSteps

__all__ = ["OptFS"]

_START = 0.5  # w0
# Share of the search in which a gate without any gradient closes at the derived rate. Gates move more slowly under the
# noise of real gradients (Adam divides by it) and freeze once tau * |w| is above about 5: at a half, values without any
# use were still open at the end of short searches; from a twentieth on, the outcome hardly depends on it.
_SHARE = 0.05
_FASTEST = 0.1  # largest derived rate: beyond it a few steps decide


@dataclass(frozen=True, slots=True, kw_only=True)
class OptFS(Gate):
    """Parameters of OptFS.

    Attributes:
        epochs: T, epochs of the search; None = 10, fewer on tables of many rows: see `Gate.epochs_on`.
        rewind: Epoch to whose start the weights go back for the retraining.
        patience: The search is over after so many epochs in a row in which kept set and ranking hardly change or the hardened
            model is worse than it was; 0 = never before `epochs`.
        temperature: gamma, the last tau.
        nats: The training log-likelihood that a value must earn; lambda = nats / training rows. 1 is what Akaike's
            criterion asks of one parameter; it is lenient, since a value has a whole row: 3 to 10 prune harder.
        penalty: lambda itself, in nats per training row and value, as the paper has it; None = from `nats`.
        gate_lr: Adam's rate for the gates; None = the net's, or as much more as a gate without any gradient from the
            data needs to close within a twentieth of what follows the warm-up.
        warmup: Share of the search in which the gates are held at their start while the net trains.
        published: The paper's own search: tau rises from epoch to epoch, gates have the net's rate and no warm-up, `penalty` is
            lambda and must be given; whether a gate can close is not looked at.
    """

    epochs: int | None = None
    rewind: int = 1
    patience: int = 0
    temperature: float = 1000.0
    nats: float = 1.0
    penalty: float | None = None
    gate_lr: float | None = None
    warmup: float = 0.2
    published: bool = False

    usual_epochs: ClassVar[int] = 10

    def __post_init__(self) -> None:
        self.check_search("optfs")
        if not 0 <= self.warmup < 1:
            raise ConfigError(f"optfs.warmup: must be in [0, 1), got {self.warmup}")
        if self.temperature < 1:
            raise ConfigError(f"optfs.temperature: must be at least 1, got {self.temperature}")
        if self.published and self.penalty is None:
            raise ConfigError(
                "optfs.published: needs penalty, the paper's lambda, such as 2e-9 for tens of millions of rows"
            )
        for name in ("nats", "penalty", "gate_lr"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise ConfigError(f"optfs.{name}: must be above 0, got {value}")

    def build(self, plan: SearchPlan) -> GateModule:
        """Build for a search.

        Raises:
            ConfigError: If a gate without any gradient from the data would still be open at its end.
        """
        if self.published:
            assert self.penalty is not None
            return _OptFS(
                plan,
                rate=plan.learning_rate if self.gate_lr is None else self.gate_lr,
                strength=self.penalty,
                temperature=self.temperature,
                warmup=0.0,
                epochs=self.epochs_on(plan.train_rows),
            )
        after = replace(plan, steps=max(round(plan.steps * (1 - self.warmup)), 1))
        # DEVIATION(OptFS): the paper tunes lambda per data set; a fixed number of nats a value needs no tuning.
        strength = self.penalty if self.penalty is not None else self.nats / max(plan.train_rows, 1)
        rate = self.gate_lr
        if rate is None:
            # DEVIATION(OptFS): the paper gives gates the net's rate, with which none can close in a short search.
            rate = self._closing_rate(after, strength)
        closed, w = _idle(self._schedule(after.steps), rate=rate, strength=strength)
        if closed is None:
            raise ConfigError(
                f"optfs: no gate can close in {after.steps} steps after the warm-up with gate_lr {rate:.3g}, penalty {strength:.3g} and "
                f"temperature {self.temperature:.4g}: a gate without any use ends at w = {w:.3f}, above 0; "
                "raise gate_lr, the epochs or the penalty, or make the batches smaller"
            )
        return _OptFS(plan, rate=rate, strength=strength, temperature=self.temperature, warmup=self.warmup)

    def _schedule(self, steps: int) -> Iterator[float]:
        return (self.temperature ** (step / max(steps - 1, 1)) for step in range(steps))

    def _closing_rate(self, plan: SearchPlan, strength: float) -> float:
        rate = plan.learning_rate
        while True:
            closed, _ = _idle(self._schedule(plan.steps), rate=rate, strength=strength)
            if closed is not None and closed <= _SHARE * plan.steps:
                return rate
            if rate * 1.25 > max(_FASTEST, plan.learning_rate):
                break
            rate *= 1.25
        if closed is not None and closed <= plan.steps / 2:
            return rate
        raise ConfigError(
            f"optfs: no gate can close in half of {plan.steps} steps after the warm-up with penalty {strength:.3g} and a gate_lr up to "
            f"{_FASTEST}; raise the epochs or the penalty, or make the batches smaller"
        )


def _idle(schedule: Iterable[float], *, rate: float, strength: float) -> tuple[int | None, float]:
    """Follow a gate that only the penalty moves, under Adam, over a temperature per step.

    Returns:
        The step after which it was closed (w <= 0), None if it never was, and the last w.
    """
    w, m, v = _START, 0.0, 0.0
    b1, b2 = BETAS
    for step, tau in enumerate(schedule):
        x = tau * w
        s = 1 / (1 + math.exp(-x)) if x < 700 else 1.0
        g = strength * tau * s * (1 - s)
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g * g
        w -= rate * (m / (1 - b1 ** (step + 1))) / (math.sqrt(v / (1 - b2 ** (step + 1))) + EPS)
        if w <= 0:
            return step + 1, w  # the gradient has one sign: a closed gate without use stays closed
    return None, w


class _OptFS(PricedRows):
    def __init__(
        self,
        plan: SearchPlan,
        *,
        rate: float,
        strength: float,
        temperature: float,
        warmup: float,
        epochs: int | None = None,
    ) -> None:
        self.steps, self.epochs = plan.steps, epochs  # epochs: tau stands still within each
        self.temperature, self.warmup = temperature, warmup
        progress = np.arange(plan.steps) / max(plan.steps - 1, 1)
        # DEVIATION(OptFS): gates are held for the first share of the search; the paper's data sets have thousands of
        # steps an epoch, so that its embeddings carry meaning long before gates close.
        steps = PricedSteps(
            first=int((progress < warmup).sum()),
            taus=np.array([self._temperature(p) for p in progress.tolist()]),
            strength=strength,
            rate=rate,
        )
        # DEVIATION(OptFS): reserved codes (missing, other, hidden) are neither penalised nor closed; the paper has a gate a
        # value, and a penalty on each of them.
        super().__init__(plan, start=_START, scale=1 + math.exp(-_START), steps=steps)  # 1 / sigmoid(w0)

    def _temperature(self, progress: float) -> float:
        # DEVIATION(OptFS): tau moves every step, not every epoch, so that a search is the same for any batch size.
        if self.epochs is not None:
            step = round(progress * max(self.steps - 1, 1))
            return float(self.temperature ** (step * self.epochs // self.steps / max(self.epochs - 1, 1)))
        return float(self.temperature ** max((progress - self.warmup) / (1 - self.warmup), 0.0))

    def advance(self, progress: float) -> None:
        self.tau.fill_(self._temperature(progress))

    def facts(self) -> Mapping[str, float]:
        return {"tau": float(self.tau)}
