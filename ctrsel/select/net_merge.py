"""NetMerge: values whose embedding rows a trained net can hardly tell apart share one row, those first that cost least.

References: LeCun, Denker and Solla, "Optimal brain damage", 1990 (a change of weights costs half its square times the
curvature); Ward, "Hierarchical grouping to optimize an objective function", 1963 (which groups are merged next); Choi,
El-Khamy and Lee, "Towards the limit of network quantization", 2017 (weights that share a value, by Hessian-weighted
clusters).
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ctrsel.core.catalog import describe
from ctrsel.core.errors import ConfigError
from ctrsel.core.log import event
from ctrsel.core.ranges import search
from ctrsel.core.seeds import derive
from ctrsel.explain import sample_rows
from ctrsel.records.feature_set import OTHER, RESERVED, FeatureSet
from ctrsel.select._contract import Found, Selector
from ctrsel.select._merged import Merged
from ctrsel.select._ward import WardPath, ward_path
from ctrsel.select._whiten import drawn_in, full_weights, half_known, whitened
from ctrsel.select._wishes import Wishes
from ctrsel.select.problem import Problem
from ctrsel.select.size import Size

if TYPE_CHECKING:
    from ctrsel.data.table import Table
    from ctrsel.explain.row_curvature import RowCurvature
    from ctrsel.models.model import Model
    from ctrsel.train import Fit

__all__ = ["NetMerge"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NetMerge(Selector):
    """Train some nets, then merge embedding rows where the log-loss grows least, over all nets and vocabularies.

    A group of values costs half the curvature-weighted squared distances of their rows from its centre, mean over the nets,
    which differ in the seed alone: what one of them tells apart by chance the others do not. A value that the
    size leaves no row of its own so joins the group that it resembles, in place of "other". Rare values that training rows
    have taken together as "other" are a point like the others, and what merges with them is "other".

    A row that was learned from few rows has their luck in it: groups of lucky values would tell the retrained model the
    labels of its own training rows. Validation rows say how far rows are borne out, by field: by the share `n / (n + r)` of
    their way from the mean row, n training rows. Rows are drawn in by that share, and values of which less than `known` is
    borne out are taken together by how often they occur (1, 2 to 3, 4 to 7, ...) before any are told apart by their rows.

    Attributes:
        nets: How many nets are trained.
        rows: Training rows that the curvature is taken from at most, each class in proportion.
        damping: Added to the curvature in every direction, as a share of its mean: directions in which the net is flat at
            these rows are not free.
        known: Values of whose rows a smaller share is borne out are taken together by count; 0 leaves rows as they are.
        start: Whether a retraining starts from the merged weights of the first net, in place of new ones.
    """

    nets: int = 3
    rows: int = 1_000_000
    damping: float = field(default=1e-3, metadata=search(1e-5, 1e-1, log=True))
    known: float = 0.5
    start: bool = False

    def __post_init__(self) -> None:
        if self.nets < 1 or self.rows < 1 or not self.damping > 0 or not 0 <= self.known < 1:
            raise ConfigError(
                "net_merge: needs nets >= 1, rows >= 1, damping > 0 and known in [0, 1), got "
                f"{self.nets}, {self.rows}, {self.damping}, {self.known}"
            )

    def fits(self, *, fields: int, rows: int) -> float:
        """One a net, each on all rows."""
        return float(self.nets)

    def search(self, problem: Problem, *, sizes: Sequence[Size], seed: int) -> Found:
        """Train on the training split, take the curvature there, and work out all merges.

        Raises:
            ConfigError: If the learner makes no net.
        """
        began = time.perf_counter()
        encoder = problem.table.encoder
        wishes = Wishes.of(encoder, always_keep=problem.always_keep, groups=problem.groups)
        grouped = {
            encoder.schema.field(f).vocabulary for g in wishes.groups for f in g if not encoder.schema.field(f).is_float
        }
        snapshot, history, told = None, [], []
        for number in range(self.nets):
            fit, seen = self._net(problem, number, seed=seed)
            if number == 0 and self.start:
                snapshot = fit.model
            history += [{"net": float(number + 1), **epoch} for epoch in fit.history]
            told.append(seen)
        parts = {}
        for name, vocabulary in encoder.vocabularies.items():
            counts, own = vocabulary.counts, [t[name] for t in told]
            few = float(np.median([o.few for o in own]))
            parts[name] = _Rows.of(
                np.concatenate([o.points for o in own], axis=1) / math.sqrt(len(own)),
                np.mean([o.weight for o in own], axis=0),
                counts,
                rare=np.where(counts / np.maximum(counts + few, 1.0) < self.known, np.frexp(counts)[1], -1),
                merged=name not in wishes.forced,
                last=name in grouped,
            )
        return _NetMerges(
            problem=problem,
            by=self,
            parts=parts,
            silent=wishes.silent,
            snapshot=snapshot,
            history=tuple(history),
            seconds=time.perf_counter() - began,
        )

    def _net(self, problem: Problem, number: int, *, seed: int) -> tuple[Fit, Mapping[str, _Seen]]:
        """Train a net; return it, and by vocabulary what it makes of the values."""
        from ctrsel.explain.row_curvature import row_curvature

        table = problem.table
        own = seed if number == 0 else derive(seed, "select", "net_merge", f"net {number}")
        work = None if problem.work is None else problem.work / f"net_{number}"
        fit = problem.learner.fit(table, work=work, seed=own)
        if fit.model.predictor.kind != "net":
            raise ConfigError(
                f"net_merge: merges rows of a net, and learner {describe(problem.learner)['use']!r} makes "
                f"{fit.model.predictor.kind!r}; use merge, which counts"
            )
        picked = sample_rows(table, self.rows, split="train", seed=derive(own, "select", "net_merge", "rows"))
        found = row_curvature(fit.model, table.take(picked))
        few = self._few_rows(fit.model, table, found)
        event("net_merge rows", net=number + 1, **few)
        seen = {}
        for name, vocabulary in table.encoder.vocabularies.items():
            curvature, counts = found[name], vocabulary.counts
            points = whitened(curvature.rows, curvature.matrix, damping=self.damping)
            seen[name] = _Seen(
                points=drawn_in(points, counts, rows=few[name]),
                weight=full_weights(curvature.weight, curvature.occurrences, counts),
                few=few[name],
            )
        return fit, seen

    def _few_rows(self, model: Model, table: Table, found: Mapping[str, RowCurvature]) -> dict[str, float]:
        """Return by vocabulary from how many rows on a value's embedding row is borne out by half."""
        from ctrsel.explain.row_curvature import row_pulls

        vocabularies = table.encoder.vocabularies
        if not self.known or "valid" not in table.splits:
            return dict.fromkeys(vocabularies, 0.0)
        centres = {n: v.counts @ found[n].rows / max(float(v.counts.sum()), 1.0) for n, v in vocabularies.items()}
        pulls = row_pulls(model, table.part("valid"), centres)
        return {n: half_known(v.counts[RESERVED:], *(p[RESERVED:] for p in pulls[n])) for n, v in vocabularies.items()}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Seen:
    """What one net makes of a vocabulary's values.

    Attributes:
        points: float64 `[V, K]`, rows in units in which half a weighted squared distance is nats.
        weight: float64 `[V]`.
        few: From how many training rows on a value's row is borne out by half.
    """

    points: np.ndarray
    weight: np.ndarray
    few: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _NetMerges(Merged):
    """The partitions of every vocabulary."""

    parts: Mapping[str, _Rows]

    def by_vocabulary(self) -> Mapping[str, _Rows]:
        return self.parts

    def told(self, features: FeatureSet) -> tuple[Mapping[str, float], ...]:
        """Tell the training, and then what the merges of a size lose, to second order."""
        table = self.problem.table
        span = table.span("train")
        values = table.encoder.n_values
        lost = sum(self.parts[n].loss(remap) for n, remap in features.remaps.items())
        last = {
            "values": float(values),
            "kept": features.n_values / max(values, 1),
            "lost": lost / max(span.stop - span.start, 1),
        }
        event("net_merge", **last, seconds=self.seconds)
        return (*self.history, last)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Rows:
    """The values of one vocabulary as weighted points, and the partitions that they can have.

    Attributes:
        points: float64 `[V, K]`, all codes, in units in which half a weighted squared distance is nats.
        weight: float64 `[V]`.
        counts: Training occurrences `[V]`.
        first: The first code that takes part: `OTHER` where training rows have it.
        path: Merges of the codes from `first` on; None where the values stay as they are.
        steps: Numbers of groups, falling, and what they lose, nats of the training rows.
    """

    points: np.ndarray
    weight: np.ndarray
    counts: np.ndarray
    first: int
    path: WardPath | None
    steps: tuple[np.ndarray, np.ndarray]

    @staticmethod
    def of(
        points: np.ndarray, weight: np.ndarray, counts: np.ndarray, *, rare: np.ndarray, merged: bool, last: bool
    ) -> _Rows:
        size = len(counts) - RESERVED
        if not merged or size == 0:
            steps = np.array([size]), np.zeros(1)
            return _Rows(points=points, weight=weight, counts=counts, first=RESERVED, path=None, steps=steps)
        first = OTHER if counts[OTHER] else RESERVED
        here = _taking_part(len(counts), first)
        together = np.where(here == OTHER, -1, rare[here])
        path = ward_path(points[here], weight[here], together=together)
        # With "other" among the points its group takes no room; without it, one group says no more than "other" would.
        left = np.arange(size, size - len(path.cost) - 1, -1)
        lost = np.concatenate([[0.0], np.cumsum(0.5 * path.cost)])
        if first == RESERVED:
            left, lost = np.append(left, 0), np.append(lost, lost[-1])
        if last:
            left, lost = left[left > 0], lost[left > 0]
        return _Rows(points=points, weight=weight, counts=counts, first=first, path=path, steps=(left, lost))

    @property
    def count(self) -> int:
        """How many values there are."""
        return len(self.counts) - RESERVED

    def remap(self, count: int) -> np.ndarray:
        """Return the codes of a partition into so many groups, uint32 `[V]`: more frequent groups have smaller codes."""
        remap = np.arange(len(self.counts), dtype=np.uint32)
        if self.path is None:
            return remap
        if count == 0:
            remap[RESERVED:] = OTHER
            return remap
        here = _taking_part(len(self.counts), self.first)
        with_other = self.first == OTHER
        owner = self.path.groups(count + with_other)
        rows = np.bincount(owner, weights=self.counts[here], minlength=len(here))
        groups = np.unique(owner)
        if with_other:
            groups = groups[groups != 0]  # the smallest point of the group of "other" is "other"
        code = np.full(len(here), OTHER, dtype=np.uint32)
        code[groups[np.lexsort((groups, -rows[groups]))]] = np.arange(RESERVED, RESERVED + len(groups))
        remap[here] = code[owner]
        return remap

    def scores(self, remap: np.ndarray) -> np.ndarray:
        """Return what would be lost if a group's row were the mean row, nats of the training rows, by new code."""
        size = max(int(remap.max()) + 1, RESERVED)
        mass = np.bincount(remap, self.weight, minlength=size)
        total = np.stack([np.bincount(remap, self.weight * x, minlength=size) for x in self.points.T], 1)
        centre = total / np.where(mass > 0, mass, 1.0)[:, None]
        mean = total.sum(0) / max(float(mass.sum()), 1e-300)
        return np.asarray(0.5 * mass * ((centre - mean) ** 2).sum(1), dtype=np.float64)

    def loss(self, remap: np.ndarray) -> float:
        """Return what a remap loses, nats of the training rows."""
        return max(float(self.scores(np.arange(len(remap))).sum() - self.scores(remap).sum()), 0.0)


def _taking_part(codes: int, first: int) -> np.ndarray:
    return np.concatenate([np.arange(first, first + (first < RESERVED)), np.arange(RESERVED, codes)])
