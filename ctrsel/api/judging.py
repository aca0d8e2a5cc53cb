"""Judging: retrain on a feature set from scratch and measure it, once per (table, feature set, judge, seed).

Cells are lines of one file, written as they are done, so that a run that stopped goes on where it was, and selectors that
choose the same set share its training.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ctrsel.api.evaluate import evaluate
from ctrsel.core.artifact import digest_json
from ctrsel.core.catalog import describe
from ctrsel.core.errors import DataError
from ctrsel.core.log import event
from ctrsel.data.table import Table
from ctrsel.records.evaluation import Evaluation
from ctrsel.records.feature_set import FeatureSet
from ctrsel.train import Learner

__all__ = ["Cell", "Cells", "judge"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One feature set's quality with one judge and seed.

    Attributes:
        table: Digest of the table.
        features: Digest of the feature set.
        judge: The learner's `{use: ..., parameters}`.
        seed: Of the training.
        fields: How many fields the judge saw.
        values: How many values.
        valid_auc: On the rows that early stopping watched.
        test_auc: Read once, when the cell was made; None where the table has no test split.
        valid_log_loss: Nats per row.
        test_log_loss: Nats per row.
        seconds: Of training.
    """

    table: str
    features: str
    judge: Mapping[str, object]
    seed: int
    fields: int
    values: int
    valid_auc: float
    test_auc: float | None
    valid_log_loss: float
    test_log_loss: float | None
    seconds: float

    @property
    def key(self) -> str:
        """What makes a cell the same cell."""
        return digest_json([self.table, self.features, dict(self.judge), self.seed])


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """A file of cells, one JSON object a line; what is in it is not computed again.

    Attributes:
        path: The file; it is made with the first cell.
        known: By key, what the file held when it was opened and what was added since.
    """

    path: Path
    known: dict[str, Cell] = field(default_factory=dict)

    @staticmethod
    def open(path: Path) -> Cells:
        """Read a file of cells, or start one; a last line that a kill cut short is dropped.

        Raises:
            DataError: If any other line is no cell.
        """
        cells = Cells(path=Path(path))
        if not cells.path.exists():
            return cells
        text = cells.path.read_text(encoding="utf-8")
        lines = text.split("\n")
        for number, line in enumerate(lines, start=1):
            if not line:
                continue
            try:
                cell = Cell(**json.loads(line))
            except (ValueError, TypeError) as error:
                if number == len(lines):
                    cells.path.write_text("\n".join(lines[:-1]) + "\n" if number > 1 else "", encoding="utf-8")
                    continue
                raise DataError(f"{cells.path}: line {number} is no cell: {error}") from error
            cells.known[cell.key] = cell
        return cells

    def find(self, table: Table, features: FeatureSet, learner: Learner, *, seed: int) -> Cell | None:
        """Return a cell that is known."""
        return self.known.get(_key(table, features, learner, seed))

    def judge(self, table: Table, features: FeatureSet, learner: Learner, *, seed: int) -> Cell:
        """Return a known cell, or train, measure, and append it to the file."""
        found = self.find(table, features, learner, seed=seed)
        if found is not None:
            return found
        cell = judge(table, features, learner, seed=seed)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(cell), sort_keys=True) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self.known[cell.key] = cell
        return cell


def judge(table: Table, features: FeatureSet, learner: Learner, *, seed: int) -> Cell:
    """Train from scratch on the narrowed table without its test split, then measure on validation and test.

    Args:
        table: With the splits "train" and "valid", and "test" where test is to be read.
        features: What the judge sees.
        learner: The judge.
        seed: Of the training.
    """
    narrow = table.narrow(features)
    began = time.perf_counter()
    fit = learner.fit(narrow.without("test") if "test" in narrow.splits else narrow, seed=seed)
    seconds = time.perf_counter() - began
    valid = evaluate(fit.model, narrow, split="valid", seed=seed, keep_logits=False)
    test = evaluate(fit.model, narrow, split="test", seed=seed, keep_logits=False) if "test" in table.splits else None
    event("judge", features=features.digest, seed=seed, seconds=seconds)
    return Cell(
        table=table.digest,
        features=features.digest,
        judge=describe(learner),
        seed=seed,
        fields=features.n_fields,
        values=features.n_values,
        valid_auc=_of(valid, "auc"),
        test_auc=None if test is None else _of(test, "auc"),
        valid_log_loss=_of(valid, "log_loss"),
        test_log_loss=None if test is None else _of(test, "log_loss"),
        seconds=seconds,
    )


def _of(evaluation: Evaluation, name: str) -> float:
    value = evaluation.metrics[name].value
    if value is None:
        raise DataError(f"the split {evaluation.split!r} has rows of one class, so a judge has no {name} on it")
    return float(value)


def _key(table: Table, features: FeatureSet, learner: Learner, seed: int) -> str:
    return digest_json([table.digest, features.digest, describe(learner), seed])
