"""Count all pairs of fields, one thread a pair: rows grouped by one field, cells counted in a table of the other's size.

The field with more codes groups the rows (a counting sort, once per field); of the other the codes are taken in that
order and counted per group. So a pair costs time in proportion to the rows, whatever its number of cells, and memory in
proportion to the codes of its smaller field; no pair's cells are kept. All sums run in one order, whatever the threads.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from dataclasses import dataclass
from threading import local
from typing import Any

import numpy as np
from scipy.interpolate import CubicSpline

from ctrsel.core.errors import ConfigError
from ctrsel.stats._joint_loops import grouped, scan
from ctrsel.stats._permutation_loops import means
from ctrsel.stats.counts import label_counts
from ctrsel.stats.synergy import LEAST_ROWS, PRIOR_ROWS, InteractionTest, additive_test, summed_up

__all__ = ["PairScan", "Scanned"]

FEW_CELLS = 2_000  # pairs of at most so many cells are tested against the fitted model at once
_EXPECTED = 4096  # cells of fewer rows have a tabled mean
_NODES = 400  # of the spline through the means of larger cells; it is right to 1e-9 of a nat times rows
_LOGARITHMS = 2**16


@dataclass(frozen=True, slots=True, kw_only=True)
class Scanned:
    """One pair, counted.

    Attributes:
        information: Of both fields together about the label, nats.
        expected: Its mean under shuffled labels.
        cells: Occupied cells.
        test: Against the additive model: fitted (`fitted`), or with the second field's rates as they are.
        fitted: Whether the model was fitted.
    """

    information: float
    expected: float
    cells: int
    test: InteractionTest
    fitted: bool


class PairScan:
    """Columns that pairs are counted of, with what every pair needs.

    Args:
        columns: Codes `[N]` of each field, unsigned.
        sizes: Codes of each field.
        labels: uint8 `[N]` of 0 and 1.
        threads: Pairs counted at once.
        least_rows: Values with fewer rows are not tested.
    """

    def __init__(
        self,
        columns: Mapping[str, np.ndarray],
        sizes: Mapping[str, int],
        labels: np.ndarray,
        *,
        threads: int,
        least_rows: int = LEAST_ROWS,
    ) -> None:
        if threads < 1:
            raise ConfigError(f"rank: threads must be at least 1, got {threads}")
        self.columns, self.sizes, self.labels = columns, sizes, labels
        self.threads, self.least_rows = threads, least_rows
        self.rows, self.positives = len(labels), int(np.count_nonzero(labels))
        if self.rows >= 2**32:
            raise ConfigError(f"interactions: pairs of at most 2**32 rows can be counted, got {self.rows}")
        counts = np.arange(min(_LOGARITHMS, self.rows + 1), dtype=np.float64)
        self._logarithms = counts * np.log(np.maximum(counts, 1.0))
        self._expected = np.zeros(min(_EXPECTED, self.rows + 1))
        self._expected[1:] = means(np.arange(1, len(self._expected), dtype=np.int64), self.rows, self.positives)
        self._far: Any = None
        if self.rows >= _EXPECTED:
            nodes = np.unique(np.geomspace(min(_EXPECTED - 1, self.rows - 9), self.rows, _NODES).astype(np.int64))
            self._far = CubicSpline(np.log(nodes), means(nodes, self.rows, self.positives))
        self._scratch = local()

    def beside(self, name: str, column: np.ndarray, *, size: int) -> PairScan:
        """Return a scan of the same rows with one column more, or another one of that name."""
        out = copy(self)
        out.columns, out.sizes = {**self.columns, name: column}, {**self.sizes, name: size}
        return out

    def pairs(self, wanted: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Scanned]:
        """Count some pairs; the result has them in the order given."""
        by_first: dict[str, list[tuple[str, tuple[str, str]]]] = defaultdict(list)
        for pair in wanted:
            first, second = pair if self.sizes[pair[0]] >= self.sizes[pair[1]] else pair[::-1]
            by_first[first].append((second, pair))
        found: dict[tuple[str, str], Scanned] = {}
        rates: dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]] = {}
        with ThreadPoolExecutor(self.threads) as pool:
            for first, others in by_first.items():
                starts = np.zeros(self.sizes[first] + 1, dtype=np.int64)
                order, marks = np.empty(self.rows, dtype=np.uint32), np.empty(self.rows, dtype=np.uint8)
                grouped(self.columns[first], self.labels, starts, order, marks)
                for second in {s for s, _ in others} - rates.keys():
                    rates[second] = self._rates(second)

                def one(
                    second: str,
                    starts: np.ndarray = starts,
                    order: np.ndarray = order,
                    marks: np.ndarray = marks,
                ) -> Scanned:
                    return self._one(second, starts, order, marks, rates[second])

                scanned = pool.map(one, [second for second, _ in others])
                found.update(zip([pair for _, pair in others], scanned, strict=True))
        return {pair: found[pair] for pair in wanted}

    def _rates(self, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        counts = label_counts(self.columns[name], self.labels, size=self.sizes[name])
        totals, yes = counts.totals.astype(np.float64), counts.positives.astype(np.float64)
        base = self.positives / (self.rows - self.positives)
        with np.errstate(divide="ignore", invalid="ignore"):
            odds = np.clip(np.nan_to_num(yes / (totals - yes) / base, nan=1.0, posinf=1e9), 0.0, 1e9)
            inverse = np.where((yes > 0) & (yes < totals), totals / (yes * (totals - yes)), 0.0)
            inverse[totals < self.least_rows] = -1.0
        return odds, inverse, totals / np.maximum(totals - 1.0, 1.0)

    def _one(
        self,
        second: str,
        starts: np.ndarray,
        order: np.ndarray,
        marks: np.ndarray,
        rates: tuple[np.ndarray, np.ndarray, np.ndarray],
    ) -> Scanned:
        size = self.sizes[second]
        mine = getattr(self._scratch, "arrays", None)
        if mine is None or mine[0].shape[1] < size:
            mine = np.zeros((4, size), dtype=np.int64), np.empty((FEW_CELLS, 4), dtype=np.int64)
            self._scratch.arrays = mine
        lines, cells = mine
        counts, touched, totals, positives = lines
        large = np.empty(self.rows // _EXPECTED + 1, dtype=np.int64)
        rows, yes = self.rows, self.positives
        whole = rows / (yes * (rows - yes))
        out = scan(
            starts, order, marks, self.columns[second], *rates, whole, self._logarithms, self._expected, PRIOR_ROWS,
            self.least_rows, counts, touched, totals, positives, large, cells,
        )  # fmt: skip
        information, found, expected, many = float(out[0]), int(out[1]), float(out[2]), int(out[9])
        information -= _n_log_n(yes) + _n_log_n(rows - yes) - _n_log_n(rows)
        if many:
            expected += float(self._far(np.log(large[:many])).sum())
        fitted = found <= FEW_CELLS and self.least_rows == LEAST_ROWS
        if fitted:
            kept = cells[:found].copy()
            test = additive_test([kept[:, 0], kept[:, 1]], kept[:, 3], kept[:, 2])
        else:
            test = summed_up(out[3:9], rows=rows, missed=float("nan"))
        return Scanned(
            information=max(information / rows, 0.0),
            expected=expected / rows,
            cells=found,
            test=test,
            fitted=fitted,
        )


def _n_log_n(n: int) -> float:
    return n * float(np.log(n)) if n else 0.0
