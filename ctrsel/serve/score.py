"""Batch scoring: files in, one file of probabilities out, chunk by chunk, with counts of what the model did not know."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import polars as pl

from ctrsel.core.errors import ConfigError, DataError
from ctrsel.core.log import event, progress
from ctrsel.data.sources import guess_format, read_source, source_paths
from ctrsel.models.model import Model
from ctrsel.records.feature_set import MISSING, OTHER
from ctrsel.serve.serving_model import ServingModel

__all__ = ["ScoreSummary", "score_file"]

_SCANS: Mapping[str, Callable[..., pl.LazyFrame]] = {"parquet": pl.scan_parquet, "ipc": pl.scan_ipc}


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
    chunk_rows: int = 200_000,
) -> ScoreSummary:
    """Score a file, or a glob of files in the order of their names.

    Parquet and Arrow files are read chunk by chunk; of a text file, which is checked line by line, the whole is held.

    Args:
        model: A model, or the folder of a saved one.
        source: A path or a glob.
        out: Where the scores go, `.parquet` or `.csv`; it appears whole or not at all.
        keep: Columns of the source that are copied beside the scores, such as an id.
        details: Also write `logit`, `other` and `missing` (see `Scored.frame`).
        format: Of the source: auto, or a format's name.
        chunk_rows: Rows scored at once.

    Raises:
        ConfigError: If the ending of `out` is another one, or a kept column would collide with a score.
        DataError: If a file cannot be read, lacks a kept column, or holds a value that cannot be scored.
    """
    started = time.perf_counter()
    made = _serving(model)
    target = Path(out)
    if target.suffix not in (".parquet", ".csv"):
        raise ConfigError(f"{target}: the scores are written as .parquet or .csv, got the ending {target.suffix!r}")
    if chunk_rows < 1:
        raise ConfigError(f"chunk_rows: must be at least 1, got {chunk_rows}")
    paths = source_paths(str(source))
    rows, total = 0, 0.0
    other: Counter[str] = Counter()
    missing: Counter[str] = Counter()
    absent: set[str] = set()
    size = sum(p.stat().st_size for p in paths) // 1024
    with _writer(target) as write, progress("score", size, unit="kB") as bar:
        for path in paths:
            before = rows
            for chunk, share in _chunks(path, made, keep=keep, format=format, chunk_rows=chunk_rows):
                try:
                    scored = made.score(chunk)
                except DataError as error:
                    # The error counts from the first row of the chunk.
                    start = f", counted from row {rows - before + 1:,}" if rows > before else ""
                    raise DataError(f"{path}{start}: {error}") from error
                scores = scored.frame(details=details)
                _check_kept(keep, chunk, scores, path)
                write(pl.concat([chunk.select(keep), scores], how="horizontal") if keep else scores)
                rows += chunk.height
                total += float(scored.probabilities[:, 0].sum())
                other.update(scored.other_by_field)
                missing.update(scored.missing_by_field)
                absent.update(scored.absent)
                bar.advance(round(path.stat().st_size / 1024 * share), rows=rows)
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


def _chunks(
    path: Path, model: ServingModel, *, keep: Sequence[str], format: str, chunk_rows: int
) -> Iterator[tuple[pl.DataFrame, float]]:
    """Yield pieces of a file with the share of the file's rows that each is; other columns are not even read."""
    kind = guess_format(str(path)) if format == "auto" else format
    if kind in _SCANS:
        try:
            lazy = _SCANS[kind](path, glob=False)
            wanted = [c for c in lazy.collect_schema().names() if c in model.inputs or c in keep]
            height = int(lazy.select(pl.len()).collect().item())
            lazy = lazy.select(wanted) if wanted else lazy
            for start in range(0, height, chunk_rows):
                piece = lazy.slice(start, chunk_rows).collect()
                yield piece, piece.height / height
        except (pl.exceptions.PolarsError, OSError) as error:
            reason = str(error).strip().split("\n")[0][:300]
            raise DataError(f"{path}: cannot be read as {kind}: {reason}") from error
        return
    whole = read_source(str(path), format=kind)
    for piece in whole.iter_slices(chunk_rows):
        yield piece, piece.height / whole.height


def _check_kept(keep: Sequence[str], chunk: pl.DataFrame, scores: pl.DataFrame, path: Path) -> None:
    for name in keep:
        if name not in chunk.columns:
            raise DataError(f"{path}: the column {name!r} is to be kept, but the file has no such column")
        if name in scores.columns:
            raise ConfigError(f"keep: {name!r} is the name of a score; rename the column in the source")


@contextlib.contextmanager
def _writer(target: Path) -> Iterator[Callable[[pl.DataFrame], None]]:
    """Yield a function that appends frames to a file beside the target, which takes its place at the end."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.parent / f".{target.name}.partial-{uuid.uuid4().hex[:8]}"
    try:
        if target.suffix == ".csv":
            with partial.open("wb") as file:

                def append(frame: pl.DataFrame) -> None:
                    frame.write_csv(file, include_header=file.tell() == 0)

                yield append
        else:
            with contextlib.ExitStack() as stack:
                yield _parquet(partial, stack)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def _parquet(path: Path, stack: contextlib.ExitStack) -> Callable[[pl.DataFrame], None]:
    import pyarrow.parquet as pq

    writers: list[Any] = []

    def append(frame: pl.DataFrame) -> None:
        rows = frame.to_arrow()
        if not writers:
            writers.append(stack.enter_context(pq.ParquetWriter(path, rows.schema)))
        if rows.schema != writers[0].schema:
            raise DataError(f"a kept column changes its type within the source: {writers[0].schema} and {rows.schema}")
        writers[0].write_table(rows)

    return append


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
