"""The notebook form: a handful of functions that take a frame or a path and return the nouns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ctrsel.api.auto_size import auto_select
from ctrsel.api.starts import check_start, open_start
from ctrsel.core.errors import ConfigError
from ctrsel.data.append import append
from ctrsel.data.audit import audit as _audit
from ctrsel.data.ingest import ingest
from ctrsel.data.table import Table
from ctrsel.explain import explain
from ctrsel.models.model import Model
from ctrsel.rank import CATALOG as RANKERS
from ctrsel.rank import Ranker, rank
from ctrsel.records.audit import Audit
from ctrsel.records.explanation import Explanation
from ctrsel.records.ranking import Ranking
from ctrsel.select import CATALOG as SELECTORS
from ctrsel.select import Outcome, Problem, Selector, retrain
from ctrsel.select.wanted import Wanted
from ctrsel.train import CATALOG as LEARNERS
from ctrsel.train import Fit, Learner

__all__ = [
    "append",
    "as_table",
    "audit",
    "explain_model",
    "ingest",
    "load_model",
    "load_table",
    "predict",
    "rank_fields",
    "select_features",
    "train_model",
]


def as_table(data: Any, *, label: str | None = None, seed: int = 1) -> Table:
    """Return a Table as it is, load a saved one, or ingest anything else."""
    if isinstance(data, Table):
        return data
    if isinstance(data, str | Path) and (Path(data) / "manifest.json").is_file():
        return Table.load(Path(data))
    return ingest(data, label=label, seed=seed)


def audit(data: Any, *, label: str | None = None, accept: Sequence[str] = (), seed: int = 1) -> Audit:
    """Look for leaks, constant and duplicated fields, row ids, unseen values and drift; nothing is trained.

    Args:
        data: A Table, or anything that `ingest` takes.
        label: The label column, if data is not a Table.
        accept: Fields whose suspected leak is known.
        seed: Of the split, if data is not a Table.

    Examples:
        >>> from ctrsel.testing.tables import tiny_table
        >>> audit(tiny_table()).stops
        ()
    """
    return _audit(as_table(data, label=label, seed=seed), accept=tuple(accept))


def rank_fields(
    data: Any, *, label: str | None = None, by: str | Ranker | Mapping[str, Any] = "mutual_information", seed: int = 1
) -> Ranking:
    """Rank the fields; training rows score, validation rows check, test is not read.

    Args:
        data: A Table, or anything that `ingest` takes.
        label: The label column, if data is not a Table.
        by: A ranker, its name, or `{"use": name, ...parameters}`.
        seed: Of the split and of whatever the ranker draws.

    Examples:
        >>> from ctrsel.testing.tables import tiny_table
        >>> rank_fields(tiny_table()).order[:2]
        ('ad', 'site')
    """
    table = as_table(data, label=label, seed=seed)
    ranker = by if isinstance(by, Ranker) else RANKERS.create(by, place="by")
    return rank(table.without("test") if "test" in table.splits else table, (ranker,), seed=seed)[0]


def train_model(
    data: Any,
    *,
    label: str | None = None,
    learner: str | Learner | Mapping[str, Any] = "net",
    start: Model | str | Path | None = None,
    seed: int = 1,
) -> Fit:
    """Train on the training split, stop early on the validation split; test is not read.

    Args:
        data: A Table, or anything that `ingest` takes.
        label: The label column, if data is not a Table.
        learner: A learner, its name, or `{"use": name, ...parameters}`.
        start: A model to go on from, of this or of another Encoder: a model, a saved model's or a run's folder, or
            `models:/<name>@<alias>`; None for fresh weights.
        seed: Of the split and the training.
    """
    table = as_table(data, label=label, seed=seed)
    made = learner if isinstance(learner, Learner) else LEARNERS.create(learner, place="learner")
    begun = None if start is None else open_start(start)
    if begun is not None:
        check_start(begun, {"learner": made})
    return made.fit(table.without("test") if "test" in table.splits else table, start=begun, seed=seed)


def select_features(
    data: Any,
    *,
    label: str | None = None,
    by: str | Selector | Mapping[str, Any] = "gated",
    size: float | str | Mapping[str, int] = 0.5,
    learner: str | Learner | Mapping[str, Any] = "net",
    rankings: Sequence[Ranking] = (),
    always_keep: Sequence[str] = (),
    groups: Sequence[Sequence[str]] = (),
    seed: int = 1,
) -> Outcome:
    """Choose fields and values, and retrain on the smaller table; test is not read.

    Of a table with several labels selectors look at the first.

    Args:
        data: A Table, or anything that `ingest` takes.
        label: The label column, if data is not a Table or the folder of one.
        by: A selector, its name, or `{"use": name, ...parameters}`.
        size: At most this share of the values is kept (0.2, "20%"); `{"fields": 12}` keeps so many fields; "auto" takes the
            smallest set whose validation loss is within one standard error of the best (see `ctrsel.api.auto_size`).
        learner: What searches and is retrained.
        rankings: What a selector by ranking follows; the one it names is made if it is not given.
        always_keep: Fields of which every value is kept.
        groups: Fields that are kept or dropped together.
        seed: Of the split, the search and the training.

    Returns:
        The selection with its `features`, and the retrained fit with its `model`.
    """
    much = Wanted.read(size, place="size")
    for place, names in (("always_keep", always_keep), *((f"groups[{i}]", g) for i, g in enumerate(groups))):
        if isinstance(names, str):
            raise ConfigError(f"{place}: expected several names of fields, got the text {names!r}")
    for ranking in rankings:
        if not isinstance(ranking, Ranking):
            raise ConfigError(f"rankings: expected what rank_fields returns, got {type(ranking).__name__}")
    table = as_table(data, label=label, seed=seed)
    known = table.without("test") if "test" in table.splits else table
    selector = by if isinstance(by, Selector) else SELECTORS.create(by, place="by")
    made = learner if isinstance(learner, Learner) else LEARNERS.create(learner, place="learner")
    wanted = getattr(selector, "ranking", None)
    found = {r.method: r for r in rankings}
    if isinstance(wanted, str) and wanted not in found:
        found[wanted] = rank_fields(known, by=wanted, seed=seed)
    problem = Problem(
        table=known,
        learner=made,
        rankings=found,
        always_keep=tuple(always_keep),
        groups=tuple(tuple(g) for g in groups),
    )
    if much.auto:
        selection = auto_select(problem, selector, seed=seed).selection
    else:
        selection = selector.select(problem, size=much.of(problem), seed=seed)
    return retrain(problem, selection, snapshot=selection.snapshot, seed=seed)


def explain_model(model: Model, table: Table, *, rows: int = 256, seed: int = 1) -> Explanation:
    """Attribute the logits of a label-stratified sample of validation rows to the fields, in log-odds.

    Args:
        model: A model whose Encoder is the table's.
        table: The table; for a selected model the narrowed one.
        rows: How many rows are explained.
        seed: Of the sample.
    """
    return explain(model, table, rows=rows, seed=seed)


def predict(model: Model | str | Path, data: Any) -> np.ndarray:
    """Return the probability of the positive label per row, float64 `[N]`.

    Args:
        model: A model, or the folder of a saved one.
        data: A raw polars or pandas frame, or a path or glob of files; missing columns and new values are allowed.
    """
    from ctrsel.data.sources import read_frame, read_source

    made = model if isinstance(model, Model) else load_model(model)
    frame = read_source(str(data)) if isinstance(data, str | Path) else read_frame(data)
    return made.probabilities(frame)[:, 0]


def load_model(path: str | Path) -> Model:
    """Load a saved model's folder, such as `runs/<name>/model`."""
    return Model.load(Path(path))


def load_table(path: str | Path) -> Table:
    """Load a saved table's folder, memory-mapped."""
    return Table.load(Path(path))
