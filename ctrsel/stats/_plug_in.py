"""Plug-in entropy, information and adjusted information of counts that are checked already.

Values of equal counts may stand together: ``repeats`` says how many there are of each.

References:
    Shannon (1948), "A mathematical theory of communication" (entropy); Vinh, Epps and Bailey (2010), "Information
    theoretic measures for clusterings comparison" (adjusted value).
"""

from __future__ import annotations

import numpy as np
from scipy import special

from ctrsel.stats._checks import Array, Floats

__all__ = ["adjusted_information", "plug_in_entropy", "plug_in_information"]


def plug_in_entropy(rows: Array, repeats: Array | int = 1) -> float:
    """Entropy of counts above 0, in nats.

    Shape:
        ``[K]``: rows per value, or their weight.

    Examples:
        >>> plug_in_entropy(np.array([3]), np.array([2])) == plug_in_entropy(np.array([3, 3]))
        True
    """
    if rows.size < 2 and np.sum(repeats) < 2:
        return 0.0
    share: Floats = rows / (repeats * rows).sum()
    return float((repeats * special.entr(share)).sum())


def plug_in_information(yes: Array, all_rows: Array, repeats: Array | int = 1) -> float:
    """Mutual information of a field and a binary label, in nats; see ``information.mutual_information``.

    Shape:
        ``[K]`` positives and ``[K]`` rows per value with rows, or their weights.

    Examples:
        >>> round(plug_in_information(np.array([1, 2]), np.array([4, 3]), np.array([1, 2])), 12)
        0.086304621736
    """
    rows, positive = (repeats * all_rows).sum(), (repeats * yes).sum()
    if rows == 0 or positive in (0, rows):
        return 0.0
    rate = float(positive) / float(rows)
    expected = all_rows * rate
    nats = special.xlogy(yes, yes / expected) + special.xlogy(all_rows - yes, (all_rows - yes) / (all_rows - expected))
    return max(float((repeats * nats).sum()) / float(rows), 0.0)


def adjusted_information(yes: Array, all_rows: Array, value: float, expected: float, repeats: Array | int = 1) -> float:
    """Share ``(value - expected) / ((H(field) + H(label)) / 2 - expected)``; 0 where no order of the labels matters.

    Shape:
        ``[K]`` positives and ``[K]`` rows per value with rows.

    Examples:
        >>> adjusted_information(np.array([2, 0]), np.array([2, 2]), float(np.log(2.0)), 0.0)
        1.0
    """
    rows, positive = int((repeats * all_rows).sum()), int((repeats * yes).sum())
    if positive in (0, rows) or all_rows.max() in (1, rows):
        return 0.0
    norm = (plug_in_entropy(all_rows, repeats) + plug_in_entropy(np.array([positive, rows - positive]))) / 2 - expected
    # Two rows of two values are a copy of the label in every order: nothing to adjust, nothing to learn.
    return (value - expected) / norm if norm > 1e-15 else 0.0
