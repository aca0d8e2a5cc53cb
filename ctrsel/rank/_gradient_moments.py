"""How much of a target's variance a linear predictor on scaled columns explains, estimated without fitting one.

References: Sheth and Fusi, "Feature gradients: scalable feature selection via discrete relaxation", 2019, section 3;
    Kong and Valiant, "Estimating learnability in the sublinear data regime", 2018 (the statistics V and the polynomial).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ctrsel.core.errors import ConfigError

if TYPE_CHECKING:
    import torch

__all__ = ["explained", "inverse_coefficients", "moments"]


def moments(x: torch.Tensor, y: torch.Tensor, s: torch.Tensor, *, order: int) -> torch.Tensor:
    """Means over rising tuples of rows of ``y_i K_ij K_jk ... y_l``, where ``K = X diag(s) X'``; unbiased for every order.

    The m-th has m factors K and estimates ``c' S (Sigma S)^(m-1) c`` with ``c = E[x y]``. Sums over all later rows
    are running sums, so each order takes time in proportion to B C.

    Shape:
        ``x`` ``[B, C]``, ``y`` ``[B]``, ``s`` ``[C]`` to ``[order]``.

    Args:
        x: Standardised columns.
        y: Standardised target.
        s: Scale of each column, from 0 to 1; gradients flow through it.
        order: How many.
    """
    import torch

    rows = x.shape[0]
    scaled, r = x * s, y
    found = []
    for m in range(1, order + 1):
        weighted = x * r[:, None]
        later = weighted.flip(0).cumsum(0).flip(0) - weighted
        r = (scaled * later).sum(1)
        found.append((y * r).sum() / float(math.comb(rows, m + 1)))
    return torch.stack(found)


def inverse_coefficients(order: int, *, floor: float) -> np.ndarray:
    """Coefficients a of ``t sum_m a_m t^(m-1)`` that stays nearest to 1 on [floor, 1] (Chebyshev), and is 0 at 0.

    Args:
        order: How many.
        floor: From where on the polynomial is to be near 1.

    Returns:
        float64 ``[order]``.

    Raises:
        ConfigError: If the order or the floor is out of range.

    Examples:
        >>> inverse_coefficients(1, floor=0.999).round(3)
        array([1.001])
    """
    if order < 1:
        raise ConfigError(f"order: must be at least 1, got {order}")
    if not 0 < floor < 1:
        raise ConfigError(f"floor: must be between 0 and 1, got {floor}")
    basis = np.polynomial.Chebyshev.basis(order, domain=[floor, 1.0]).convert(kind=np.polynomial.Polynomial)
    powers: np.ndarray = np.asarray(basis.convert(domain=[-1.0, 1.0]).coef, dtype=np.float64)
    found: np.ndarray = -powers[1:] / powers[0]
    return found


def explained(
    x: torch.Tensor, y: torch.Tensor, s: torch.Tensor, *, coefficients: np.ndarray, top: float
) -> torch.Tensor:
    """Estimate the share of the target's variance that a linear predictor on the columns scaled by sqrt(s) explains.

    Not fitted, so noise explains 0 on average, however many columns there are; a single estimate may be below 0 or above 1.

    Args:
        x: Standardised columns ``[B, C]``.
        y: Standardised target ``[B]``.
        s: Scales ``[C]`` from 0 to 1.
        coefficients: As of `inverse_coefficients`.
        top: Largest eigenvalue of the columns' correlations, or a bound.
    """
    import torch

    powers = torch.as_tensor(coefficients / top ** np.arange(1, len(coefficients) + 1), dtype=x.dtype)
    return (powers * moments(x, y, s, order=len(coefficients))).sum()
