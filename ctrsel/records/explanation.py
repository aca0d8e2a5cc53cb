"""Explanation: attributions in log-odds, with the checks that they passed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ctrsel.core.artifact import atomic_folder, digest_arrays, digest_json, read_array, read_manifest
from ctrsel.core.errors import DataError
from ctrsel.records.ranking import Ranking

__all__ = ["Explanation"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """How much each field moved each explained row's logit.

    Attributes:
        method: The explainer's name ("pred_contrib", "permutation_shap").
        fields: Field names, F of them.
        values: float64 `[n, F]`, log-odds.
        base: float64 `[n]`, log-odds; base + values.sum(1) is the row's logit.
        rows: Row numbers in the table, `[n]`.
        checks: By name the measured number of each check that was run and passed ("additivity": largest absolute error).
        model: Digest of the model.
        notes: What a reader must know (rows, background, seed).
    """

    method: str
    fields: tuple[str, ...]
    values: np.ndarray
    base: np.ndarray
    rows: np.ndarray
    checks: Mapping[str, float]
    model: str
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        n, f = len(self.rows), len(self.fields)
        if self.values.shape != (n, f) or self.base.shape != (n,):
            raise DataError(
                f"explanation: expected values [{n}, {f}] and base [{n}], got {self.values.shape} and {self.base.shape}"
            )

    def importance(self) -> tuple[np.ndarray, np.ndarray]:
        """Return mean |value| per field `[F]` in log-odds and its standard error over the explained rows `[F]`.

        Raises:
            DataError: If no row was explained.
        """
        size = np.abs(self.values)
        n = len(size)
        if n == 0:
            raise DataError("an explanation of no row has no importance")
        error = size.std(axis=0, ddof=1) / np.sqrt(n) if n > 1 else np.full(size.shape[1], np.nan)
        return size.mean(axis=0), error

    def to_ranking(self) -> Ranking:
        """Rank fields by mean |value|, with the standard error of the sample beside it."""
        import polars as pl

        mean, error = self.importance()
        order = np.lexsort((np.asarray(self.fields), -mean))
        frame = pl.DataFrame(
            {
                "field": [self.fields[i] for i in order],
                "score": mean[order],
                "rank": np.arange(1, len(order) + 1),
                "standard_error": error[order],
            }
        )
        return Ranking(method=self.method, params={}, unit="log-odds", null=None, frame=frame, notes=self.notes)

    def _head(self) -> dict[str, Any]:
        return {
            "method": self.method,
            "fields": list(self.fields),
            "checks": dict(self.checks),
            "model": self.model,
            "notes": list(self.notes),
        }

    @property
    def digest(self) -> str:
        """Digest of the content."""
        return digest_json(
            {**self._head(), "arrays": digest_arrays({"values": self.values, "base": self.base, "rows": self.rows})}
        )

    def save(self, path: Path) -> None:
        """Save as a folder: the manifest and three `.npy` files."""
        with atomic_folder(path, manifest={"format": "ctrsel.explanation", "version": 1, **self._head()}) as folder:
            for name in ("values", "base", "rows"):
                np.save(folder / f"{name}.npy", getattr(self, name), allow_pickle=False)

    @staticmethod
    def load(path: Path) -> Explanation:
        """Load what `save` wrote."""
        m = read_manifest(path, format="ctrsel.explanation", version=1)
        arrays = {n: read_array(Path(path) / f"{n}.npy") for n in ("values", "base", "rows")}
        return Explanation(
            method=m["method"],
            fields=tuple(m["fields"]),
            checks=m["checks"],
            model=m["model"],
            notes=tuple(m["notes"]),
            **arrays,
        )
