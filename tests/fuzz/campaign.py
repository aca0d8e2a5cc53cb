"""One case of the campaign: a malformed file goes the public way in, and what comes out is judged by the oracle."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import oracle
import polars as pl
from malformed import Case

import configs
from ctrsel.api.plan import plan
from ctrsel.core.config import DataConfig, IngestConfig, load_config
from ctrsel.core.errors import CtrselError
from ctrsel.data.canonical import canonical_text
from ctrsel.data.ingest import ingest
from ctrsel.data.rejects import Rejects
from ctrsel.data.staging import stage_text


class WrongError(AssertionError):
    """What must never happen."""


@dataclass
class Stored:
    """What the way in made of a source."""

    rows: int
    rejected: int
    frames: list[pl.DataFrame]  # empty where only the numbers are known


def staged(case: Case, folder: Path) -> Stored:
    """The way in for one text file."""
    rejects = Rejects(tolerance=case.tolerance)
    [name] = case.files
    shards = stage_text(
        str(folder / name),
        kind=case.kind,
        part="train",
        encoding=case.encoding,
        rejects=rejects,
        scratch=folder / "scratch",
        memory=2**30 if case.seed % 2 else 2**20,
        rows=case.rows,
        max_cell=case.longest,
    )
    rejects.check(sum(s.rows for s in shards) + rejects.rows)
    _places(rejects.frame())
    return Stored(sum(s.rows for s in shards), rejects.rows, [s.read(list(s.schema)) for s in shards])


def ingested(case: Case, folder: Path) -> Stored:
    """The public way in, for all formats and several files."""
    config = DataConfig(train=f"{folder}/f-*", format=case.kind, encoding=case.encoding, rows=case.rows)
    settings = IngestConfig(tolerance=case.tolerance, max_cell=case.longest, memory_gb=1 if case.seed % 2 else 0.001)
    label = "label" if case.kind == "libsvm" else "c0"
    store = folder / "table"
    table = ingest(config, label=label, settings=settings, out=store)
    tally = json.loads((store / "ingest.json").read_text())["tally"]
    if tally["stored"] != table.n_rows:
        raise WrongError(f"{tally['stored']} rows told, {table.n_rows} stored")
    if (store / "rejects.csv").exists():
        rejects = pl.read_csv(store / "rejects.csv")
        _places(rejects)
    else:
        rejects = pl.DataFrame()
    if rejects.height != tally["rejected"]:
        raise WrongError(f"{tally['rejected']} rows rejected, {rejects.height} written")
    return Stored(tally["stored"], tally["rejected"], [])


def _places(rejects: pl.DataFrame) -> None:
    for reject in rejects.iter_rows(named=True):
        _sentence(str(reject["reason"]))
        if reject["row"] is None or reject["row"] < 1 or (reject["line"] is not None and reject["line"] < 1):
            raise WrongError(f"a reject without a place: {reject}")
    if rejects.height and rejects.select("file", "row").is_duplicated().any():
        raise WrongError(f"rows rejected twice: {rejects.rows()[:5]}")


def judge(case: Case, enter: Callable[[Case, Path], Stored]) -> str:
    """Run a case and return its outcome.

    Raises:
        WrongError: If an error is not one sentence, or a row is lost, changed or invented.
        Exception: Any other, which is wrong as well.
    """
    with tempfile.TemporaryDirectory(prefix="fuzz-") as name:
        folder = Path(name)
        for file, content in case.files.items():
            (folder / file).write_bytes(content)
        expected, fault = None, ""
        try:
            expected = expect(case)
        except oracle.FileFaultError as error:
            fault = str(error) or "unreadable"
        try:
            stored = enter(case, folder)
        except CtrselError as error:
            _sentence(str(error).replace(str(folder), ""))
            if enter is staged and expected is not None and _tolerable(expected, case):
                raise WrongError(f"refused, but nothing is wrong beyond the tolerance: {error}") from error
            return "file refused" if fault else "refused"
        if expected is None:
            if case.kind in ("parquet", "ipc"):  # polars may read what the oracle cannot
                return "stored, though doubtful"
            raise WrongError(f"accepted, but a file is faulty: {fault}; {stored.frames[:1]}")
        several = case.rows is not None and len(case.files) > 1  # the limit stands for the source as a whole
        if stored.rows + stored.rejected != expected.read and not several:
            raise WrongError(f"{expected.read} rows in, {stored.rows} stored + {stored.rejected} rejected")
        if enter is staged:
            if stored.rows != len(expected.good):
                raise WrongError(f"{len(expected.good)} good rows, {stored.rows} stored")
            if stored.rows != sum(f.height for f in stored.frames):
                raise WrongError("shards lie about their rows")
            compare(case, expected, stored)
        return "stored in part" if stored.rejected else "stored"


def expect(case: Case) -> oracle.Expected:
    """Read all files of a case, as far as the limit of rows goes in the first of them."""
    whole = oracle.Expected(0, [], [])
    for content in case.files.values():
        left = None if case.rows is None else case.rows - whole.read
        if left is not None and left <= 0:
            break
        found = _expect(case, content, left)
        whole = oracle.Expected(whole.read + found.read, whole.good + found.good, whole.names or found.names)
    return whole


def _expect(case: Case, content: bytes, rows: int | None) -> oracle.Expected:
    if case.kind in ("parquet", "ipc"):
        return oracle.binary(content, case.kind, rows=rows)
    data = oracle.as_utf8(oracle.plain(content), case.encoding)
    if case.kind in ("csv", "tsv"):
        return oracle.delimited(data, "," if case.kind == "csv" else "\t", longest=case.longest, rows=rows)
    reader = oracle.ndjson if case.kind == "ndjson" else oracle.libsvm
    return reader(data, longest=case.longest, rows=rows)


def _tolerable(expected: oracle.Expected, case: Case) -> bool:
    return expected.read - len(expected.good) <= case.tolerance * expected.read


def compare(case: Case, expected: oracle.Expected, stored: Stored) -> None:
    """Compare the rows stored with the oracle's, cell by cell."""
    if case.kind in ("csv", "tsv"):
        found = [row for f in stored.frames for row in f.rows()]
        if stored.frames[0].columns != expected.names or found != expected.good:
            raise WrongError(f"other rows: {found[:5]} for {expected.good[:5]}")
    elif case.kind == "ndjson":
        for name in expected.names:
            texts: list[Any] = []
            for f in stored.frames:
                if isinstance(f.schema[name], pl.List | pl.Struct):
                    texts += [None] * f.height
                else:
                    texts += canonical_text(f[name]).to_list()
            for text, row in zip(texts, expected.good, strict=True):
                value = row.get(name)
                if isinstance(value, str | int) and text is not None and not same(text, value):
                    raise WrongError(f"{name}: {text!r} for {value!r}")
                if (
                    isinstance(value, str | int)
                    and value != ""
                    and text is None
                    and not any(isinstance(f.schema[name], pl.List | pl.Struct) for f in stored.frames)
                ):
                    raise WrongError(f"{name}: nothing for {value!r}")
    else:
        labels = [t for f in stored.frames for t in f["label"].to_list()]
        if labels != [tokens[0] for tokens in expected.good]:
            raise WrongError("other labels")
        for k in range(1, len(expected.good[0]) if expected.good else 1):
            pairs = [tokens[k].split(":") for tokens in expected.good]
            numeric = any(float(number) != 1 for _, number in pairs)
            found = [t for f in stored.frames for t in f[f"f{k}"].to_list()]
            want = [number if numeric else index for index, number in pairs]
            if [float(t) for t in found] != [float(t) for t in want]:
                raise WrongError(f"f{k}: {found[:5]} for {want[:5]}")


def same(text: str, value: str | int) -> bool:
    """Whether a text stands for a value of JSON."""
    if isinstance(value, bool):
        return text == str(value).lower()
    return text == canonical_text(pl.Series([str(value)]))[0]


def _sentence(text: str, *, longest: int = 1000) -> None:
    if "\n" in text or "\r" in text or not text.strip() or len(text) > longest or "Traceback" in text:
        raise WrongError(f"not one sentence: {text!r}")


def judge_config(seed: int) -> str:
    """Read and plan a malformed config, and return the outcome.

    Raises:
        WrongError: If an error is not one sentence.
        Exception: Any other than the errors of the package, which is wrong.
    """
    with tempfile.TemporaryDirectory(prefix="fuzz-") as name:
        file = Path(name) / "run.yaml"
        file.write_bytes(configs.draw(seed))
        try:
            plan(load_config(file))
        except CtrselError as error:
            _sentence(str(error).replace(name, ""), longest=7000)
            return "config refused"
        return "config accepted"
