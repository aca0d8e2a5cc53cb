"""Judging: retrain on a feature set from scratch and measure it, once per (table, feature set, judge, seed).

Cells are lines of one file, written as they are done, so that a run that stopped goes on where it was, selectors that choose
the same set share its training, and several processes may add to it. A cell may be made without its test split: the model is
kept then, and the split is read later, when whatever is decided on validation has been decided.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ctrsel.api.evaluate import auc_difference_error, evaluate
from ctrsel.core.artifact import MANIFEST, digest_json
from ctrsel.core.catalog import describe
from ctrsel.core.errors import DataError
from ctrsel.core.log import event
from ctrsel.data.table import Table
from ctrsel.models.model import Model
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
        bytes: Of the model on disk, where it was kept.
        test_error: Standard error of test AUC's difference to that of the full model of this judge and seed, over rows; None
            where it was not compared.
        pruned_auc: On the validation rows, of the full model of this judge and seed, narrowed to the set and not trained again;
            None where it was not measured.
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
    bytes: int | None = None
    test_error: float | None = None
    pruned_auc: float | None = None

    @property
    def key(self) -> str:
        """What makes a cell the same cell."""
        return digest_json([self.table, self.features, dict(self.judge), self.seed])


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """A file of cells, one JSON object a line; what is in it is not computed again.

    Attributes:
        path: The file; it is made with the first cell.
        known: By key, what the file held when it was last looked at; a later line of a key counts.
        models: Where models wait for their test split; None keeps none.
    """

    path: Path
    known: dict[str, Cell] = field(default_factory=dict)
    models: Path | None = None
    _read: list[int] = field(default_factory=lambda: [0, 0])

    @staticmethod
    def open(path: Path, *, models: Path | None = None) -> Cells:
        """Read a file of cells, or start one; a last line that a kill cut short is dropped.

        Raises:
            DataError: If any other line is no cell.
        """
        cells = Cells(path=Path(path), models=models)
        cells.refresh()
        if cells.path.exists() and cells.path.stat().st_size > cells._read[0]:
            with cells.path.open("ab") as file, _alone(file):
                cells._mend(file)
        return cells

    def refresh(self) -> None:
        """Take in what other processes have added to the file.

        Raises:
            DataError: If a line is no cell.
        """
        try:
            if self.path.stat().st_size <= self._read[0]:
                return
        except FileNotFoundError:
            return
        with self.path.open("rb") as file:
            file.seek(self._read[0])
            text = file.read()
        for line in text[: text.rfind(b"\n") + 1].splitlines(keepends=True):
            number = self._read[1] + 1
            try:
                cell = Cell(**json.loads(line)) if line.strip() else None
            except (ValueError, TypeError) as error:
                raise DataError(f"{self.path}: line {number} is no cell: {error}") from error
            if cell is not None:
                self.known[cell.key] = cell
            self._read[:] = self._read[0] + len(line), number

    @staticmethod
    def key(table: Table, features: FeatureSet, learner: Learner, *, seed: int) -> str:
        """Return what makes a cell the same cell."""
        return digest_json([table.digest, features.digest, describe(learner), seed])

    def find(self, table: Table, features: FeatureSet, learner: Learner, *, seed: int) -> Cell | None:
        """Return a cell that is known, to this process or to another."""
        self.refresh()
        return self.known.get(self.key(table, features, learner, seed=seed))

    def judge(self, table: Table, features: FeatureSet, learner: Learner, *, seed: int) -> Cell:
        """Return a known cell, or train, measure, and append it to the file."""
        found = self.find(table, features, learner, seed=seed)
        if found is not None:
            return found
        cell, model = _judged(table, features, learner, seed=seed)
        if self.models is not None and cell.test_auc is None:
            model.save(self.models / cell.key)
            size = sum(f.stat().st_size for f in (self.models / cell.key).rglob("*") if f.is_file())
            cell = replace(cell, bytes=size)
        self._write(cell)
        return cell

    def model(self, table: Table, features: FeatureSet, learner: Learner, *, seed: int) -> Model | None:
        """Return the model of a cell where it still waits for its test split."""
        kept = None if self.models is None else self.models / self.key(table, features, learner, seed=seed)
        return Model.load(kept) if kept is not None and (kept / MANIFEST).is_file() else None

    def prune(self, table: Table, features: FeatureSet, learner: Learner, *, seed: int, full: Model) -> Cell | None:
        """Add to a cell what the full model, narrowed to its set, reaches on validation without being trained again.

        Args:
            table: That of the cell.
            features: Its set.
            learner: Its judge.
            seed: Of its training.
            full: The judge's model of all values with this seed.

        Returns:
            The cell; None where there is none.

        Raises:
            ConfigError: If a model of this kind cannot be narrowed to the set.
        """
        cell = self.find(table, features, learner, seed=seed)
        if cell is None or cell.pruned_auc is not None:
            return cell
        found = evaluate(full.narrow(features), table.narrow(features), split="valid", seed=seed, keep_logits=False)
        cell = replace(cell, pruned_auc=_of(found, "auc"))
        self._write(cell)
        return cell

    def read_test(
        self,
        table: Table,
        features: FeatureSet,
        learner: Learner,
        *,
        seed: int,
        full: np.ndarray | None = None,
        known: Table | None = None,
        keep: Path | None = None,
    ) -> Cell:
        """Add the test split to a cell that was made without it; it is read once, and the model is kept no longer.

        Args:
            table: With the split "test".
            features: Of the cell.
            learner: Its judge.
            seed: Of the training.
            full: Test logits of the full model with this judge and seed, for the error of the difference.
            known: The table without that split, where it is at hand.
            keep: A file for the test logits `[N]`, written before the cell says that test was read.

        Returns:
            The cell; one whose test split had been read before as it was.

        Raises:
            DataError: If there is no such cell.
        """
        known = table.without("test") if known is None else known
        cell = self.find(known, features, learner, seed=seed)
        if cell is None:
            raise DataError(f"judging: there is no cell of the set {features.digest} and seed {seed} to read test for")
        if cell.test_auc is not None:
            return cell
        kept = None if self.models is None else self.models / cell.key
        model = self.model(known, features, learner, seed=seed)
        if model is None:
            model = learner.fit(known.narrow(features), seed=seed).model
        test = evaluate(model, table.narrow(features), split="test", seed=seed)
        logits = test.logits
        assert logits is not None
        error = None
        if full is not None:
            error = auc_difference_error(table, logits, full, seed=seed)
        if keep is not None:
            keep.parent.mkdir(parents=True, exist_ok=True)
            partial = keep.with_name(f".{keep.name}")
            with partial.open("wb") as file:
                np.save(file, logits, allow_pickle=False)
            partial.replace(keep)
        cell = replace(cell, test_auc=_of(test, "auc"), test_log_loss=_of(test, "log_loss"), test_error=error)
        self._write(cell)
        if kept is not None:
            shutil.rmtree(kept, ignore_errors=True)
        return cell

    def _write(self, cell: Cell) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab") as file, _alone(file):
            self._mend(file)
            known = self.known.get(cell.key)
            if known is not None and cell.test_auc is None and (known.test_auc is not None or cell.pruned_auc is None):
                return  # trained twice, and the other may have read test since
            file.write(json.dumps(asdict(cell), sort_keys=True).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self.refresh()
        self.known[cell.key] = cell

    def _mend(self, file: BinaryIO) -> None:
        """End the last line, or drop what a killed process left of one; nobody else is writing now."""
        self.refresh()
        end = self._read[0]
        tail = self.path.read_bytes()[end:]
        try:
            Cell(**json.loads(tail))
        except (ValueError, TypeError):
            file.truncate(end)
        else:
            file.write(b"\n")
            file.flush()
            self.refresh()


@contextlib.contextmanager
def _alone(file: BinaryIO) -> Iterator[None]:
    """Keep other processes from writing to an open file."""
    fcntl.flock(file, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(file, fcntl.LOCK_UN)


def judge(table: Table, features: FeatureSet, learner: Learner, *, seed: int) -> Cell:
    """Train from scratch on the narrowed table without its test split, then measure on validation and test.

    Args:
        table: With the splits "train" and "valid", and "test" where test is to be read.
        features: What the judge sees.
        learner: The judge.
        seed: Of the training.
    """
    return _judged(table, features, learner, seed=seed)[0]


def _judged(table: Table, features: FeatureSet, learner: Learner, *, seed: int) -> tuple[Cell, Model]:
    narrow = table.narrow(features)
    began = time.perf_counter()
    fit = learner.fit(narrow.without("test") if "test" in narrow.splits else narrow, seed=seed)
    seconds = time.perf_counter() - began
    valid = evaluate(fit.model, narrow, split="valid", seed=seed, keep_logits=False)
    test = evaluate(fit.model, narrow, split="test", seed=seed, keep_logits=False) if "test" in table.splits else None
    event("judge", features=features.digest, seed=seed, seconds=seconds)
    cell = Cell(
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
    return cell, fit.model


def _of(evaluation: Evaluation, name: str) -> float:
    value = evaluation.metrics[name].value
    if value is None:
        raise DataError(f"the split {evaluation.split!r} has rows of one class, so a judge has no {name} on it")
    return float(value)
