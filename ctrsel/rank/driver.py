"""Run rankers over a table: every column is read once, whatever the number of count rankers."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from ctrsel.core.catalog import describe
from ctrsel.core.errors import ConfigError, DataError
from ctrsel.core.log import event
from ctrsel.data.buckets import bucket_ids, quantile_edges
from ctrsel.data.table import Ragged
from ctrsel.data.value_names import value_names
from ctrsel.rank._contract import CountRanker, ModelRanker, Ranker
from ctrsel.rank.counts import FieldCounts, TableCounts
from ctrsel.rank.rows import CodedRows
from ctrsel.records.feature_set import MISSING, RESERVED
from ctrsel.stats.counts import label_counts, weighted_label_counts

if TYPE_CHECKING:
    from ctrsel.data.table import Table
    from ctrsel.models.model import Model
    from ctrsel.records.ranking import Ranking
    from ctrsel.records.schema import Field

__all__ = ["FLOAT_BUCKETS", "count", "rank"]

FLOAT_BUCKETS = 32  # quantile buckets of a field that stays a float, as many as the ingest makes of other numbers

_LIST_REASON = "a row holds a list of values, which is no partition of the rows to count; use a model ranker"


def rank(
    table: Table,
    rankers: Sequence[Ranker],
    *,
    seed: int,
    model: Model | None = None,
    threads: int | None = None,
    counts: Callable[[], TableCounts] | None = None,
) -> tuple[Ranking, ...]:
    """Rank the fields, pairs or values of a table by several methods.

    Args:
        table: With the splits "train" and, for held-out numbers and model rankers, "valid"; other rows are not read.
        rankers: Count rankers share one pass over the columns.
        seed: Of everything that model rankers draw.
        model: A model already fitted on the table's training rows, for model rankers.
        threads: Columns counted at once; None for all processors.
        counts: Gives the counts of this table, called only if a count ranker is among the rankers; None to count here.

    Returns:
        One ranking per ranker, in their order.

    Raises:
        ConfigError: If an object is no ranker.
        DataError: If the table has no training rows or no labels, or its rows have weights that a ranker has no use for.

    Examples:
        >>> from ctrsel.rank.mutual_information import MutualInformation
        >>> from ctrsel.testing.tables import tiny_table
        >>> (ranking,) = rank(tiny_table(rows=2000), [MutualInformation()], seed=1)
        >>> sorted(ranking.order[:2])
        ['ad', 'site']
    """
    for ranker in rankers:
        if not isinstance(ranker, CountRanker | ModelRanker):
            raise ConfigError(f"rank: a ranker is a CountRanker or a ModelRanker, got {type(ranker).__name__}")
        if table.weight is not None and not ranker.weighted:
            raise DataError(
                f"{describe(ranker)['use']}: has no null for weighted rows, and schema.weight is "
                f"{table.schema.weight!r}; leave it out, or use a ranker that takes weights"
            )
    if "test" in table.splits:
        table = table.without("test")
    counted = None
    if any(isinstance(r, CountRanker) for r in rankers):
        counted = replace(count(table, threads=threads) if counts is None else counts(), seed=seed, threads=threads)
    rankings = []
    for ranker in rankers:
        began = time.perf_counter()
        if isinstance(ranker, ModelRanker):
            ranking = ranker.score(table, seed=seed, model=model)
        else:
            assert isinstance(ranker, CountRanker)
            assert counted is not None
            ranking = ranker.score(counted)
        event("rank", method=ranking.method, items=ranking.frame.height, seconds=time.perf_counter() - began)
        rankings.append(ranking)
    return tuple(rankings)


def count(table: Table, *, label: int = 0, threads: int | None = None) -> TableCounts:
    """Count rows and positive rows per code of every field, one thread a column.

    A field that stays a float is counted in quantile buckets of its training rows, made on the fly. A list field is
    refused.

    Args:
        table: Its splits "train" and, where there is one, "valid" are read.
        label: Which label.
        threads: Columns counted at once; None for all processors.

    Raises:
        DataError: If the table has no split "train", or no labels of 0 and 1.
    """
    began = time.perf_counter()
    spans = [table.span("train")] + ([table.span("valid")] if "valid" in table.splits else [])
    given = table.label(label)
    labels = given.astype(np.uint8)
    if not np.array_equal(labels, given):
        raise DataError(f"rank: labels must be 0 or 1, got {given[int(np.argmax(labels != given))]!r}")
    parts = [labels[span] for span in spans]

    weights = None if table.weight is None else [table.weight[span] for span in spans]

    def one(field: Field) -> tuple[FieldCounts, list[np.ndarray], int] | None:
        column = table.columns[field.name]
        if isinstance(column, Ragged):
            return None
        codes, size = [column[span] for span in spans], table.encoder.size(field.name)
        if field.is_float:
            codes, size = _bucketed(codes)
        found = [label_counts(c, y, size=size) for c, y in zip(codes, parts, strict=True)]
        weighted = [
            weighted_label_counts(c, y, size=size, weight=w)
            for c, y, w in zip(codes, parts, weights or [], strict=False)
        ]
        held_out = len(found) > 1 and len(parts[1]) > 0
        made = FieldCounts(
            train=found[0],
            valid=found[1] if held_out else None,
            weighted_train=weighted[0] if weighted else None,
            weighted_valid=weighted[1] if weighted and held_out else None,
        )
        return made, codes, size

    workers = threads if threads is not None else (os.cpu_count() or 1)
    if workers < 1:
        raise ConfigError(f"rank: threads must be at least 1, got {workers}")
    with ThreadPoolExecutor(workers) as pool:
        counted = dict(zip(table.schema.names, pool.map(one, table.schema.fields), strict=True))
    event("count", rows=sum(len(y) for y in parts), fields=len(counted), seconds=time.perf_counter() - began)
    found = {name: c for name, c in counted.items() if c is not None}
    rows = [
        CodedRows(
            columns={name: codes[i] for name, (_, codes, _) in found.items()},
            sizes={name: size for name, (_, _, size) in found.items()},
            labels=labels_of,
            row=table.row[span],
            weight=None if table.weight is None else table.weight[span],
            time=None if table.time is None else table.time[span],
            group=None if table.group is None else table.group[span],
        )
        for i, (span, labels_of) in enumerate(zip(spans, parts, strict=True))
    ]
    return TableCounts(
        fields={name: c for name, (c, _, _) in found.items()},
        refused={name: _LIST_REASON for name, c in counted.items() if c is None},
        notes=_notes(table, label=label),
        table=table.digest,
        rows=rows[0],
        valid_rows=rows[1] if len(rows) > 1 and len(parts[1]) else None,
        value_names=partial(_value_names, table),
    )


def _value_names(table: Table, field: str, codes: np.ndarray) -> list[str]:
    """Return the texts of some codes of a field, as the Encoder knows them."""
    if table.schema.field(field).is_float:
        return [f"(bucket {int(c) - RESERVED})" if c >= RESERVED else "(missing)" for c in codes]
    return value_names(table.encoder.vocabulary(field), codes)


def _bucketed(floats: list[np.ndarray]) -> tuple[list[np.ndarray], int]:
    """Return codes of quantile buckets per split, edges from the first (training) one, and how many codes there are."""
    train = np.asarray(floats[0], dtype=np.float64)
    edges = quantile_edges(train[~np.isnan(train)], bins=FLOAT_BUCKETS)
    codes = []
    for part in floats:
        ids = bucket_ids(np.asarray(part, dtype=np.float64), edges=edges)
        codes.append(np.where(ids < 0, MISSING, ids + RESERVED).astype(np.uint8))
    return codes, RESERVED + len(edges) + 1


def _notes(table: Table, *, label: int) -> tuple[str, ...]:
    notes = []
    if table.labels is not None and table.labels.shape[1] > 1:
        notes.append(f"about the label {table.schema.labels[label].name!r} only")
    if table.float_fields:
        notes.append(
            f"counted in {FLOAT_BUCKETS} quantile buckets of the training rows: {', '.join(table.float_fields)}"
        )
    return tuple(notes)
