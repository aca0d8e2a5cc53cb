"""LPFS and LPFS++ at value level: gates x^2 / (x^2 + eps) with exact zeros, whose eps falls until a gate is 0 or 1.

Reference: Guo et al., "LPFS: learnable polarizing feature selection for click-through rate prediction", 2022. The paper's
gates are on fields; here there is one a value, with the same functions and the same proximal step. LPFS++ adds
alpha * sqrt(eps) * atan(x), which keeps a gradient at zero, so that a closed gate can open again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from ctrsel.core.errors import ConfigError
from ctrsel.core.ranges import search
from ctrsel.models.gates._contract import Gate, GateModule, SearchPlan
from ctrsel.models.gates._smooth_rows import SmoothRows, check

__all__ = ["LPFS"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LPFS(Gate):
    """Parameters of LPFS.

    Attributes:
        epochs: T, epochs of the search at most; None = 6, fewer on tables of many rows: see `Gate.epochs_on`.
        rewind: Epoch to whose start the weights go back for the retraining.
        patience: The search is over after so many epochs in a row in which kept set and ranking hardly change or the hardened
            model is worse than it was; 0 = never before `epochs`.
        nats: The training log-likelihood that a value must earn; lambda = nats / training rows.
        alpha: Of the term that keeps a gradient at zero: 10 as in the paper's code of LPFS++; 0 = LPFS, whose gates stay closed.
        eps: At the start.
        last_eps: At the end.
        idle: Share of what follows the warm-up in which a gate without any gradient closes; the step follows from it.
        warmup: Share of the search in which the gates are held at their start while the net trains.
    """

    epochs: int | None = None
    rewind: int = 0
    patience: int = 0
    nats: float = field(default=4.0, metadata=search(0.5, 20.0, log=True))
    alpha: float = 10.0
    eps: float = 0.1
    last_eps: float = 1e-3
    idle: float = 0.4
    warmup: float = 0.3

    usual_epochs: ClassVar[int] = 6
    ordered: ClassVar[bool] = True

    def __post_init__(self) -> None:
        self.check_search("lpfs")
        check(
            "lpfs",
            positive={"nats": self.nats, "eps": self.eps, "last_eps": self.last_eps, "idle": self.idle},
            shares={"warmup": self.warmup, "idle": self.idle},
        )
        if self.alpha < 0:
            raise ConfigError(f"lpfs.alpha: must not be negative, got {self.alpha}")

    def build(self, plan: SearchPlan) -> GateModule:
        """Build for a search."""
        # DEVIATION(LPFS): a gate a value, not a field; step and lambda are derived, so that gates close at any table's size.
        return SmoothRows(
            plan,
            eps=self.eps,
            last_eps=self.last_eps,
            slope=self.alpha,
            nats=self.nats,
            idle=self.idle,
            warmup=self.warmup,
        )
