"""The embedding rows that a threshold closes, for gates that ask how large a row is."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from ctrsel.models.gates._contract import SearchPlan, ValueGateModule

__all__ = ["ThresholdModule"]

_PIECE = 1 << 18  # rows looked at at once


class ThresholdModule(ValueGateModule):
    """A gate that looks at the rows of width D; what it says of them holds for the first order as well.

    Args:
        plan: Of the search.
    """

    scale = 1.0
    reserved: Tensor
    starts: Tensor
    free: Tensor

    def __init__(self, plan: SearchPlan) -> None:
        super().__init__()
        self.total_codes, self.width = plan.total_codes, plan.width
        self.register_buffer("reserved", torch.from_numpy(plan.reserved))
        free = torch.ones(plan.total_codes, dtype=torch.bool)
        free[self.reserved] = False
        self.register_buffer("free", free)
        self._main: tuple[Tensor, ...] = ()  # a tuple: a table is no part of this module

    def see(self, tables: Sequence[Tensor]) -> None:
        """Remember the rows of width D."""
        self._main = (tables[0],)

    @abstractmethod
    def alive(self, rows: Tensor, codes: Tensor) -> Tensor:
        """Say which rows `[..., D]` of codes `[...]` are above the threshold."""

    def kept(self) -> Tensor:
        """Rows as they are now; without a table every code."""
        kept = torch.ones(self.total_codes, dtype=torch.bool, device=self.reserved.device)
        for at in range(0, self.total_codes if self._main else 0, _PIECE):
            rows = self._main[0][at : at + _PIECE]
            kept[at : at + len(rows)] = self.alive(rows, torch.arange(at, at + len(rows), device=rows.device))
        kept[self.reserved] = True
        return kept

    def _alive_of(self, x: Tensor, codes: Tensor) -> Tensor:
        """By the rows of width D, whichever table `x` is of."""
        with torch.no_grad():
            rows = self._main[0][codes] if self._main else x
            return self.alive(rows, codes) | ~self.free[codes]
