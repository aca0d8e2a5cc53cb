"""Adding up, by code, what moves a value gate: the compiled form, put into a gate from outside as other pieces are.

A served net needs no compiler, and `ctrsel.models.gates._rows.added_up` does the same in torch.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ctrsel.models.gates._rows import Sums
from ctrsel.models.gates._rows import added_up as by_torch
from ctrsel.stats._kernel import kernel

__all__ = ["added_up"]


def added_up(codes: Tensor, gradients: Tensor, place: Tensor) -> Sums:
    """Add gradients and their squares up by code, in the order of first occurrence.

    Args:
        codes: int64 `[n]`.
        gradients: float32 `[n]`.
        place: int32 `[V]`, all -1, and so again afterwards.

    Returns:
        Distinct codes `[k]`, and per code the sums of gradients and of their squares.

    Examples:
        >>> added_up(torch.tensor([7, 3, 7]), torch.tensor([1.0, 2.0, 3.0]), torch.full((9,), -1, dtype=torch.int32))
        (tensor([7, 3]), tensor([4., 2.]), tensor([10.,  4.]))
    """
    if codes.device.type != "cpu" or gradients.dtype != torch.float32:
        return by_torch(codes, gradients, place)
    distinct = np.empty(len(codes), np.int64)
    sums, squares = np.empty(len(codes), np.float32), np.empty(len(codes), np.float32)
    n = _add_up(codes.numpy(), gradients.numpy(), place.numpy(), distinct, sums, squares)
    return torch.from_numpy(distinct[:n]), torch.from_numpy(sums[:n]), torch.from_numpy(squares[:n])


@kernel
def _add_up(  # noqa: PLR0917  # compiled loops take their arguments by position
    codes: np.ndarray,
    gradients: np.ndarray,
    place: np.ndarray,
    distinct: np.ndarray,
    sums: np.ndarray,
    squares: np.ndarray,
) -> int:
    n = 0
    for i in range(len(codes)):
        code, x = codes[i], gradients[i]
        at = place[code]
        if at < 0:
            place[code] = n
            distinct[n], sums[n], squares[n] = code, x, x * x
            n += 1
        else:
            sums[at] += x
            squares[at] += x * x
    for k in range(n):
        place[distinct[k]] = -1
    return n
