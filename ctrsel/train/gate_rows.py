"""Compiled forms of what moves a value gate, put into it from outside as other pieces are: sums by code, and steps made up.

A served net needs no compiler, and `ctrsel.models.gates._rows.added_up` and `_priced_rows.replayed` do the same in torch.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ctrsel.models.gates._priced_rows import BETAS, EPS, PricedSteps, Values
from ctrsel.models.gates._priced_rows import replayed as replayed_by_torch
from ctrsel.models.gates._rows import Sums
from ctrsel.models.gates._rows import added_up as by_torch
from ctrsel.stats._kernel import kernel

__all__ = ["added_up", "replayed"]

# Where |tau w| is so large the price has no slope any more, and temperatures do not fall; once a step is as small, all
# that are left add up to less than 1e-9, and moments only fade.
_FROZEN, _STILL = 40.0, 1e-10


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


def replayed(codes: Tensor, values: Values, clock: int, steps: PricedSteps) -> None:
    """Take the steps from `seen` to `clock` for some values, in place; see `ctrsel.models.gates._priced_rows.replayed`."""
    if codes.device.type != "cpu":
        replayed_by_torch(codes, values, clock, steps)
        return
    w, m, v, seen = (t.numpy() for t in values)
    _replay(codes.numpy(), w, m, v, seen, clock, steps.first, steps.taus, steps.rates, steps.roots, steps.strength)


@kernel
def _replay(  # noqa: PLR0917  # compiled loops take their arguments by position
    codes: np.ndarray,
    w: np.ndarray,
    m: np.ndarray,
    v: np.ndarray,
    seen: np.ndarray,
    clock: int,
    first: int,
    taus: np.ndarray,
    rates: np.ndarray,
    roots: np.ndarray,
    strength: float,
) -> None:
    b1, b2 = BETAS
    for i in range(len(codes)):
        code = codes[i]
        begin = seen[code]
        if begin >= clock:
            continue
        x, first_moment, second = np.float64(w[code]), np.float64(m[code]), np.float64(v[code])
        for step in range(begin, clock):
            tau, at = taus[step], step - first
            root = np.sqrt(second) * roots[at] + EPS
            if abs(tau * x) > _FROZEN and rates[at] * abs(first_moment) < _STILL * root:
                first_moment *= b1 ** (clock - step)
                second *= b2 ** (clock - step)
                break
            s = 1.0 / (1.0 + np.exp(-tau * x))
            slope = strength * tau * s * (1.0 - s)
            first_moment = b1 * first_moment + (1.0 - b1) * slope
            second = b2 * second + (1.0 - b2) * slope * slope
            x -= rates[at] * first_moment / (np.sqrt(second) * roots[at] + EPS)
        w[code], m[code], v[code], seen[code] = x, first_moment, second, clock
