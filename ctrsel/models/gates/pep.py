"""PEP's soft thresholds on the entries of rows: a value is dropped once all entries of its row are below its field's.

Reference: Liu et al., "Learnable embedding sizes for recommender systems", 2021: v_hat = sign(v) * max(|v| - sigmoid(s), 0),
here with one s a field; a row of zeros is a value that is dropped.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from ctrsel.core.errors import ConfigError
from ctrsel.models.gates._adam import Adam
from ctrsel.models.gates._contract import Exchange, Gate, GateModule, SearchPlan
from ctrsel.models.gates._smooth_rows import check
from ctrsel.models.gates._thresholds import ThresholdModule

__all__ = ["PEP"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PEP(Gate):
    """Parameters of PEP.

    Attributes:
        epochs: T, epochs of the search at most; None = 6, fewer on tables of many rows: see `Gate.epochs_on`.
        rewind: Epoch to whose start the weights go back for the retraining.
        patience: The search is over after so many epochs in a row in which kept set and ranking hardly change or the hardened
            model is worse than it was; 0 = never before `epochs`.
        start: s at the start; sigmoid(-15) is 3e-7.
        stop: s where one that only its decay moves would get to in steps of one length; Adam's rate follows. The pull of the
            decay gets smaller as s does, so that it ends near -5 in place of -3 (thresholds of .004 to .008).
        decay: Of s, as weight decay: what makes thresholds rise where the data does not hold them, nats per row.
        warmup: Share of the search in which thresholds stay at their start.
    """

    epochs: int | None = None
    rewind: int = 0
    patience: int = 0
    start: float = -15.0
    stop: float = -3.0
    decay: float = 1e-6
    warmup: float = 0.2

    usual_epochs: ClassVar[int] = 6

    def __post_init__(self) -> None:
        self.check_search("pep")
        check(
            "pep",
            positive={"decay": self.decay},
            shares={"warmup": self.warmup},
        )
        if not self.start < self.stop < 0:
            raise ConfigError(f"pep: needs start < stop < 0, got {self.start}, {self.stop}")

    def build(self, plan: SearchPlan) -> GateModule:
        """Build for a search."""
        return _PEP(plan, self)


class _PEP(ThresholdModule):
    def __init__(self, plan: SearchPlan, params: PEP) -> None:
        super().__init__(plan)
        self.decay, self.warmup, self.held = params.decay, params.warmup, params.warmup > 0
        self.register_buffer("starts", torch.from_numpy(plan.reserved[: len(plan.reserved) // 3].copy()))
        self.s = nn.Parameter(torch.full((len(self.starts),), params.start))
        # DEVIATION(PEP): the rate follows from how far a threshold is to get; the paper tunes it per data set.
        way = params.stop - params.start
        self.adam = Adam([self.s], rate=way / max(plan.steps * (1 - params.warmup), 1.0))

    def advance(self, progress: float) -> None:
        # DEVIATION(PEP): thresholds are held for the first share of the search, while rows are as short as they begin.
        self.held = progress < self.warmup

    def _threshold(self, codes: Tensor) -> Tensor:
        owner = torch.bucketize(codes, self.starts, right=True) - 1
        return torch.where(self.free[codes], torch.sigmoid(self.s)[owner], torch.zeros_like(self.s[:1]))

    def alive(self, rows: Tensor, codes: Tensor) -> Tensor:
        # DEVIATION(PEP): whole rows are kept, as they are, or dropped, by one threshold a vocabulary; the paper prunes single
        # entries and retrains under their mask.
        # DEVIATION(PEP): a row of zeros stays: training never reached it, which says nothing about its value.
        largest, threshold = rows.abs().amax(-1), self._threshold(codes)
        return (largest > threshold) | (largest == 0)

    def forward(self, x: Tensor, codes: Tensor, *, hard: bool = False, other: Tensor | None = None) -> Tensor:
        if hard or x.shape[-1] != self.width:
            return x * self._alive_of(x, codes).to(x.dtype)[..., None]
        return torch.sign(x) * torch.relu(x.abs() - self._threshold(codes)[..., None])

    def price(self) -> Tensor:
        return self.decay / 2 * self.s.square().sum()

    def update(self, exchange: Exchange) -> None:
        """Move the thresholds."""
        if self.held:
            self.s.grad = None
        self.adam.step()

    def scores(self) -> Tensor:
        """How far a row's largest entry is above the threshold."""
        if not self._main:
            return torch.zeros(self.total_codes)
        with torch.no_grad():
            codes = torch.arange(self.total_codes, device=self.reserved.device)
            return self._main[0].abs().amax(-1) - self._threshold(codes)

    def facts(self) -> dict[str, float]:
        return {"threshold": float(torch.sigmoid(self.s.detach()).mean())}
