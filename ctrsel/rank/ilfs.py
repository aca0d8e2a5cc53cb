"""ILFS: how much of a field, read as a document of how well its values tell a row's own class, is about relevance.

Reference: Roffo, Melzi, Castellani and Vinciarelli, "Infinite latent feature selection: a probabilistic latent
graph-based ranking approach", 2017.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ctrsel.core.errors import ConfigError
from ctrsel.rank._contract import CountRanker
from ctrsel.rank._filters import at_least, ranked, untold, varying
from ctrsel.stats.latent_topics import high_topic
from ctrsel.stats.target_codes import LeftOutCodes, left_out_codes

if TYPE_CHECKING:
    from ctrsel.rank.counts import TableCounts
    from ctrsel.records.ranking import Ranking

__all__ = ["ILFS"]

_REACH = 0.95  # share of the rows of the field that reaches farthest which lie between the outer edges


@dataclass(frozen=True, slots=True, kw_only=True)
class ILFS(CountRanker):
    """Probability of the relevant topic given the field, from counts.

    Attributes:
        tokens: Kinds of tokens, an even number: half of them speak for a row's own class.
        prior: Rows at the base rate that smooth a value's rate.
        learn: Whether the topics' tokens are learned from the fields, as the paper says, or stay straight lines, as its
            code does.
        iterations: Steps of expectation maximisation at most.
    """

    tokens: int = 4
    prior: float = 20.0
    learn: bool = False
    iterations: int = 500

    def __post_init__(self) -> None:
        at_least("ilfs", "tokens", self.tokens, 2)
        at_least("ilfs", "iterations", self.iterations, 1)
        if self.tokens % 2:
            raise ConfigError(f"ilfs.tokens: must be even, got {self.tokens}")
        if not self.prior > 0:
            raise ConfigError(f"ilfs.prior: must be above 0 rows, got {self.prior}")

    def score(self, counts: TableCounts) -> Ranking:
        """Rank the fields; ties stand in the order of their names."""
        names, refused = varying(counts)
        alike = untold(counts, names)
        refused.update(alike)
        found = {}
        for name in names:
            if name in alike:
                continue
            train = counts.fields[name].train
            own, weight = _own_class(left_out_codes(train.positives, train.totals, prior=self.prior))
            if np.ptp(own) <= 1e-12:
                refused[name] = "every training row has the same rate without itself"
            else:
                found[name] = (own, weight)
        scores = {}
        if found:
            reach = max(_quantile(np.abs(own), weight, _REACH) for own, weight in found.values())
            # DEVIATION(Roffo et al., 2017): edges are common to all fields; between a field's own extremes noise spans
            # as much as signal does.
            edges = np.linspace(-reach, reach, self.tokens + 1)[1:-1].round(12)
            documents = [_document(own, weight, edges) for own, weight in found.values()]
            # DEVIATION(Roffo et al., 2017): topics stay straight lines unless `learn` is set, and steps go on until
            # shares settle; learned ones drift to wide against narrow documents, and 15 steps leave noise where it
            # started.
            share, _ = high_topic(np.stack(documents), learn=self.learn, iterations=self.iterations)
            scores = dict(zip(found, share.tolist(), strict=True))
        # DEVIATION(Roffo et al., 2017): the graph with edges p_i p_j has rank one, so that the sum over its paths is
        # p_i times one number for all fields; it is left out.
        return ranked(self, counts, scores, unit="probability", null=None, refused=refused)


def _own_class(codes: LeftOutCodes) -> tuple[np.ndarray, np.ndarray]:
    """Return how far above 1/2 the probability of a row's own class is, per value and class, and its share of rows.

    DEVIATION(Roffo et al., 2017): the probability comes from a value's rate among the other rows, where the paper
    compares distances to the means of the classes; both classes count the same, as there.
    """
    n1, n0 = codes.positives.sum(), codes.negatives.sum()
    own = []
    for rate, sign in ((codes.positive, 1.0), (codes.negative, -1.0)):
        yes, no = rate * n0, (1.0 - rate) * n1
        own.append(sign * (yes / (yes + no) - 0.5))
    weight = np.concatenate([codes.positives / n1, codes.negatives / n0]) / 2.0
    known = weight > 0
    return np.concatenate(own)[known], weight[known]


def _document(own: np.ndarray, weight: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Return the weight of each token; what lies on an edge, as the base rate does, counts half on each side."""
    own = np.where(np.abs(own) <= 1e-12, 0.0, own)
    above, below = (
        np.bincount(np.searchsorted(edges, own, side=s), weights=weight, minlength=len(edges) + 1)
        for s in ("right", "left")
    )
    return np.asarray((above + below) / 2.0)


def _quantile(values: np.ndarray, weight: np.ndarray, share: float) -> float:
    order = np.argsort(values)
    return float(
        values[order][np.searchsorted(np.cumsum(weight[order]), share * weight.sum()).clip(max=len(order) - 1)]
    )
