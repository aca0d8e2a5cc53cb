"""What a field is compared with: labels that are shuffled, shifted along time, or moved between groups, and draws of them.

The labels move and the columns stay. All fields of a table see the same draws, which `_null_draws.py` makes.

References: Vinh, Epps and Bailey, "Information theoretic measures for clusterings comparison", 2010 (shuffled labels);
Harris, "A shift test for independence in generic time series", 2020 (circular shifts, and why not the smallest);
Winkler, Webster, Vidaurre, Nichols and Smith, "Multi-level block permutation", 2015 (exchange of whole blocks);
Blackwell and MacQueen, "Ferguson distributions via Polya urn schemes", 1973 (labels that a smaller group lacks);
Winkler, Ridgway, Douaud, Nichols and Smith, "Faster permutation inference in brain imaging", 2016 (a gamma tail by the
moments of few draws).
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
from scipy import special

from ctrsel.core.errors import ConfigError, DataError
from ctrsel.core.seeds import generator
from ctrsel.rank._null_draws import MIN_GROUPS, Draw, blocks
from ctrsel.rank._null_loops import (
    information_of_rows,
    statistic_of_rows,
    statistic_of_sums,
    weight_of_rows,
)
from ctrsel.stats.permutation import Statistic, statistic_setting

if TYPE_CHECKING:
    from ctrsel.rank.counts import FieldCounts, TableCounts
    from ctrsel.rank.rows import CodedRows

__all__ = ["NULLS", "Null", "NullName", "check_null", "choose_null", "dependence_notes"]

NullName = Literal["auto", "exact", "shuffled", "shift", "group"]
NULLS = ("auto", "exact", "shuffled", "shift", "group")

Floats = npt.NDArray[np.float64]
Array = npt.NDArray[Any]

_TABLE = 1 << 16  # counts whose x ln x is looked up


def check_null(ranker: str, null: str, draws: int, min_shift: float) -> None:
    """Check the parameters that the rankers with a choice of nulls share.

    Raises:
        ConfigError: An unknown null, fewer than 20 draws, or a shift that leaves nothing to draw from.
    """
    if null not in NULLS:
        raise ConfigError(f"{ranker}.null: must be one of {', '.join(NULLS)}, got {null!r}")
    if draws < 20:
        raise ConfigError(f"{ranker}.draws: must be at least 20 for a variance and a skewness, got {draws}")
    if not 0 < min_shift < 0.5:
        raise ConfigError(f"{ranker}.min_shift: must be a share of the rows between 0 and 0.5, got {min_shift}")


def dependence_notes(counts: TableCounts) -> tuple[str, ...]:
    """Say what a null of shuffled rows overlooks in this table, and the remedy."""
    rows, notes = counts.rows, []
    remedies = {"shift": "time", "group": "group"}
    for null, what in remedies.items():
        if rows is not None and getattr(rows, what) is not None:
            notes.append(
                f"p and q presume that rows can be shuffled, but rows have a {what}: where rows near in time or of one "
                f"group resemble each other, both are too small; the remedy is mutual_information with `null: {null}`"
            )
    return tuple(notes)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Null:
    """A null that is settled for one table.

    Attributes:
        name: "exact", "shuffled", "shift" or "group".
        text: What it is, in words.
        notes: What a reader must know.
        draws: B; 0 for the exact one.
        min_shift: Share of the rows that a shift moves at least.
        paired: Whether a row's weight moves with its label.
    """

    name: str
    text: str
    notes: tuple[str, ...]
    draws: int
    min_shift: float = 0.05
    paired: bool = False

    def values(
        self, counts: TableCounts, *, statistic: Statistic, smoothing: float = 0.0, ranker: str
    ) -> dict[str, Floats]:
        """Draw a statistic of every field under the null.

        An information is given in units of the label's entropy in that draw, times the entropy of the true labels: draws
        in which the positive rows weigh more or less then differ by what the field says only.

        Returns:
            `[B]` by field.
        """
        if self.name == "shuffled" and not counts.weighted:
            return {
                name: _from_counts(self, counts, name, statistic=statistic, smoothing=smoothing)
                for name in counts.fields
            }
        rows = counts.need_rows(ranker)
        of = {
            name: _Moved(field, rows.column(name), rows, statistic=statistic, smoothing=smoothing)
            for name, field in counts.fields.items()
        }
        found: dict[str, list[float]] = {name: [] for name in of}
        workers = counts.threads if counts.threads is not None else (os.cpu_count() or 1)
        with ThreadPoolExecutor(workers) as pool:
            for block in blocks(self, counts, rows):

                def of_block(name: str, block: list[Draw] = block) -> list[float]:
                    return [of[name](draw) for draw in block]

                for name, values in zip(of, pool.map(of_block, of), strict=True):
                    found[name] += values
        return {name: np.array(values) for name, values in found.items()}


def choose_null(counts: TableCounts, *, null: NullName, draws: int, min_shift: float, ranker: str) -> Null:
    """Settle what a table's fields are compared with.

    Raises:
        ConfigError: The exact null for rows with weights.
        DataError: A null of time or of groups for a table without, or of fewer than 20 groups.
    """
    weighted = counts.weighted
    if null == "exact" and weighted:
        raise ConfigError(f"{ranker}.null: 'exact' is for rows without weights; 'auto' draws for rows with weights")
    name = ("shuffled" if weighted else "exact") if null == "auto" else null
    own = counts.notes
    if name in ("exact", "shuffled"):
        own += dependence_notes(counts)
    if name == "exact":
        return Null(
            name=name, text="labels shuffled over the rows: exact mean and variance (analytic)", notes=own, draws=0
        )
    paired = False
    with_weights = ""
    if weighted:
        rows = counts.need_rows(ranker)
        paired = _weight_follows_label(rows)
        with_weights = ", weights stay with the rows"
        if paired:
            with_weights = ", each with its weight"
            own += (
                "weights differ between positive and negative rows, so a label that is moved takes its weight along",
            )
    if name == "shift":
        text = f"labels shifted in a circle along time by at least {min_shift:.0%} of the rows{with_weights}"
        if counts.need_rows(ranker).time is None:
            own += ("the table has no time; labels are shifted along the order of the source's rows",)
    elif name == "group":
        group = counts.need_rows(ranker).group
        if group is None:
            raise DataError(f"{ranker}.null: 'group' needs a table with a group column, and this one has none")
        number = len(np.unique(group))
        if number < MIN_GROUPS:
            raise DataError(f"{ranker}.null: 'group' needs at least {MIN_GROUPS} groups to exchange, got {number}")
        text = f"labels exchanged between groups of like size{with_weights}"
    else:
        text = f"labels shuffled over the rows{with_weights}"
    source = " from the counts" if name == "shuffled" and not weighted else ""
    return Null(
        name=name,
        text=f"{text}: {draws} draws{source}",
        notes=own,
        draws=draws,
        min_shift=min_shift,
        paired=paired,
    )


def _weight_follows_label(rows: CodedRows) -> bool:
    """Tell whether positive and negative rows differ in their mean weight by more than five standard errors."""
    assert rows.weight is not None
    yes = rows.labels == 1
    parts = [rows.weight[yes], rows.weight[~yes]]
    if min(len(p) for p in parts) < 2:
        return False
    error = np.sqrt(sum(p.var() / len(p) for p in parts))
    apart = abs(parts[0].mean() - parts[1].mean())
    return bool(apart > 5 * error and apart > 1e-9 * rows.weight.mean())


class _Moved:
    """A field's statistic under moved labels; the object keeps what its draws share."""

    def __init__(
        self, field: FieldCounts, column: Array, rows: CodedRows, *, statistic: Statistic, smoothing: float
    ) -> None:
        self.codes = np.ascontiguousarray(column)
        self.statistic, self.smoothing = statistic, smoothing
        self.totals = field.train.totals
        self.n = field.train.rows
        self.weight = None if rows.weight is None else np.ascontiguousarray(rows.weight, dtype=np.float64)
        if self.weight is not None:
            assert field.weighted_train is not None
            self.weighted = field.weighted_train
            yes, whole = float(self.weighted.positives.sum()), float(self.weighted.totals.sum())
        else:
            yes, whole = float(field.train.positives.sum()), float(self.n)
        self.entropy = _label_entropy(yes, whole)
        self.values = int(np.count_nonzero(self.totals))
        known = np.arange(min(_TABLE, int(self.totals.max(initial=0)) + 1), dtype=np.float64)
        self.x_log_x = special.xlogy(known, known)

    def __call__(self, draw: Draw) -> float:
        return self._rows(draw) if self.weight is None else self._weights(draw)

    def _rows(self, draw: Draw) -> float:
        size = draw.rows.size
        if size in (0, self.n):
            return 0.0
        cells = np.zeros(self.totals.size, dtype=np.int64)
        if self.statistic == "information":
            entropy = _label_entropy(float(size), float(self.n))
            total = information_of_rows(self.codes, draw.rows, self.totals, cells, self.x_log_x)
            return max(entropy + total / self.n, 0.0) * self.entropy / entropy
        setting, scale = statistic_setting(
            self.statistic, rows=self.n, positives=size, values=self.values, smoothing=self.smoothing
        )
        return statistic_of_rows(self.codes, draw.rows, self.totals, cells, setting) / scale

    def _weights(self, draw: Draw) -> float:
        assert self.weight is not None
        totals, weight = self.weighted.totals, self.weight
        if draw.weight is not None:
            weight = draw.weight
            totals = np.bincount(self.codes, weights=weight, minlength=self.totals.size).astype(np.float64)
        sums = np.zeros(self.totals.size)
        weight_of_rows(self.codes, draw.rows, weight, sums)
        whole, yes = float(totals.sum()), float(sums.sum())
        if yes <= 0.0 or yes >= whole * (1 - 1e-12):
            return 0.0
        setting, scale = statistic_setting(
            self.statistic,
            rows=whole,
            positives=yes,
            values=int(np.count_nonzero(totals)),
            smoothing=self.smoothing * whole / self.n,
        )
        value = statistic_of_sums(sums, totals, setting, yes / whole) / scale
        if self.statistic == "information":
            value = max(value, 0.0) * self.entropy / _label_entropy(yes, whole)
        return value


def _label_entropy(yes: float, whole: float) -> float:
    share = yes / whole if whole else 0.0
    return float(special.entr(share) + special.entr(1.0 - share))


def _from_counts(null: Null, counts: TableCounts, name: str, *, statistic: Statistic, smoothing: float) -> Floats:
    """Draw tables with the field's margins: positives per value are multivariate hypergeometric."""
    field = counts.fields[name].train
    rng = generator(counts.seed, "rank", "null", null.name, name)
    totals = np.sort(field.totals[field.totals > 0])[::-1]
    rows, positives = int(totals.sum()), int(field.positives.sum())
    if positives in (0, rows) or totals.size < 2:
        return np.zeros(null.draws)
    # Values of one row are drawn together: which of them are positive makes no difference to any statistic.
    several = int(np.count_nonzero(totals > 1))
    single = totals.size - several
    together = np.append(totals[:several], single)
    setting, scale = statistic_setting(
        statistic, rows=rows, positives=positives, values=totals.size, smoothing=smoothing
    )
    sizes: Floats = totals.astype(np.float64)
    yes: Floats = np.zeros(totals.size)
    found = np.empty(null.draws)
    for i in range(null.draws):
        drawn = rng.multivariate_hypergeometric(together, positives, method="marginals")
        yes[:several] = drawn[:-1]
        yes[several:] = (np.arange(single) < drawn[-1]).astype(np.float64)
        found[i] = statistic_of_sums(yes, sizes, setting, positives / rows) / scale
    return found
