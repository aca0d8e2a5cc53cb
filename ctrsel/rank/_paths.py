"""What both forms of infinite feature selection share: graphs of fields, and what the sum over paths adds to edges."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ctrsel.stats.graph_centrality import path_scores
from ctrsel.stats.information import entropy

if TYPE_CHECKING:
    from ctrsel.rank.counts import TableCounts

__all__ = ["evenness", "paths", "scaled"]


def evenness(counts: TableCounts, names: Sequence[str]) -> np.ndarray:
    """Return entropy over the logarithm of the number of values, of the training rows, `[F]` in [0, 1]."""
    totals = [counts.fields[n].train.totals for n in names]
    return np.array([entropy(t) / np.log(np.count_nonzero(t)) for t in totals], dtype=np.float64)


def scaled(values: np.ndarray) -> np.ndarray:
    """Return values moved to [0, 1]; zeros where they are all equal."""
    if values.size == 0 or np.ptp(values) <= 1e-12:
        return np.zeros_like(values)
    return np.asarray((values - values.min()) / np.ptp(values))


def paths(graph: np.ndarray, *, share: float) -> tuple[np.ndarray, str | None]:
    """Return the sum over paths from each field, and a note on how far it agrees with the order of the edges alone."""
    from scipy.stats import kendalltau

    if len(graph) == 0:
        return np.zeros(0), None
    scores, edges = path_scores(graph, share=share), graph.sum(axis=1)
    if len(graph) < 2 or np.ptp(edges) == 0 or np.ptp(scores) == 0:
        return scores, None
    # Rounded, as equal fields differ by rounding only.
    tau = float(kendalltau(scores.round(9), edges.round(9)).statistic)
    return scores, f"Kendall's tau of the order by all paths with that by edges alone: {tau:.3f}"
