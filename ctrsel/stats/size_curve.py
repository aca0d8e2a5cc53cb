"""The area under the curve of quality against size, which compares selectors over all sizes at once.

Reference: Jia et al., "ERASE: benchmarking feature selection methods for deep recommender systems", 2024 (AUKC). The paper
gives no formula; this is the trapezoid of ``2 AUC - 1`` over the grid, so that chance is 0 and a perfect order is 1.
Values compare on one grid only.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["area_under_size_curve"]


def area_under_size_curve(sizes: Sequence[int], aucs: Sequence[float]) -> float:
    """Return ``sum_i (k_{i+1} - k_i) (AUC_i + AUC_{i+1} - 1) / (k_m - k_1)``.

    Args:
        sizes: The grid, rising: how many fields (or values) were kept.
        aucs: AUC at each size.

    Returns:
        0 for an AUC of .5 at every size, 1 for an AUC of 1; without unit.

    Raises:
        ValueError: Fewer than two sizes, sizes that do not rise, or not one AUC for each.

    Examples:
        >>> area_under_size_curve([5, 10, 20], [0.5, 0.5, 0.5]), area_under_size_curve([1, 3], [1.0, 1.0])
        (0.0, 1.0)
        >>> round(area_under_size_curve([5, 10, 15], [0.7, 0.8, 0.8]), 3)
        0.55
    """
    k, quality = np.asarray(sizes, dtype=np.float64), np.asarray(aucs, dtype=np.float64)
    if k.size < 2 or k.shape != quality.shape or (np.diff(k) <= 0).any():
        raise ValueError(f"sizes must be two or more that rise, with one AUC each, got {list(sizes)} and {list(aucs)}")
    steps = np.diff(k)
    return float((steps * (quality[1:] + quality[:-1] - 1.0)).sum() / steps.sum())
