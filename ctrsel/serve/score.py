"""Batch scoring: files in, one file of probabilities out, chunk by chunk, with counts of what the model did not know."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import polars as pl

from ctrsel.core.errors import ConfigError, DataError
from ctrsel.core.log import event, progress
from ctrsel.data.paths import source_paths
from ctrsel.models.model import Model
from ctrsel.records.feature_set import MISSING, OTHER
from ctrsel.serve.row_chunks import row_chunks, taken_whole
from ctrsel.serve.scores_out import check_out, scores_writer
from ctrsel.serve.serving_model import ServingModel

__all__ = ["ScoreSummary", "score_file"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreSummary:
    """What a batch scoring did.

    Attributes:
        out: The file of scores.
        rows: How many rows were scored.
        seconds: Reading, scoring and writing.
        mean_probability: Over all rows.
        other: Share of rows with a value that has no code of its own, by field.
        missing: Share of rows without a value, by field.
        other_trained: The same share in the training split, over all fields of one vocabulary; absent for floats.
        missing_trained: Likewise for missing values.
        absent: Inputs that had no column in at least one file.
    """

    out: Path
    rows: int
    seconds: float
    mean_probability: float
    other: Mapping[str, float]
    missing: Mapping[str, float]
    other_trained: Mapping[str, float]
    missing_trained: Mapping[str, float]
    absent: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {**asdict(self), "out": str(self.out)}


def score_file(
    model: Model | ServingModel | str | Path,
    source: str | Path,
    out: str | Path,
    *,
    keep: Sequence[str] = (),
    details: bool = False,
    format: str = "auto",
    chunk_rows: int = 50_000,
) -> ScoreSummary:
    """Score a file, or a glob of files in the order of their names.

    Memory does not grow with the rows: every format is read piece by piece, plain or compressed, and scores are written as
    they come.

    Args:
        model: A model, or the folder of a saved one.
        source: A path, a glob or a URI.
        out: Where the scores go: `.parquet`, `.arrow`, or `.csv`, `.tsv`, `.ndjson`, these also with `.gz` or `.zst`; it
            appears whole or not at all.
        keep: Columns of the source that are copied beside the scores, such as an id; those of text files are texts.
        details: Also write `logit`, `other` and `missing` (see `Scored.frame`).
        format: Of the source: auto, or a format's name.
        chunk_rows: Rows scored at once.

    Raises:
        ConfigError: If the ending of `out` is another one, the format is not known, or a kept column would collide with a score.
        DataError: If a file cannot be read, lacks a kept column, or holds a value that cannot be scored.
    """
    started = time.perf_counter()
    made = _serving(model)
    target = Path(out)
    check_out(target)
    if chunk_rows < 1:
        raise ConfigError(f"chunk_rows: must be at least 1, got {chunk_rows}")
    paths = [str(source)] if taken_whole(str(source), format) else list(map(str, source_paths(str(source))))
    rows, total = 0, 0.0
    other: Counter[str] = Counter()
    missing: Counter[str] = Counter()
    absent: set[str] = set()
    sizes = {p: Path(p).stat().st_size // 1024 if Path(p).is_file() else 1 for p in paths}
    with scores_writer(target) as write, progress("score", sum(sizes.values()), unit="kB") as bar:
        for path in paths:
            before = rows
            met: set[str] = set()
            for chunk, kept in row_chunks(path, columns=made.inputs, keep=keep, format=format, rows=chunk_rows):
                try:
                    scored = made.score(chunk)
                except DataError as error:
                    # The error counts from the first row of the chunk.
                    start = f", counted from row {rows - before + 1:,}" if rows > before else ""
                    raise DataError(f"{path}{start}: {error}") from error
                scores = scored.frame(details=details)
                if twice := set(keep) & set(scores.columns):
                    raise ConfigError(f"keep: {min(twice)!r} is the name of a score; rename the column in the source")
                write(pl.concat([kept, scores], how="horizontal") if keep else scores)
                rows += chunk.height
                total += float(scored.probabilities[:, 0].sum())
                other.update(scored.other_by_field)
                missing.update(scored.missing_by_field)
                met.update(chunk.columns)
                bar.advance(0, rows=rows)
            absent.update(n for n in made.inputs if n not in met)
            bar.advance(sizes[path], rows=rows)
    other_trained, missing_trained = _trained(made)
    summary = ScoreSummary(
        out=target,
        rows=rows,
        seconds=time.perf_counter() - started,
        mean_probability=total / max(rows, 1),
        other={n: other[n] / max(rows, 1) for n in made.model.encoder.schema.names},
        missing={n: missing[n] / max(rows, 1) for n in made.model.encoder.schema.names},
        other_trained=other_trained,
        missing_trained=missing_trained,
        absent=tuple(n for n in made.inputs if n in absent),
    )
    event("score", rows=rows, seconds=summary.seconds, absent=len(summary.absent), out=target)
    return summary


def _serving(model: Model | ServingModel | str | Path) -> ServingModel:
    if isinstance(model, ServingModel):
        return model
    return ServingModel(model=model) if isinstance(model, Model) else ServingModel.load(model)


def _trained(model: ServingModel) -> tuple[dict[str, float], dict[str, float]]:
    encoder = model.model.encoder
    other, missing = {}, {}
    for field in encoder.fields:
        if field.is_float:
            continue
        counts = encoder.vocabulary(field.name).counts
        total = max(int(counts.sum()), 1)
        other[field.name] = int(counts[OTHER]) / total
        missing[field.name] = int(counts[MISSING]) / total
    return other, missing
