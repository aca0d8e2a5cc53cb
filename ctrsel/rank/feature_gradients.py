"""FeatureGradients: fields in the order in which gradient descent keeps them in a linear predictor that is never fitted.

Reference: Sheth and Fusi, "Feature gradients: scalable feature selection via discrete relaxation", 2019, equations 5 to 9.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from ctrsel.core.catalog import describe
from ctrsel.core.errors import ConfigError, DataError
from ctrsel.core.seeds import derive, generator
from ctrsel.models.one_thread import one_thread
from ctrsel.rank._contract import CountRanker
from ctrsel.rank._gradient_moments import explained, inverse_coefficients
from ctrsel.rank._one_hot import OneHot, one_hot
from ctrsel.records.ranking import Ranking
from ctrsel.stats.sampling import stratified_sample

if TYPE_CHECKING:
    from ctrsel.rank.counts import TableCounts

__all__ = ["FeatureGradients"]

_SPECTRUM_ROWS = 5000  # from so many rows the largest eigenvalue of the columns' correlations is taken


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureGradients(CountRanker):
    """Inclusion of each field in (0, 1), found by gradient descent on what a linear predictor leaves unexplained.

    Every field is a group of standardised columns, one per frequent value, with one inclusion ``sigmoid(2 x)`` in common.
    The score is x; `inclusion` is beside it, with `columns` and `covered` (share of the rows whose value has a column).
    Fields work through a sum of their values' effects: one that matters only together with another is not seen.

    Attributes:
        order: Degree of the polynomial that stands for the inverse of the columns' correlations.
        penalty: What a field must explain to be kept, as a multiple of the fields' average.
        values: Columns of a field at most; rarer values share what is left.
        rows: Training rows used at most, each class in proportion.
        batch: Rows of a step.
        steps: Steps of Adam.
        learning_rate: Of Adam.
        floor: Share of the largest eigenvalue down to which the polynomial is near the inverse.
    """

    needs: ClassVar[Literal["field", "rows"]] = "rows"

    order: int = 2
    penalty: float = 1.0
    values: int = 16
    rows: int = 100_000
    batch: int = 5000
    steps: int = 50
    learning_rate: float = 0.1
    floor: float = 0.1

    def __post_init__(self) -> None:
        for name, least in (("order", 1), ("values", 1), ("rows", 10), ("steps", 1)):
            if getattr(self, name) < least:
                raise ConfigError(f"feature_gradients.{name}: must be at least {least}, got {getattr(self, name)}")
        if self.batch <= self.order:
            raise ConfigError(
                f"feature_gradients.batch: must be more rows than the order {self.order}, got {self.batch}"
            )
        for name in ("penalty", "learning_rate"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"feature_gradients.{name}: must be above 0, got {getattr(self, name)}")
        if not 0 < self.floor < 1:
            raise ConfigError(f"feature_gradients.floor: must be between 0 and 1, got {self.floor}")

    def score(self, counts: TableCounts) -> Ranking:
        """Rank the fields by x after the last step.

        Raises:
            DataError: If only counts are here, or all labels are equal.
        """
        import polars as pl

        held = counts.need_rows("feature_gradients")
        rows = stratified_sample(held.labels, self.rows, seed=derive(counts.seed, "rank", "feature_gradients", "rows"))
        labels = np.asarray(held.labels[rows], dtype=np.float64)
        if labels.size <= self.order or labels.min() == labels.max():
            raise DataError("feature_gradients: needs training rows of both labels, more than its order")
        table = one_hot(held, rows, values=self.values)
        # DEVIATION(Sheth and Fusi 2019): the label is standardised, not -1 and 1, so that z is a share of its variance.
        with one_thread():
            x, share = self._descend(table, (labels - labels.mean()) / labels.std(), seed=counts.seed)
        order = np.lexsort((np.array(table.names, dtype=str), -x))
        frame = pl.DataFrame(
            {
                "field": [table.names[i] for i in order],
                "score": x[order],
                "rank": np.arange(1, len(order) + 1),
                "inclusion": 1.0 / (1.0 + np.exp(-2.0 * x[order])),
                "columns": table.columns[order],
                "covered": table.covered[order],
            },
            schema_overrides={"field": pl.String, "score": pl.Float64, "rank": pl.Int64},
        )
        notes = [f"a column for each of the {self.values} most frequent values of a field, {len(table.field)} in all"]
        if len(rows) < held.n_rows:
            notes.append(f"from {len(rows):,} of {held.n_rows:,} training rows, each class in proportion")
        notes.append(
            f"all fields together explain {share:.4f} of the label's variance (a linear predictor, not fitted)"
        )
        return Ranking(
            method="feature_gradients",
            params=describe(self),
            unit="x of an inclusion sigmoid(2x)",
            null=None,
            frame=frame,
            refused=counts.refused,
            notes=(*counts.notes, *notes),
            table=counts.table,
        )

    def _descend(self, table: OneHot, target: np.ndarray, *, seed: int) -> tuple[np.ndarray, float]:
        """Return x per field after the last step, and what all fields explain."""
        import torch

        # DEVIATION(Sheth and Fusi 2019): the polynomial is the one nearest to the inverse on the spectrum, which is
        # measured; the paper's table of coefficients presumes one.
        coefficients = inverse_coefficients(self.order, floor=self.floor)
        spectrum = torch.from_numpy(table.rows(np.arange(min(table.n_rows, _SPECTRUM_ROWS)))).double()
        top = float(torch.linalg.eigvalsh(spectrum.T @ spectrum / len(spectrum))[-1]) or 1.0
        field, y = torch.from_numpy(table.field), torch.from_numpy(target).float()
        batches = self._batches(table.n_rows, seed=seed)

        def z(rows: np.ndarray, s: torch.Tensor) -> torch.Tensor:
            x = torch.from_numpy(table.rows(rows))
            return explained(x, y[torch.from_numpy(rows)], s, coefficients=coefficients, top=top)

        everything = torch.ones(len(field))
        found = np.array([float(z(rows, everything)) for rows in batches[: max(self.steps // 4, 2)]])
        share, error = float(found.mean()), float(found.std() / np.sqrt(len(found)))
        x = torch.zeros(len(table.names), requires_grad=True)
        optimizer = torch.optim.Adam([x], lr=self.learning_rate)
        for rows in batches:
            inclusion = torch.sigmoid(2.0 * x)
            # DEVIATION(Sheth and Fusi 2019): what is left unexplained is 1 - z in shares of what all fields explain, and
            # not (1 - sqrt(z)) / 2 with replaced gradients: of a click's variance little can be explained at all, and
            # the penalty would outweigh it.
            # DEVIATION(Sheth and Fusi 2019): a field's columns have one inclusion, and the penalty is the mean over
            # fields, not over columns, so that fields of many values do not pay more.
            loss = -z(rows, inclusion[field]) / max(share, error, 1e-12) + self.penalty * inclusion.mean()
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # torch has no type for it
            torch.nn.utils.clip_grad_norm_([x], 1.0)
            optimizer.step()
        return x.detach().double().numpy(), share

    def _batches(self, rows: int, *, seed: int) -> list[np.ndarray]:
        """Return the rows of each step; all rows are passed in a new order as often as it takes.

        DEVIATION(Sheth and Fusi 2019): a fixed number of steps, no stop by a moving average.
        """
        rng = generator(seed, "rank", "feature_gradients", "batches")
        size = min(self.batch, rows)
        found: list[np.ndarray] = []
        while len(found) < self.steps:
            order = rng.permutation(rows)
            found += [order[i : i + size] for i in range(0, rows - size + 1, size)]
        return found[: self.steps]
