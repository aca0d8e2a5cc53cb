"""Table: encoded rows as named arrays, in memory or memory-mapped, with splits as row ranges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ctrsel.core.artifact import atomic_folder, digest_arrays, digest_json, read_array, read_manifest
from ctrsel.core.errors import DataError
from ctrsel.core.memory import available_memory
from ctrsel.data.crosses import MIN_COUNT, crossed
from ctrsel.data.encoder import Encoder
from ctrsel.data.scratch import mapped_arrays
from ctrsel.data.tally import Tally
from ctrsel.data.vocabulary import smallest_uint
from ctrsel.records.feature_set import FeatureSet
from ctrsel.records.schema import Schema

__all__ = ["Ragged", "Table"]

_OTHERS = ("labels", "weight", "group", "time", "row")
_TILE = 4096  # rows of a matrix that are filled at once
_PIECE = 1 << 20  # codes of a column that are remapped at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Ragged:
    """A list column: the codes of row i are `codes[offsets[i]:offsets[i + 1]]`.

    Attributes:
        offsets: int64 `[N + 1]`.
        codes: Unsigned `[M]`.
    """

    offsets: np.ndarray
    codes: np.ndarray

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def take(self, rows: np.ndarray) -> Ragged:
        """Return these rows, in this order."""
        lengths, starts = np.diff(self.offsets)[rows], self.offsets[:-1][rows]
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        places = np.arange(offsets[-1]) - np.repeat(offsets[:-1] - starts, lengths)
        return Ragged(offsets=offsets, codes=self.codes[places])

    def between(self, rows: slice) -> Ragged:
        """Return consecutive rows; the codes are a view."""
        start, stop, _ = rows.indices(len(self))
        offsets = self.offsets[start : max(stop, start) + 1]
        return Ragged(offsets=np.asarray(offsets - offsets[0]), codes=self.codes[offsets[0] : offsets[-1]])


@dataclass(frozen=True, kw_only=True)
class Table:
    """Encoded rows.

    Attributes:
        encoder: The Encoder whose codes these are.
        columns: Per field of the Encoder codes `[N]` (smallest unsigned integer), floats `[N]` (float32, NaN where
            missing) or a `Ragged` list.
        labels: float32 `[N, T]` of 0 and 1; None when scoring.
        weight: float64 `[N]` or None (all 1).
        group: int64 `[N]` or None; equal numbers are the same group.
        time: int64 `[N]` or None; larger is later.
        row: int64 `[N]`, the row's number in the source, over all its files.
        splits: Name to (start, stop) of its rows.
        source: Where the rows came from, for people.
        tally: What became of all rows that were read, where an ingest made the table.
    """

    encoder: Encoder
    columns: Mapping[str, np.ndarray | Ragged]
    labels: np.ndarray | None
    row: np.ndarray
    weight: np.ndarray | None = None
    group: np.ndarray | None = None
    time: np.ndarray | None = None
    splits: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    source: str = ""
    tally: Tally | None = None

    def __post_init__(self) -> None:
        n = len(self.row)
        if list(self.columns) != [f.name for f in self.encoder.fields]:
            raise DataError(f"table: its columns must be the encoder's fields in order, got {list(self.columns)}")
        for name, column in self.columns.items():
            if len(column) != n:
                raise DataError(f"table: column {name!r} has {len(column)} rows, expected {n}")
        for name, part in (
            ("labels", self.labels),
            ("weight", self.weight),
            ("group", self.group),
            ("time", self.time),
        ):
            if part is not None and len(part) != n:
                raise DataError(f"table: {name} has {len(part)} rows, expected {n}")

    @property
    def n_rows(self) -> int:
        """N."""
        return len(self.row)

    @property
    def schema(self) -> Schema:
        """The Encoder's schema."""
        return self.encoder.schema

    @property
    def code_fields(self) -> tuple[str, ...]:
        """Fields with one code a row."""
        return self.encoder.code_fields

    @property
    def float_fields(self) -> tuple[str, ...]:
        """Fields that stay floats."""
        return self.encoder.float_fields

    @property
    def list_fields(self) -> tuple[str, ...]:
        """Fields with a list of codes a row."""
        return self.encoder.list_fields

    @cached_property
    def digest(self) -> str:
        """Digest of the Encoder, all arrays and the splits."""
        arrays: dict[str, np.ndarray] = {"row": self.row}
        for name, column in self.columns.items():
            if isinstance(column, Ragged):
                arrays |= {f"column/{name}/offsets": column.offsets, f"column/{name}/codes": column.codes}
            else:
                arrays[f"column/{name}"] = column
        arrays |= {k: v for k in ("labels", "weight", "group", "time") if (v := getattr(self, k)) is not None}
        return digest_json([self.encoder.digest, digest_arrays(arrays), {k: list(v) for k, v in self.splits.items()}])

    def span(self, split: str) -> slice:
        """Return a split's rows.

        Raises:
            DataError: If the table has no such split; a learner that asks for "test" meets this.
        """
        if split not in self.splits:
            raise DataError(f"this table has no split {split!r}; it has: {', '.join(self.splits) or 'none'}")
        return slice(*self.splits[split])

    def label(self, index: int = 0) -> np.ndarray:
        """Return one label, float32 `[N]`."""
        if self.labels is None:
            raise DataError("this table has no labels")
        return np.asarray(self.labels[:, index])

    def part(self, split: str) -> Table:
        """Return one split as a table of its own; the arrays are views."""
        s = self.span(split)
        return self._rows(s, splits={split: (0, s.stop - s.start)})

    def without(self, split: str) -> Table:
        """Return the table without one split's rows, which must stand last."""
        s = self.span(split)
        if s.stop != self.n_rows:
            raise DataError(f"only the last split can be left out, {split!r} is not")
        return self._rows(slice(0, s.start), splits={k: v for k, v in self.splits.items() if k != split})

    def take(self, rows: np.ndarray) -> Table:
        """Return these rows, in this order, without splits."""
        return self._rows(np.asarray(rows), splits={})

    def _rows(self, rows: slice | np.ndarray, *, splits: Mapping[str, tuple[int, int]]) -> Table:
        columns: dict[str, np.ndarray | Ragged] = {}
        for name, column in self.columns.items():
            if isinstance(column, Ragged):
                columns[name] = column.between(rows) if isinstance(rows, slice) else column.take(rows)
            else:
                columns[name] = column[rows]
        picked: dict[str, Any] = {k: None if (v := getattr(self, k)) is None else v[rows] for k in _OTHERS}
        return replace(self, columns=columns, splits=splits, **picked)

    def narrow(self, features: FeatureSet, *, scratch: Path | None = None) -> Table:
        """Return the table of the narrowed Encoder: one gather per column.

        Columns of a memory-mapped table that would fill more than a quarter of the memory that is left are written to
        a nameless file in `scratch` (None for the folder for temporary files) and mapped; it is gone with the table.
        """
        encoder, remaps = self.encoder.narrow(features), self.encoder.remaps(features)
        coded = [f for f in encoder.fields if not f.is_float]
        sizes = {f.name: smallest_uint(encoder.vocabularies[f.vocabulary].size) for f in coded}
        old = {f.name: c.codes if isinstance(c := self.columns[f.name], Ragged) else c for f in coded}
        out: dict[str, np.ndarray]
        needed = sum(len(codes) * sizes[name].itemsize for name, codes in old.items())
        if any(isinstance(codes, np.memmap) for codes in old.values()) and 4 * needed > available_memory():
            made = mapped_arrays([(len(codes), sizes[name]) for name, codes in old.items()], folder=scratch)
            out = dict(zip(old, made, strict=True))
        else:
            out = {name: np.empty(len(codes), dtype=sizes[name]) for name, codes in old.items()}
        columns: dict[str, np.ndarray | Ragged] = {}
        for f in encoder.fields:
            column = self.columns[f.name]
            if f.is_float:
                columns[f.name] = column
                continue
            remap = remaps[f.vocabulary].astype(sizes[f.name])
            codes = old[f.name]
            for start in range(0, len(codes), _PIECE):
                out[f.name][start : start + _PIECE] = remap[codes[start : start + _PIECE]]
            columns[f.name] = (
                Ragged(offsets=column.offsets, codes=out[f.name]) if isinstance(column, Ragged) else out[f.name]
            )
        return replace(self, encoder=encoder, columns=columns)

    def crossed(
        self, crosses: Sequence[Sequence[str]], *, min_count: int = MIN_COUNT, scratch: Path | None = None
    ) -> Table:
        """Return the table with crosses as further fields: the values of two or three fields together.

        Training rows alone decide which combinations have codes. The Encoder of the new table makes the same codes of
        raw rows, and keeps reading the parts' columns where the parts themselves are dropped.

        Args:
            crosses: The names of each one's parts: categorical or bucketed fields.
            min_count: Combinations in fewer training rows are `other`.
            scratch: As in `narrow`.

        Raises:
            ConfigError: If a field is not known or cannot be crossed, or a name is taken.
            DataError: If no combination is frequent enough.

        Examples:
            >>> from ctrsel.testing.tables import tiny_table
            >>> table = tiny_table().crossed([("site", "hour")])
            >>> table.schema.names[-1], table.encoder.vocabulary("site*hour").texts(table.columns["site*hour"][:2])
            ('site*hour', ['site1 × under 4', 'site1 × 4 to 8'])
        """
        return crossed(self, crosses, min_count=min_count, scratch=scratch)

    def matrix(self, rows: str | slice | None = None) -> np.ndarray:
        """Return the code fields row by row as rows of the one embedding table.

        Args:
            rows: A split, or a slice of the rows; None for all.

        Shape:
            int32 `[n, C]`, C = len(code_fields); codes have their vocabulary's offset added.
        """
        span = self.span(rows) if isinstance(rows, str) else rows or slice(None)
        start, stop, _ = span.indices(self.n_rows)
        names = self.code_fields
        columns = [np.asarray(self.columns[name]) for name in names]
        out = np.empty((max(stop - start, 0), len(names)), dtype=np.int32)
        offsets = self.encoder.code_offsets
        # A tile of rows stays in the processor's cache until every column has been put into it.
        for first in range(start, stop, _TILE):
            last = min(first + _TILE, stop)
            tile = out[first - start : last - start]
            for j, column in enumerate(columns):
                np.add(column[first:last], offsets[j], out=tile[:, j], casting="unsafe")
        return out

    def save(self, path: Path) -> None:
        """Save as a folder: the Encoder and one `.npy` per array."""
        manifest: dict[str, Any] = {}
        with atomic_folder(Path(path), manifest=manifest) as folder:
            for i, column in enumerate(self.columns.values()):
                if isinstance(column, Ragged):
                    np.save(folder / f"column_{i}.offsets.npy", column.offsets, allow_pickle=False)
                    np.save(folder / f"column_{i}.codes.npy", column.codes, allow_pickle=False)
                else:
                    np.save(folder / f"column_{i}.npy", column, allow_pickle=False)
            for name in _OTHERS:
                if getattr(self, name) is not None:
                    np.save(folder / f"{name}.npy", getattr(self, name), allow_pickle=False)
            manifest |= self.write_manifest(folder)

    def write_manifest(self, folder: Path) -> dict[str, Any]:
        """Write the Encoder beside arrays that stand in a folder already, and return the manifest for them."""
        self.encoder.save(folder / "encoder")
        return {
            "format": "ctrsel.table",
            "version": 2,
            "splits": {k: list(v) for k, v in self.splits.items()},
            "columns": {k: "list" if isinstance(c, Ragged) else "plain" for k, c in self.columns.items()},
            "others": [name for name in _OTHERS if getattr(self, name) is not None],
            "source": self.source,
            "digest": self.digest,
        }

    @staticmethod
    def load(path: Path) -> Table:
        """Load what `save` wrote, memory-mapped; the digest is the saved one and is not computed again.

        Raises:
            DataError: If a part is missing or damaged, or its length is not that of the others.
        """
        path = Path(path)
        m = read_manifest(path, format="ctrsel.table", version=2)

        def mapped(name: str) -> np.ndarray:
            return read_array(path / f"{name}.npy", mapped=True)

        columns: dict[str, np.ndarray | Ragged] = {}
        fields = Encoder.load(path / "encoder")
        names = [f.name for f in fields.fields]
        if sorted(m["columns"]) != sorted(names):
            raise DataError(f"{path}: the saved columns are not the fields of the saved encoder")
        for i, name in enumerate(names):
            columns[name] = (
                Ragged(offsets=mapped(f"column_{i}.offsets"), codes=mapped(f"column_{i}.codes"))
                if m["columns"][name] == "list"
                else mapped(f"column_{i}")
            )
        others = {name: mapped(name) for name in m["others"]}
        table = Table(
            encoder=fields,
            columns=columns,
            labels=others.get("labels"),
            weight=others.get("weight"),
            group=others.get("group"),
            time=others.get("time"),
            row=others["row"],
            splits={k: (v[0], v[1]) for k, v in m["splits"].items()},
            source=m["source"],
            tally=Tally.of_store(path),
        )
        table.__dict__["digest"] = m["digest"]
        return table
