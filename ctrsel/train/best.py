"""Best: the weights of the best epoch so far, in memory where they are small and in a scratch file where not."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from ctrsel.train.tensor_files import load_tensors, save_tensors

__all__ = ["IN_MEMORY", "Best"]

IN_MEMORY = 64 << 20  # bytes: beyond it a second copy of the tables is what decides whether a fit still fits


class Best:
    """One set of weights.

    Args:
        in_memory: At most so many bytes are kept in memory.
    """

    def __init__(self, *, in_memory: int = IN_MEMORY) -> None:
        self._limit = in_memory
        self._kept: dict[str, Tensor] | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def keep(self, weights: Mapping[str, Tensor]) -> None:
        """Keep a copy in place of the one before."""
        if sum(w.numel() * w.element_size() for w in weights.values()) <= self._limit:
            self._kept = {k: w.detach().to("cpu", copy=True) for k, w in weights.items()}
            return
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="ctrsel-best-", ignore_cleanup_errors=True)
        save_tensors(weights, Path(self._folder.name))
        self._kept = None

    def weights(self) -> Mapping[str, Tensor]:
        """Return what was kept last; empty before the first."""
        if self._kept is not None:
            return self._kept
        return {} if self._folder is None else load_tensors(Path(self._folder.name))

    def into(self, weights: Mapping[str, Tensor]) -> None:
        """Copy what was kept into tensors of the same names and shapes."""
        kept = self.weights()
        with torch.no_grad():
            for name, tensor in weights.items():
                tensor.copy_(kept[name])
