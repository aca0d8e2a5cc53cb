"""What a categorical field tells about a binary label, from counts alone.

A field enters as a table of positives and rows per value. Plug-in mutual information grows with the number of values: the
adjusted value has the part that chance explains taken out, and ``information_test`` sets it beside its null.

References:
    Shannon (1948), "A mathematical theory of communication" (entropy); Vinh, Epps and Bailey (2010), "Information
    theoretic measures for clusterings comparison" (adjusted value).
"""

from __future__ import annotations

from ctrsel.stats._checks import Array, contingency, counts, weighted_contingency
from ctrsel.stats._plug_in import adjusted_information, plug_in_entropy, plug_in_information
from ctrsel.stats.permutation import expected_mutual_information

__all__ = ["adjusted_mutual_information", "entropy", "mutual_information", "weighted_mutual_information"]


def entropy(counts_: Array) -> float:
    """Plug-in Shannon entropy of a set of counts, in nats.

    Shape:
        ``[K]``: rows per value.

    Args:
        counts_: Whole, non-negative counts.

    Returns:
        A number in [0, ln K]; 0 for no rows.

    Raises:
        DataError: negative or fractional counts.

    Examples:
        >>> import numpy as np
        >>> round(entropy(np.array([2, 2])), 6)
        0.693147
        >>> entropy(np.array([5, 0]))
        0.0
    """
    rows = counts("counts", counts_)
    return plug_in_entropy(rows[rows > 0])


def mutual_information(positives: Array, totals: Array) -> float:
    """Plug-in mutual information of a field and a binary label, in nats.

    ``sum over cells of n_cell / n * ln(n * n_cell / (rows of the value * rows of the class))``.

    Shape:
        ``positives`` and ``totals`` ``[K]``.

    Args:
        positives: Positive rows per value.
        totals: Rows per value.

    Returns:
        A number in [0, entropy of the label]. It rises with the number of values even for noise:
        see ``information_test``.

    Raises:
        DataError: counts that are negative, fractional or contradict each other.

    Examples:
        >>> import numpy as np
        >>> round(mutual_information(np.array([1, 2, 2]), np.array([4, 3, 3])), 12)
        0.086304621736
    """
    yes, all_rows = contingency(positives, totals)
    return plug_in_information(yes, all_rows)


def weighted_mutual_information(positives: Array, totals: Array) -> float:
    """Plug-in mutual information [nats] when rows have weights: sums of weights stand in place of numbers of rows.

    Shape:
        ``positives`` and ``totals`` ``[K]``, in units of the weight.

    Args:
        positives: Weight of the positive rows per value.
        totals: Weight of all rows per value.

    Returns:
        A number in [0, entropy of the label]; no change when all weights are scaled.

    Raises:
        DataError: sums that are negative, not finite or contradict each other.

    Examples:
        >>> import numpy as np
        >>> weighted_mutual_information(np.array([0.5, 0.0]), np.array([0.5, 0.5])) == float(np.log(2.0))
        True
    """
    return plug_in_information(*weighted_contingency(positives, totals))


def adjusted_mutual_information(positives: Array, totals: Array) -> float:
    """Adjusted mutual information ``(MI - EMI) / ((H(field) + H(label)) / 2 - EMI)``, without unit.

    Shape:
        ``positives`` and ``totals`` ``[K]``.

    Args:
        positives: Positive rows per value.
        totals: Rows per value.

    Returns:
        0 on average for noise, 1 for a copy of the label; 0 (never NaN) for one class, one value, or all values unique.

    Raises:
        DataError: counts that are negative, fractional or contradict each other.

    Examples:
        >>> import numpy as np
        >>> round(adjusted_mutual_information(np.array([1, 2, 2]), np.array([4, 3, 3])), 12)
        -0.065467699754
    """
    yes, all_rows = contingency(positives, totals)
    positive = int(yes.sum())
    return adjusted_information(
        yes, all_rows, mutual_information(yes, all_rows), expected_mutual_information(positive, all_rows)
    )
