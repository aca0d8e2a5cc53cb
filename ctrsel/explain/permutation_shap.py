"""PermutationShap: Shapley values of the fields for any model, by antithetic walks from fixed background rows.

References: Lundberg and Lee, "A unified approach to interpreting model predictions", 2017, equation 8 (the value);
Mitchell, Cooper, Frank and Holmes, "Sampling permutations for Shapley value estimation", 2022
(antithetic permutations: each order is walked forwards and backwards, which is exact for pairwise interactions).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ctrsel.core.errors import ConfigError, CtrselError, DataError
from ctrsel.core.log import progress
from ctrsel.core.seeds import derive, generator
from ctrsel.data.table import Ragged, Table
from ctrsel.explain._contract import Explainer
from ctrsel.explain.rows import sample_rows
from ctrsel.records.explanation import Explanation
from ctrsel.stats.sampling import stratified_sample

if TYPE_CHECKING:
    from ctrsel.models.model import Model

__all__ = ["PermutationShap"]

_TOLERANCE = 1e-4  # log-odds; float32 logits in batches of different shape differ by some 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class PermutationShap(Explainer):
    """Fields take part as wholes (a list, a float and its missing value are one player each).

    For each background row one random order of the fields is drawn; from the background row the explained row is put
    in field by field in this order, and in the reverse one. A field is credited with the change of the logit at its
    step. An absent field therefore has the value of a background row, and the attributions of a row add up to its
    logit less the mean logit of the background.

    Attributes:
        rows: How many rows are explained unless the caller names them.
        background: How many rows to compare with, each class in proportion; the same for all explained rows.
        batch: Rows made at once, about; bounds the memory.
    """

    rows: int = 256
    background: int = 32
    batch: int = 65536

    general: ClassVar[bool] = True

    def __post_init__(self) -> None:
        for name in ("rows", "background", "batch"):
            if getattr(self, name) < 1:
                raise ConfigError(f"permutation_shap.{name}: must be at least 1, got {getattr(self, name)}")

    def accepts(self, model: Model) -> bool:
        """Any model that scores a Table."""
        return True

    def explain(self, model: Model, table: Table, *, rows: np.ndarray, seed: int) -> Explanation:
        """Attribute the first label's logit against background rows of the split "train", or of the whole table without one.

        Raises:
            DataError: If the table is another Encoder's, or there are no rows.
            CtrselError: If base and attributions of a row do not add up to its logit.
        """
        drawn = derive(seed, "explain", "background")
        if "train" in table.splits:
            behind = sample_rows(table, self.background, split="train", seed=drawn)
        else:
            strata = np.zeros(table.n_rows) if table.labels is None else table.label()
            behind = stratified_sample(strata, self.background, seed=drawn)
        n, size, names = len(rows), len(behind), table.schema.names
        if not n:
            raise DataError("permutation_shap: there are no rows to explain")
        both = table.take(np.concatenate([rows, behind]))
        direct = model.logits(both)[:, 0].astype(np.float64)
        here, there = direct[:n], direct[n:]
        orders = np.stack([generator(seed, "explain", "order", b).permutation(len(names)) for b in range(size)])
        walks = np.stack([orders, orders[:, ::-1]], axis=1)  # [B, 2, F]: which field is put in at each step
        marks = [_marks(column) for column in both.columns.values()]
        values = np.zeros((n, len(names)))
        with progress("explain", n, unit="rows") as bar:
            for first, last in _blocks(n, each=2 * size * len(names), batch=self.batch):
                values[first:last] = _walk(
                    model, both, marks=marks, walks=walks, there=there, rows=np.arange(first, last)
                )
                bar.advance(last - first)
        base = float(there.mean())
        off = np.abs(base + values.sum(axis=1) - here) / np.maximum(1.0, np.abs(here))
        error = float(off.max())
        if not error <= _TOLERANCE:
            raise CtrselError(
                f"permutation_shap: attributions must add up to the logit within 1e-4, off by {error:.3g}"
            )
        return Explanation(
            method="permutation_shap",
            fields=names,
            values=values,
            base=np.full(n, base),
            rows=np.asarray(rows, dtype=np.int64),
            checks={"additivity": error},
            model=model.digest,
            notes=(f"{n} rows against {size} background rows, one order each walked both ways, seed {seed}",),
        )


def _blocks(n: int, *, each: int, batch: int) -> list[tuple[int, int]]:
    step = max(1, batch // max(each, 1))
    return [(first, min(first + step, n)) for first in range(0, n, step)]


def _walk(
    model: Model, both: Table, *, marks: list[np.ndarray], walks: np.ndarray, there: np.ndarray, rows: np.ndarray
) -> np.ndarray:
    """Return the attributions `[R, F]` of some rows.

    A step that puts in the value that the background row has anyway leaves the model's input as it is, so it is worth
    exactly 0 and is not scored.

    Shape:
        R rows, B background rows, F fields, S scored states; a walk is one (row, background row, direction).

    Args:
        model: What is explained.
        both: The n explained rows, then the B background rows.
        marks: Per field `[n + B]`, equal where the values are.
        walks: `[B, 2, F]`, field by step.
        there: `[B]`, logits of the background rows.
        rows: `[R]`, which of the n.
    """
    size, _, width = walks.shape
    n = both.n_rows - size
    differs = np.stack([m[rows][:, None] != m[n:][None] for m in marks], axis=2)  # [R, B, F]
    changed = np.take_along_axis(differs[:, :, None, :], walks[None], axis=3)  # [R, B, 2, F] in step order
    r, b, way, step = np.nonzero(changed)
    place = np.argsort(walks, axis=2)  # [B, 2, F]: step by field
    columns = {
        name: _mixed(column, place[b, way, j] <= step, rows[r], n + b)
        for j, (name, column) in enumerate(both.columns.items())
    }
    states = Table(encoder=both.encoder, columns=columns, labels=None, row=np.zeros(len(r), dtype=np.int64))
    scored = model.logits(states)[:, 0].astype(np.float64) if len(r) else np.zeros(0)
    # Gain of each scored state over the one before it on its walk; a walk starts at its background row.
    before = np.concatenate([[0.0], scored[:-1]])
    walk = (r * size + b) * 2 + way
    starts = np.concatenate([[True], walk[1:] != walk[:-1]])[: len(r)]
    gain = scored - np.where(starts, there[b], before[: len(r)])
    field = walks[b, way, step]
    total = np.bincount(r * width + field, weights=gain, minlength=len(rows) * width)
    return np.asarray(total.reshape(len(rows), width) / (2 * size))


def _mixed(
    column: np.ndarray | Ragged, put_in: np.ndarray, rows: np.ndarray, behind: np.ndarray
) -> np.ndarray | Ragged:
    at = np.where(put_in, rows, behind)
    return column.take(at) if isinstance(column, Ragged) else column[at]


def _marks(column: np.ndarray | Ragged) -> np.ndarray:
    """Return numbers `[N]` that are equal where the column's values are; a missing float equals a missing float."""
    if not isinstance(column, Ragged):
        return np.unique(column, return_inverse=True)[1] if column.dtype.kind == "f" else column
    seen: dict[bytes, int] = {}
    ends = zip(column.offsets[:-1].tolist(), column.offsets[1:].tolist(), strict=True)
    return np.array([seen.setdefault(column.codes[a:z].tobytes(), len(seen)) for a, z in ends], dtype=np.int64)
