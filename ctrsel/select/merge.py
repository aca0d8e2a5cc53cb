"""Merge: values whose rates cannot be told apart are one value; then as many more merges as the size asks for.

References: Boullé, "A Bayes optimal approach for partitioning the values of categorical attributes", 2005 (which values
are one); Breiman, Friedman, Olshen and Stone, "Classification and regression trees", 1984, theorem 4.5 (neighbours in the
order of the rates).
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from ctrsel.core.errors import ConfigError, DataError
from ctrsel.core.log import event
from ctrsel.data.table import Table
from ctrsel.records.feature_set import OTHER, RESERVED, FeatureSet
from ctrsel.select._contract import Found, Selector
from ctrsel.select._label_counts import label_counts_of
from ctrsel.select._merged import Merged
from ctrsel.select._wishes import Wishes
from ctrsel.select.problem import Problem
from ctrsel.select.size import Size
from ctrsel.stats.counts import LabelCounts
from ctrsel.stats.held_out import held_out_gain
from ctrsel.stats.merging import MergePath, held_out_loss, merge_path

__all__ = ["Merge"]

_ONE_SIDED_95 = 1.6448536269514722


@dataclass(frozen=True, slots=True, kw_only=True)
class Merge(Selector):
    """Give values that the training rows cannot tell apart one code, and merge on until the size is met.

    Within a field the partition of the shortest description is taken. Where validation rows say that it loses more
    than `max_loss`, it is made finer, and where no partition is fine enough the field's values stay as they are. If that
    leaves more values than the size, the merges that lose least information about the label follow, over all fields; a
    field's last value becomes "other". Values of lists, whose rows hold several, are merged for the size only.

    The history of the selection has one entry: `values` before, `groups` that can be told apart, `kept` of them as a
    share of the values, and the sums over the fields of `held_out_gain` before the merges and of `held_out_loss` by all of
    them (nats a validation row, fields one by one; absent without validation rows).

    Attributes:
        max_loss: Share of a field's held-out gain that merging may lose, beyond what chance explains.
        known: Values of which the rows tell less than this share of their effect are taken together by how often they
            occur, before a look at their labels.
    """

    refuses: ClassVar[str] = 'its values were merged until only "other" was left of them'

    max_loss: float = 0.01
    known: float = 0.5

    def __post_init__(self) -> None:
        if self.max_loss < 0:
            raise ConfigError(f"merge.max_loss: must not be negative, got {self.max_loss}")
        if not 0 <= self.known < 1:
            raise ConfigError(f"merge.known: must be in [0, 1), got {self.known}")

    def search(self, problem: Problem, *, sizes: Sequence[Size], seed: int) -> Found:
        """Merge by training rows and check on validation rows; a size merges on. The seed is not used.

        Raises:
            DataError: If rows have weights.
        """
        began = time.perf_counter()
        table, encoder = problem.table, problem.table.encoder
        if table.weight is not None:
            raise DataError(
                "merge: counts rows and cannot tell values of weighted rows apart; leave schema.weight out, or use "
                "another selector"
            )
        wishes = Wishes.of(encoder, always_keep=problem.always_keep, groups=problem.groups)
        grouped = {encoder.schema.field(f).vocabulary for g in wishes.groups for f in g if not _is_float(table, f)}
        fields = {
            name: _Field.of(
                counts,
                merged=name not in wishes.forced,
                lists=any(f.is_list and f.vocabulary == name for f in encoder.fields),
                last=name in grouped,
                max_loss=self.max_loss,
                known=self.known,
            )
            for name, counts in label_counts_of(table).items()
        }
        return _Merges(
            problem=problem, by=self, parts=fields, silent=wishes.silent, seconds=time.perf_counter() - began
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Merges(Merged):
    """The partitions of every vocabulary."""

    parts: Mapping[str, _Field]

    def by_vocabulary(self) -> Mapping[str, _Field]:
        return self.parts

    def told(self, features: FeatureSet) -> tuple[Mapping[str, float], ...]:
        """Tell what the merges of a size lose."""
        history = _history(self.parts, features.remaps)
        event("merge", **history, seconds=self.seconds)
        return (history,)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Field:
    """The values of one vocabulary, and the partitions that they can have.

    Attributes:
        train: Counts `[V]`, of all codes.
        valid: Counts `[V]` of the validation rows; None without any, and for lists.
        path: Partitions of the values; None where they stay as they are.
        count: How many groups the values fall into; as many as there are values if none are merged.
        steps: What fewer groups lose: numbers of groups, falling, and nats of the training rows.
    """

    train: LabelCounts
    valid: LabelCounts | None
    path: MergePath | None
    count: int
    steps: tuple[np.ndarray, np.ndarray]

    @staticmethod
    def of(
        counts: tuple[LabelCounts, LabelCounts | None],
        *,
        merged: bool,
        lists: bool,
        last: bool,
        max_loss: float,
        known: float,
    ) -> _Field:
        train, valid = counts
        size = len(train.totals) - RESERVED
        fixed = _Field(train=train, valid=valid, path=None, count=size, steps=(np.array([size]), np.zeros(1)))
        if not merged or size == 0:
            return fixed
        path = merge_path(train.positives[RESERVED:], train.totals[RESERVED:], known=known)
        made = replace(fixed, path=path, steps=_steps(train, path, last=last))
        if lists:
            return made
        return replace(made, count=made.fine_enough(max_loss=max_loss, last=last))

    def fine_enough(self, *, max_loss: float, last: bool) -> int:
        """Return the number of groups: the shortest description's, doubled until held-out rows lose little enough."""
        assert self.path is not None
        size = len(self.train.totals) - RESERVED
        count = self.path.best
        if self.valid is not None:
            before = held_out_gain(self.train.positives, self.train.totals, self.valid.positives, self.valid.totals)
            allowed = max_loss * max(before or 0.0, 0.0)
            while True:
                loss, error = self.loss(self.remap(count))
                if loss - _ONE_SIDED_95 * error <= allowed:
                    break
                if count == self.path.most:
                    return size
                count = min(2 * count, self.path.most)
        # A field of one group says no more than whether it is missing, which "other" says as well.
        return 0 if count == 1 and not last and self.train.totals[OTHER] == 0 else count

    def remap(self, count: int) -> np.ndarray:
        """Return the codes of a partition into so many groups, uint32 `[V]`: more frequent groups have smaller codes."""
        size = len(self.train.totals)
        if self.path is None or count > self.path.most:
            return np.arange(size, dtype=np.uint32)
        remap = np.arange(size, dtype=np.uint32)
        if count == 0:
            remap[RESERVED:] = OTHER
            return remap
        groups = self.path.groups(count)
        rows = np.bincount(groups, weights=self.train.totals[RESERVED:], minlength=count)
        _, first = np.unique(groups, return_index=True)
        code = np.empty(count, dtype=np.uint32)
        code[np.lexsort((first, -rows))] = np.arange(RESERVED, RESERVED + count)
        remap[RESERVED:] = code[groups]
        return remap

    def scores(self, remap: np.ndarray) -> np.ndarray:
        """Return what each group tells about the label, nats of the training rows, by the codes of a remap."""
        size = max(int(remap.max()) + 1, RESERVED)
        yes, rows = (np.bincount(remap, weights=c, minlength=size) for c in (self.train.positives, self.train.totals))
        whole = max(float(rows.sum()), 1.0)
        return np.asarray(_misfit(rows * (yes.sum() / whole), rows, at=yes) - _misfit(yes, rows), dtype=np.float64)

    def loss(self, remap: np.ndarray) -> tuple[float, float]:
        """Return the held-out log-loss that a remap adds, and its standard error, nats a row."""
        assert self.valid is not None
        train, valid = ((c.positives, c.totals) for c in (self.train, self.valid))
        return held_out_loss(train, valid, groups=remap)


def _misfit(yes: np.ndarray, rows: np.ndarray, *, at: np.ndarray | None = None) -> np.ndarray:
    """Return the log-loss of groups of rows, nats, at the rates `yes / rows`; their positives are `at` if not `yes`."""
    positive = yes if at is None else at
    rate = np.divide(yes, rows, out=np.full(len(rows), 0.5), where=rows > 0)
    inside = (rate > 0) & (rate < 1)
    safe = np.where(inside, rate, 0.5)
    return np.where(inside, -positive * np.log(safe) - (rows - positive) * np.log(1 - safe), 0.0)


def _steps(train: LabelCounts, path: MergePath, *, last: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return numbers of groups, falling, and the nats that they lose; values as they are come first, none come last."""
    yes, rows = (c.astype(np.float64) for c in (train.positives, train.totals))
    start = _misfit(yes[RESERVED:], rows[RESERVED:]).sum()
    values = (np.array([c[RESERVED:].sum()]) for c in (yes, rows))
    one = float(_misfit(*values)[0])
    most = float(one - path.loss[0])  # what is left to be told with the first partition
    counts = np.arange(path.most, 0, -1)
    lost = path.loss[::-1] + max(most - start, 0.0)
    size = len(rows) - RESERVED
    if size > path.most:
        counts, lost = np.concatenate([[size], counts]), np.concatenate([[0.0], lost])
    if not last:
        kept = np.arange(len(rows)) >= RESERVED
        kept[OTHER] = True
        both = (np.array([c[kept].sum()]) for c in (yes, rows))
        other = float(_misfit(yes[[OTHER]], rows[[OTHER]])[0])
        more = max(float(_misfit(*both)[0]) - one - other, 0.0)
        counts, lost = np.append(counts, 0), np.append(lost, lost[-1] + more)
    return counts, lost


def _is_float(table: Table, field: str) -> bool:
    return table.schema.field(field).is_float


def _history(fields: Mapping[str, _Field], remaps: Mapping[str, np.ndarray]) -> dict[str, float]:
    values = sum(len(f.train.totals) - RESERVED for f in fields.values())
    kept = sum(len(np.unique(r[RESERVED:][r[RESERVED:] != OTHER])) for r in remaps.values())
    found = {
        "values": float(values),
        "groups": float(sum(f.count for f in fields.values())),
        "kept": kept / max(values, 1),
    }
    checked = {n: f for n, f in fields.items() if f.valid is not None}
    if checked:
        gains = [
            held_out_gain(f.train.positives, f.train.totals, f.valid.positives, f.valid.totals) or 0.0
            for f in checked.values()
            if f.valid is not None
        ]
        found["held_out_gain"] = float(sum(gains))
        found["held_out_loss"] = float(sum(f.loss(remaps[n])[0] for n, f in checked.items()))
    return found
