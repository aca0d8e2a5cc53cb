"""AuditView: the facts that checks share, each computed once: label counts per value, training rates, held-out AUC.

A field that stays a float is read in up to 256 quantile buckets of its training values; a list field by the rows
whose list holds a value, and by the list's length. Rates are smoothed towards the base rate with the weight of
`SMOOTHING` rows (Micci-Barreca, 2001). Rows count once each, whatever their sample weight.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import special

from ctrsel.core.artifact import digest_arrays
from ctrsel.core.errors import DataError
from ctrsel.data.audit._pairs import PairSample
from ctrsel.data.audit._renamings import renamings
from ctrsel.data.audit._row_groups import RowGroups, row_groups
from ctrsel.data.audit._windows import Windows, windows
from ctrsel.data.buckets import quantile_edges
from ctrsel.data.table import Ragged, Table
from ctrsel.records.feature_set import MISSING, OTHER, RESERVED
from ctrsel.stats.auc import auc
from ctrsel.stats.counts import LabelCounts, label_counts
from ctrsel.stats.drift import psi

__all__ = ["AuditView"]

SMOOTHING = 10.0  # rows
SHOWN_ROWS = 20  # a value of fewer training and validation rows is not printed
LENGTHS = 64  # a list of more items counts as one of that many
FLOAT_BUCKETS = 256
POOLED_SHARE = 1e-3  # values of a smaller share of the training rows are one cell when drift is measured


@dataclass(frozen=True, kw_only=True)
class AuditView:
    """A table and what checks want to know of it.

    Attributes:
        table: Rows with labels, a training and a validation split.
    """

    table: Table

    def __post_init__(self) -> None:
        self.table.span("train")
        self.table.span("valid")
        if self.table.labels is None:
            raise DataError("an audit needs labels, but this table has none")

    @cached_property
    def labels(self) -> np.ndarray:
        """The first label, uint8 `[N]`."""
        return self.table.label().astype(np.uint8)

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits that the table has."""
        return tuple(self.table.splits)

    def rows(self, split: str) -> int:
        """Rows of a split."""
        s = self.table.span(split)
        return int(s.stop - s.start)

    def positives(self, split: str) -> int:
        """Rows of a split with a positive label."""
        return int(self.labels[self.table.span(split)].sum())

    def base_rate(self, split: str) -> float:
        """Share of positive labels in a split."""
        return self.positives(split) / max(self.rows(split), 1)

    @cached_property
    def row_groups(self) -> RowGroups | None:
        """Groups of rows that are equal in all fields but row numbers; None if there are no others."""
        return row_groups(self)

    @cached_property
    def in_time_order(self) -> bool:
        """Whether no row of another split is older than any training row; not without a time column."""
        time = self.table.time
        if time is None:
            return False
        end = int(time[self.table.span("train")].max())
        others = [time[self.table.span(s)] for s in self.splits if s != "train"]
        return all(int(of.min()) >= end for of in others if len(of))

    @cached_property
    def windows(self) -> Windows | None:
        """Windows of time over training and validation rows; None without a time column."""
        return windows(self)

    @cached_property
    def pairs(self) -> PairSample:
        """What sampled training rows that agree in one field say about each other field."""
        return PairSample.of(self)

    @cached_property
    def renamings(self) -> dict[str, str]:
        """Fields that are a one-to-one renaming of an earlier one, which is named."""
        return renamings(self)

    @cached_property
    def _counts(self) -> dict[tuple[str, str], LabelCounts]:
        return {}

    @cached_property
    def _edges(self) -> dict[str, np.ndarray]:
        return {}

    @cached_property
    def _auc(self) -> dict[str, float | None]:
        return {}

    def size(self, field: str) -> int:
        """V, the number of codes of a field as the audit reads it; a float has one code per bucket."""
        if self.table.schema.field(field).is_float:
            return RESERVED + FLOAT_BUCKETS
        return self.table.encoder.size(field)

    def codes(self, field: str, rows: slice | np.ndarray = slice(None)) -> np.ndarray:
        """One code a row `[n]`: a field's own codes, a float's bucket, or for a list its length (0 = empty).

        What is not stored is computed for the asked rows only and not kept: floats and lists of many rows are large.
        """
        column = self.table.columns[field]
        if isinstance(column, Ragged):
            at = np.arange(len(column))[rows]
            lengths = column.offsets[at + 1] - column.offsets[at]
            return np.where(lengths == 0, MISSING, np.minimum(lengths, LENGTHS) + RESERVED - 1).astype(np.uint8)
        if not self.table.schema.field(field).is_float:
            return np.asarray(column[rows])
        values = np.asarray(column[rows], dtype=np.float64)
        bucket = RESERVED + np.searchsorted(self._edges_of(field), values, side="right")
        return np.where(np.isnan(values), MISSING, bucket).astype(np.uint16)

    def _edges_of(self, field: str) -> np.ndarray:
        if field not in self._edges:
            column = self.table.columns[field]
            assert isinstance(column, np.ndarray)
            known = np.asarray(column[self.table.span("train")], dtype=np.float64)
            self._edges[field] = quantile_edges(known[~np.isnan(known)], bins=FLOAT_BUCKETS)
        return self._edges[field]

    def counts(self, field: str, split: str) -> LabelCounts:
        """Rows and positive rows per code `[V]` of a field in a split.

        Of a list field: rows whose list holds the code, and at `MISSING` rows with an empty list.
        """
        key = (field, split)
        if key not in self._counts:
            rows = self.table.span(split)
            labels = self.labels[rows]
            column = self.table.columns[field]
            if isinstance(column, Ragged):
                of, codes = _held(column, rows)
                self._counts[key] = label_counts(codes, labels[of], size=self.size(field))
            else:
                self._counts[key] = label_counts(self.codes(field, rows), labels, size=self.size(field))
        return self._counts[key]

    def log_odds(self, field: str) -> np.ndarray:
        """Smoothed training log-odds of each code `[V]` less those of the base rate; 0 for a code without rows."""
        return self._rates(self.counts(field, "train"))

    def _rates(self, counts: LabelCounts) -> np.ndarray:
        base = (self.positives("train") + 0.5) / (self.rows("train") + 1)
        rate = (counts.positives + SMOOTHING * base) / (counts.totals + SMOOTHING)
        return np.asarray(np.log(rate / (1 - rate)) - np.log(base / (1 - base)))

    def scores(self, field: str) -> np.ndarray:
        """Score of each validation row by a field alone, float64 `[n]`: the training log-odds of its value.

        Of a list: the mean over its items, and the log-odds of its length added.
        """
        rows = self.table.span("valid")
        column = self.table.columns[field]
        if not isinstance(column, Ragged):
            return np.asarray(self.log_odds(field)[self.codes(field, rows)])
        train = self.table.span("train")
        by_length = label_counts(self.codes(field, train), self.labels[train], size=RESERVED + LENGTHS)
        start, stop = column.offsets[rows.start], column.offsets[rows.stop]
        each = self.log_odds(field)[column.codes[start:stop]]
        sums = np.concatenate([[0.0], np.cumsum(each)])
        at = column.offsets[rows.start : rows.stop + 1] - start
        mean = (sums[at[1:]] - sums[at[:-1]]) / np.maximum(np.diff(at), 1)
        return np.asarray(mean + self._rates(by_length)[self.codes(field, rows)])

    def auc(self, field: str) -> float | None:
        """Validation AUC of a field alone, scored by training rates; None where validation has one label only."""
        if field not in self._auc:
            self._auc[field] = auc(self.labels[self.table.span("valid")], self.scores(field))
        return self._auc[field]

    def auc_luck(self, value: float) -> float:
        """Probability of at least this validation AUC for a score of noise (Mann and Whitney, 1947, normal limit)."""
        m = self.positives("valid")
        n = self.rows("valid") - m
        return float(special.ndtr((0.5 - value) / math.sqrt((m + n + 1) / (12 * m * n)))) if m and n else 1.0

    def missing_share(self, field: str, split: str) -> float:
        """Share of a split's rows where the field is missing (a list: empty)."""
        return float(self.counts(field, split).totals[MISSING]) / max(self.rows(split), 1)

    def unseen_share(self, field: str, split: str) -> float:
        """Share of a split's values that never occurred in training.

        Values under the minimum count are `other` in training too: what is more than that in this split is unseen.
        """
        if self.table.schema.field(field).is_float:
            return 0.0
        known, found = self._occurrences(field, "train"), self._occurrences(field, split)
        return max(found - known, 0.0)

    def _occurrences(self, field: str, split: str) -> float:
        rows = self.table.span(split)
        column = self.table.columns[field]
        codes = (
            column.codes[column.offsets[rows.start] : column.offsets[rows.stop]]
            if isinstance(column, Ragged)
            else column[rows]
        )
        return float(np.count_nonzero(codes == OTHER)) / max(len(codes), 1)

    def drift(self, field: str, split: str) -> tuple[float, int] | None:
        """Population stability index of a field from training to a split in nats, and its cells; None without rows.

        Missing, and each value of at least a thousandth of the training rows, is a cell; all others are one, since
        the index of many rare values is large for two samples of one table as well. New values are in that cell: their
        share is told by `unseen_share`.
        """
        known, found = self.counts(field, "train").totals, self.counts(field, split).totals
        own = known >= max(POOLED_SHARE * self.rows("train"), 1.0)
        own[OTHER] = False
        own[MISSING] = True
        a = np.append(known[own], known[~own].sum())
        b = np.append(found[own], found[~own].sum())
        value = psi(a, b)
        return None if value is None else (value, int(((a > 0) | (b > 0)).sum()))

    def shown(self, field: str, code: int) -> str:
        """Name a value in a finding: its text, `#` and 8 hex digits if the field is sensitive, nothing if it is rare.

        The hash is salted with what only the holder of the rows knows, as the report's is: digests may be printed, and
        who knows the whole salt can try values until one fits.
        """
        if code == MISSING:
            return "a missing value"
        seen = int(self.counts(field, "train").totals[code] + self.counts(field, "valid").totals[code])
        of = self.table.schema.field(field)
        if of.is_float:
            return "a range of its values"
        if seen < SHOWN_ROWS:
            return "a value of few rows"
        text = self.table.encoder.vocabulary(field).texts(np.array([code]))[0]
        if of.sensitive:
            rows = self.table.span("train")
            column = self.table.columns[field]
            own = column.codes if isinstance(column, Ragged) else column[rows]
            salt = digest_arrays({self.table.digest: self.table.label()[rows], field: own})
            key = hashlib.blake2b(salt.encode()).digest()
            return f"the value #{hashlib.blake2b(text.encode(), key=key, digest_size=4).hexdigest()}"
        return f"the value {text!r}"

    def facts(self, field: str) -> dict[str, float | int | str | None]:
        """Plain numbers of one field for the report: shares of rows, PSI in nats, held-out AUC alone."""
        of = self.table.schema.field(field)
        known = self.counts(field, "train").totals
        facts: dict[str, float | int | str | None] = {
            "kind": of.kind,
            "values": None if of.is_float else int(np.count_nonzero(known[RESERVED:])),
            "missing_train": self.missing_share(field, "train"),
            "auc_alone": self.auc(field),
        }
        for split in self.splits:
            if split != "train":
                drift = self.drift(field, split)
                facts[f"missing_{split}"] = self.missing_share(field, split)
                facts[f"unseen_{split}"] = self.unseen_share(field, split)
                facts[f"psi_{split}"] = None if drift is None else drift[0]
        return facts


def _held(column: Ragged, rows: slice) -> tuple[np.ndarray, np.ndarray]:
    """Row (from 0) and code of each distinct code that a row's list holds; an empty list holds `MISSING`."""
    offsets = column.offsets[rows.start : rows.stop + 1]
    lengths = np.diff(offsets)
    of = np.repeat(np.arange(len(lengths)), lengths)
    codes = column.codes[offsets[0] : offsets[-1]].astype(np.int64)
    width = int(codes.max()) + 1 if len(codes) else 1
    distinct = np.unique(of * width + codes)
    empty = np.flatnonzero(lengths == 0)
    return (
        np.concatenate([distinct // width, empty]),
        np.concatenate([distinct % width, np.full(len(empty), MISSING)]),
    )
