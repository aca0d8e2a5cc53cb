"""ServingModel: a saved model that scores raw rows and counts what it did not know in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ctrsel.core.errors import DataError
from ctrsel.data.frames import read_frame
from ctrsel.data.table import Ragged, Table
from ctrsel.models.model import Model
from ctrsel.records.feature_set import MISSING, OTHER

__all__ = ["Scored", "ServingModel"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """Scores of some rows, and how much of them the model knew.

    A value is `other` if it has no code of its own: new since the training, too rare then, or dropped by the
    selection, which a served model cannot tell apart, since it has forgotten those texts. Crosses are counted like other
    fields; a column that is read for crosses only is not.

    Attributes:
        logits: Log-odds, float32 `[N, T]`.
        probabilities: float64 `[N, T]`.
        labels: Names of the T labels.
        other: Fields with an `other` value per row, int64 `[N]`.
        missing: Fields without a value per row, int64 `[N]`.
        other_at: Which rows have an `other` value, bool `[N]` by field.
        missing_at: Which rows have no value, bool `[N]` by field.
        absent: Inputs of the model that have no column in the rows at all; they count as missing.
        ignored: Columns that the model does not read.
    """

    logits: np.ndarray
    probabilities: np.ndarray
    labels: tuple[str, ...]
    other: np.ndarray
    missing: np.ndarray
    other_at: Mapping[str, np.ndarray]
    missing_at: Mapping[str, np.ndarray]
    absent: tuple[str, ...]
    ignored: tuple[str, ...]

    @property
    def other_by_field(self) -> dict[str, int]:
        """How many rows have an `other` value, by field."""
        return {k: int(v.sum()) for k, v in self.other_at.items()}

    @property
    def missing_by_field(self) -> dict[str, int]:
        """How many rows have no value, by field."""
        return {k: int(v.sum()) for k, v in self.missing_at.items()}

    def frame(self, *, details: bool = False) -> pl.DataFrame:
        """Return `probability`, then `probability_<label>` for further labels; with details `logit`, `other`, `missing`."""
        columns = {"probability": self.probabilities[:, 0]}
        for t, name in enumerate(self.labels[1:], start=1):
            columns[f"probability_{name}"] = self.probabilities[:, t]
        if details:
            columns |= {
                "logit": self.logits[:, 0].astype(np.float64),
                "other": self.other,
                "missing": self.missing,
            }
        return pl.DataFrame(columns)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingModel:
    """A loaded model.

    Attributes:
        model: As it was saved.
    """

    model: Model
    _scorer: Model = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_scorer", self.model.for_scoring())

    @staticmethod
    def load(folder: str | Path) -> ServingModel:
        """Load a saved model's folder; only the library of its own predictor is imported."""
        return ServingModel(model=Model.load(Path(folder)))

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the columns that are read."""
        return self.model.encoder.input_names

    def score(self, rows: Any) -> Scored:
        """Score raw rows.

        Args:
            rows: A polars or pandas frame or an Arrow table. Columns may be missing, in any order and of any type that
                has a text or number in it; columns that are no field are not read.

        Raises:
            DataError: If no column is a field of the model, a numeric field holds a text that is not a number, or a number
                is so large that the score is none.
        """
        frame = read_frame(rows)
        encoder, inputs = self.model.encoder, self.inputs
        absent = tuple(n for n in inputs if n not in frame.columns)
        ignored = tuple(c for c in frame.columns if c not in inputs)
        if len(absent) == len(inputs):
            shown = ", ".join(inputs[:10])
            raise DataError(
                f"the rows must have at least one of the model's {len(inputs)} columns ({shown}"
                f"{', ...' if len(inputs) > 10 else ''}), got {', '.join(ignored[:10]) or 'no column'}"
            )
        table = encoder.encode(frame)
        other, missing = _count(table)
        logits = self._scorer.logits(table)
        bad = ~np.isfinite(logits).all(axis=1)
        if bad.any():
            raise DataError(
                f"row {int(bad.argmax()) + 1} must have numbers that the model can compute with, but its log-odds are "
                f"{logits[bad][0][~np.isfinite(logits[bad][0])][0]}; a number in it is too large"
            )
        z = logits.astype(np.float64)
        return Scored(
            logits=logits,
            probabilities=np.asarray(np.exp(-np.logaddexp(0.0, -z))),
            labels=tuple(label.name for label in encoder.schema.labels[: logits.shape[1]]),
            other=other.sum(axis=0),
            missing=missing.sum(axis=0),
            other_at=dict(zip(table.columns, other, strict=True)),
            missing_at=dict(zip(table.columns, missing, strict=True)),
            absent=absent,
            ignored=ignored,
        )

    def predict(self, rows: Any, *, details: bool = False) -> pl.DataFrame:
        """Return `score(rows)` as a frame, row by row in order."""
        return self.score(rows).frame(details=details)


def _count(table: Table) -> tuple[np.ndarray, np.ndarray]:
    """Where a value has no code of its own, and where there is none, both bool `[F, N]`."""
    other, missing = np.zeros((2, len(table.columns), table.n_rows), dtype=bool)
    floats = table.float_fields
    for f, (name, column) in enumerate(table.columns.items()):
        if isinstance(column, Ragged):
            lengths = np.diff(column.offsets)
            rows = np.repeat(np.arange(len(lengths)), lengths)
            other[f] = np.bincount(rows, weights=column.codes == OTHER, minlength=len(lengths)) > 0
            np.equal(lengths, 0, out=missing[f])
        elif name in floats:
            np.isnan(column, out=missing[f])
        else:
            np.equal(column, OTHER, out=other[f])
            np.equal(column, MISSING, out=missing[f])
    return other, missing
