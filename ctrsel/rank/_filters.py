"""What the filters share: fields of more than one value, rows of a sample as codes, and the ranking made of scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ctrsel.core.catalog import describe
from ctrsel.core.errors import ConfigError
from ctrsel.core.seeds import derive, generator
from ctrsel.records.ranking import Ranking
from ctrsel.stats.sampling import stratified_sample

if TYPE_CHECKING:
    from ctrsel.rank._contract import CountRanker
    from ctrsel.rank.counts import TableCounts

__all__ = [
    "BLIND",
    "FrequentColumns",
    "Sample",
    "at_least",
    "between",
    "frequent_columns",
    "ranked",
    "sample",
    "untold",
    "varying",
]

BLIND = (
    "blind to the label: ranks fields by structure and redundancy, not by what they tell about the label, "
    "and can put noise first"
)
_CONSTANT = "one value in all training rows"
_CONSTANT_SAMPLE = "one value in all sampled rows"
_UNIQUE = "a value of its own in every training row, which tells nothing of any other row"
_ONE_CLASS = "the labels of the training rows are all equal"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sample:
    """Some training rows.

    Attributes:
        names: Fields with more than one value among these rows.
        codes: int32 `[M, F]`, dense per field: from 0 to its number of values in the sample - 1.
        labels: uint8 `[M]`.
        refused: Fields with one value, with the reason.
        note: How many rows were taken, and how; None if all were.
    """

    names: tuple[str, ...]
    codes: np.ndarray
    labels: np.ndarray
    refused: dict[str, str]
    note: str | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FrequentColumns:
    """Columns of values, with mean 0 and variance 1; `field` and `column` say which values are whose.

    Attributes:
        columns: float64 `[M, D]`, no two of them the same.
        field: Field of each value `[K]`.
        column: Column of each value `[K]`.
        refused: Fields without a column, with the reason.
    """

    columns: np.ndarray
    field: np.ndarray
    column: np.ndarray
    refused: dict[str, str]


def at_least(ranker: str, name: str, value: float, least: float) -> None:
    """Refuse a parameter below its least value."""
    if not value >= least:
        raise ConfigError(f"{ranker}.{name}: must be at least {least}, got {value}")


def between(ranker: str, name: str, value: float, low: float, high: float) -> None:
    """Refuse a parameter outside an interval, its ends included."""
    if not low <= value <= high:
        raise ConfigError(f"{ranker}.{name}: must be between {low} and {high}, got {value}")


def varying(counts: TableCounts) -> tuple[list[str], dict[str, str]]:
    """Return the fields with at least two values in the training rows, and the others with the reason."""
    names, refused = [], dict(counts.refused)
    for name, field in counts.fields.items():
        if np.count_nonzero(field.train.totals) < 2:
            refused[name] = _CONSTANT
        else:
            names.append(name)
    return names, refused


def untold(counts: TableCounts, names: Sequence[str]) -> dict[str, str]:
    """Return the fields that can tell nothing about the label in any order of the rows, with the reason.

    These are all fields if the training rows have one class, and fields with a value of its own in every row. Without a
    reason they would score what nothing scores, and stand before noise that had bad luck.
    """
    refused = {}
    for name in names:
        train = counts.fields[name].train
        if int(train.positives.sum()) in (0, train.rows):
            refused[name] = _ONE_CLASS
        elif train.totals.max() == 1:
            refused[name] = _UNIQUE
    return refused


def sample(ranker: str, counts: TableCounts, names: Sequence[str], rows: int, *, by_label: bool = False) -> Sample:
    """Draw training rows without replacement and read the fields there.

    Args:
        ranker: Name for the stream of random numbers and for messages.
        counts: With the training rows.
        names: Fields to read.
        rows: At most so many.
        by_label: Whether each class keeps its share exactly; otherwise labels are not looked at.
    """
    given = counts.need_rows(ranker)
    if rows >= given.n_rows:
        chosen: np.ndarray | slice = slice(None)
    elif by_label:
        chosen = stratified_sample(given.labels, rows, seed=derive(counts.seed, "rank", ranker))
    else:
        chosen = np.sort(generator(counts.seed, "rank", ranker).choice(given.n_rows, size=rows, replace=False))
    kept, columns, refused = [], [], {}
    for name in names:
        values, codes = np.unique(given.column(name)[chosen], return_inverse=True)
        if len(values) < 2:
            refused[name] = _CONSTANT_SAMPLE
        else:
            kept.append(name)
            columns.append(codes.astype(np.int32))
    labels = given.labels[chosen]
    how = "each class in proportion" if by_label else "drawn without a look at the label"
    note = None if isinstance(chosen, slice) else f"on a sample of {len(labels)} of {given.n_rows} training rows, {how}"
    codes = np.stack(columns, axis=1) if columns else np.zeros((len(labels), 0), dtype=np.int32)
    return Sample(names=tuple(kept), codes=np.ascontiguousarray(codes), labels=labels, refused=refused, note=note)


def frequent_columns(drawn: Sample, *, values: int, least: int) -> FrequentColumns:
    """Return columns for the frequent values of each field.

    A field has at most `values` columns, of its most frequent values; where these are all, the rarest has none, as it
    follows from the others. A value of a few rows has none, and neither has one that all but a few rows have: scaled to
    one variance they would be outliers. Values of several fields that fall on the same rows, or on all others, share a
    column, as a copy would make every method of least squares degenerate.

    Args:
        drawn: Rows and fields.
        values: At most so many columns a field.
        least: Rows that a column must tell from the others.
    """
    columns: list[np.ndarray] = []
    field, column_of, refused = [], [], {}
    known: dict[bytes, int] = {}
    for f, column in enumerate(drawn.codes.T):
        counts = np.bincount(column)
        frequent = np.argsort(-counts, kind="stable")[: min(values, len(counts) - 1)]
        frequent = frequent[np.minimum(counts, len(column) - counts)[frequent] >= least]
        if not len(frequent):
            refused[drawn.names[f]] = f"no value tells at least {least} of the {len(column)} rows read from the others"
        for value in frequent:
            hot = column == value
            key = np.packbits(hot ^ hot[0]).tobytes()
            if key not in known:
                known[key] = len(columns)
                numbers = hot.astype(np.float64)
                columns.append((numbers - numbers.mean()) / numbers.std())
            field.append(f)
            column_of.append(known[key])
    return FrequentColumns(
        columns=np.stack(columns, axis=1) if columns else np.zeros((len(drawn.codes), 0)),
        field=np.array(field, dtype=np.int64),
        column=np.array(column_of, dtype=np.int64),
        refused=refused,
    )


def ranked(
    ranker: CountRanker,
    counts: TableCounts,
    scores: Mapping[str, float],
    *,
    unit: str,
    null: str | None,
    refused: Mapping[str, str],
    columns: Mapping[str, Mapping[str, Any]] | None = None,
    notes: Sequence[str | None] = (),
    order: Sequence[str] | None = None,
) -> Ranking:
    """Put scored fields in order, ties by name.

    Args:
        ranker: Whose ranking it is.
        counts: What was ranked.
        scores: By field.
        unit: Of the score.
        null: What the score is compared with.
        refused: Fields without a score, with the reason.
        columns: Further columns, each by field.
        notes: Added to those of the counts; None is left out.
        order: Fields, best first, where it is not that of the score.
    """
    import polars as pl

    names = list(order) if order is not None else sorted(scores, key=lambda name: (-scores[name], name))
    frame = pl.DataFrame(
        {
            "field": pl.Series(names, dtype=pl.String),
            "score": pl.Series([float(scores[n]) for n in names], dtype=pl.Float64),
            "rank": pl.Series(range(1, len(names) + 1), dtype=pl.Int64),
            **{key: [by_field[n] for n in names] for key, by_field in (columns or {}).items()},
        }
    )
    params = describe(ranker)
    return Ranking(
        method=str(params["use"]),
        params=params,
        unit=unit,
        null=null,
        frame=frame,
        refused=refused,
        notes=(*counts.notes, *(n for n in notes if n is not None)),
        table=counts.table,
    )
