"""What every two fields tell about each other, and the groups of fields that say the same; labels play no part.

References: Vinh, Epps and Bailey, "Information theoretic measures for clusterings comparison", 2010 (the adjusted value,
arithmetic norm); Sokal and Michener, "A statistical method for evaluating systematic relationships", 1958 (average
linkage).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ctrsel.core.errors import ConfigError
from ctrsel.rank._field_terms import FieldTerms, check_rows
from ctrsel.stats.association import normalised

if TYPE_CHECKING:
    from ctrsel.rank.counts import TableCounts

__all__ = ["FieldAssociation", "associate", "field_association", "same_fields"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FieldAssociation:
    """Information of all pairs of fields about each other, less its mean under shuffled rows.

    Attributes:
        names: Fields with at least two values, in the table's order.
        excess: float64 `[F, F]`, symmetric, nats; a field's entropy on the diagonal.
        share: float64 `[F, F]`, symmetric, from 0 to 1: the normalised information, 1 on the diagonal.
        told: float64 `[F, F]`, from 0 to 1: share of the row's field that the column's field tells; a city tells its
            country, not the other way round. 1 on the diagonal.
        z: float64 `[F, F]`, symmetric, `excess` in its standard deviations under shuffling; 0 on the diagonal.
        entropy: float64 `[F]`, nats.
        refused: Fields left out, with the reason.
        rows: Rows that were counted.
    """

    names: tuple[str, ...]
    excess: np.ndarray
    share: np.ndarray
    told: np.ndarray
    z: np.ndarray
    entropy: np.ndarray
    refused: dict[str, str]
    rows: int


def field_association(counts: TableCounts, *, rows: int | None = None) -> FieldAssociation:
    """Compare every two fields; one count of both together per pair.

    Args:
        counts: Counts with their rows.
        rows: Training rows to count on, drawn with the seed of the counts; None for all.

    Raises:
        DataError: If only counts are here.

    Examples:
        >>> from ctrsel.rank import count
        >>> from ctrsel.testing.tables import tiny_table
        >>> found = field_association(count(tiny_table()))
        >>> found.share.shape == (len(found.names),) * 2
        True
    """
    check_rows("field_association", rows)
    return associate(FieldTerms(counts, ranker="field_association", rows=rows))


def associate(terms: FieldTerms) -> FieldAssociation:
    """Compare every two fields of some terms."""
    fields, entropy = len(terms), terms.entropy
    excess, share, told, z = np.diag(entropy), np.eye(fields), np.eye(fields), np.zeros((fields, fields))
    for i in range(fields):
        for j in range(i + 1, fields):
            plain, (expected, deviation) = terms.plain(terms.joint(i, j), i, j), terms.null(i, j)
            mine, other = float(entropy[i]), float(entropy[j])
            excess[i, j] = excess[j, i] = plain - expected
            z[i, j] = z[j, i] = (plain - expected) / deviation if deviation > 1e-12 else 0.0
            share[i, j] = share[j, i] = normalised(plain, expected, mine, other)
            told[i, j] = normalised(plain, expected, mine, mine)
            told[j, i] = normalised(plain, expected, other, other)
    return FieldAssociation(
        names=terms.names,
        excess=excess,
        share=share,
        told=told,
        z=z,
        entropy=entropy,
        refused=dict(terms.refused),
        rows=terms.n_rows,
    )


def same_fields(found: FieldAssociation, *, threshold: float = 0.5) -> np.ndarray:
    """Group fields that say the same: agglomerative, by the average distance `1 - share` between two groups.

    Args:
        found: The association of all pairs.
        threshold: Groups are joined while their fields share this much on average, from 0 to 1.

    Returns:
        int64 `[F]`, equal numbers are one group; numbered from 0 in the order of the fields.

    Raises:
        ConfigError: If the threshold is not between 0 and 1.

    Examples:
        >>> from ctrsel.rank import count
        >>> from ctrsel.testing.tables import tiny_table
        >>> same_fields(field_association(count(tiny_table())), threshold=0.9)
        array([0, 1, 2, 3, 4, 5])
    """
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform

    if not 0 < threshold <= 1:
        raise ConfigError(f"threshold: must be above 0 and at most 1, got {threshold}")
    if len(found.names) < 2:
        return np.zeros(len(found.names), dtype=np.int64)
    tree = linkage(squareform(1.0 - found.share, checks=False), method="average")
    # Two names of one field differ by rounding, which must not keep them apart at a threshold of 1.
    labels = fcluster(tree, t=1.0 - threshold + 1e-9, criterion="distance")
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    return np.asarray(np.argsort(np.argsort(first))[inverse], dtype=np.int64)
