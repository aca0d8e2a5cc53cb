"""SearchStop: when a search has made up its mind, as DARTS+ stops where the order of the candidates stays the same.

Reference: Liang et al., "DARTS+: improved differentiable architecture search with early stopping", 2019, criterion 1*: the
ranking stays the same. Here it is that of values or fields by their scores, and with it the set that would be kept. The second
criterion is over-training: the hardened model gets worse on validation rows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from scipy.stats import kendalltau
from torch import Tensor

__all__ = ["SearchStop"]

_RANKED = 10_000  # scores whose order is compared


class SearchStop:
    """Looks at a search after each of its epochs.

    While nothing has closed yet, nothing is decided, and no epoch counts.

    Args:
        patience: The search is over after so many epochs in a row in which neither the kept set nor the ranking changes, but for
            little, or in which the hardened model's log-loss is above its least; 0 = never.
        same: Jaccard index of two epochs' kept sets from which on they are the same.
        order: Kendall's tau of two epochs' scores from which on their ranking is the same.

    Examples:
        >>> import torch
        >>> stop = SearchStop(patience=2)
        >>> for epoch in range(4):
        ...     facts = stop.look(torch.tensor([True, False, epoch > 0]), torch.tensor([3.0, 1.0, 2.0]))
        >>> stop.over, facts["jaccard"], facts["kendall"]
        (True, 1.0, 1.0)
    """

    def __init__(self, *, patience: int, same: float = 0.99, order: float = 0.95) -> None:
        self.patience, self.same, self.order = patience, same, order
        self._before: tuple[Tensor, Tensor] | None = None
        self._still, self._worse, self._best = 0, 0, math.inf

    @property
    def over(self) -> bool:
        """Whether the search may end."""
        return 0 < self.patience <= max(self._still, self._worse)

    @property
    def reason(self) -> str:
        """Why it is over."""
        if self._still >= self.patience:
            return f"what is kept, and its ranking, have not changed for {self._still} epochs"
        return f"the hardened model's validation log-loss has been above its least for {self._worse} epochs"

    def look(self, kept: Tensor, scores: Tensor, *, log_loss: float | None = None) -> dict[str, float]:
        """Take an epoch in.

        Args:
            kept: Bool `[V]` or `[F]`.
            scores: Of the same shape.
            log_loss: The hardened model's, on validation rows.

        Returns:
            jaccard: Of the kept sets of this epoch and the one before.
            kendall: Kendall's tau-b of the scores of at most 10,000 of them; 0 where all are tied.
        """
        kept, some = kept.cpu(), scores.detach().cpu()[:: -(-len(scores) // _RANKED) or 1].double()
        facts = {}
        if self._before is not None:
            was, ranked = self._before
            either = int((was | kept).sum())
            jaccard = int((was & kept).sum()) / either if either else 1.0
            tau = kendalltau(ranked.numpy(), some.numpy()).statistic if len(some) > 1 else 0.0
            facts = {"jaccard": jaccard, "kendall": float(np.nan_to_num(tau))}
            # DEVIATION(DARTS+): nearly the same set and order are the same: a ranking of thousands of values never stands still.
            still = jaccard >= self.same and facts["kendall"] >= self.order and not bool(kept.all())
            self._still = self._still + 1 if still else 0
        if log_loss is not None and not bool(kept.all()):
            self._worse = 0 if log_loss < self._best else self._worse + 1
            self._best = min(self._best, log_loss)
        self._before = (kept.clone(), some.clone())
        return facts

    def state(self) -> tuple[dict[str, float], dict[str, Tensor]]:
        """Return what a later `restore` needs: numbers, and tensors."""
        numbers: dict[str, float] = {"still": self._still, "worse": self._worse}
        if math.isfinite(self._best):
            numbers["best"] = self._best
        tensors = {} if self._before is None else {"kept": self._before[0].byte(), "scores": self._before[1]}
        return numbers, tensors

    def restore(self, numbers: Mapping[str, float], tensors: Mapping[str, Tensor]) -> None:
        """Go on from there."""
        self._still, self._worse = int(numbers["still"]), int(numbers["worse"])
        self._best = numbers.get("best", math.inf)
        if tensors:
            self._before = (tensors["kept"].bool(), tensors["scores"].clone())
