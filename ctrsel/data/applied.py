"""Applied feature set: a decision with the part of the Encoder that it keeps, so that it can be applied to raw rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
import polars as pl

from ctrsel.core.artifact import MANIFEST, atomic_folder, read_array, read_manifest
from ctrsel.core.errors import DataError
from ctrsel.data.canonical import numeric_values
from ctrsel.data.encoder import Encoder
from ctrsel.data.frames import read_frame
from ctrsel.data.ranges import bucket_ranges
from ctrsel.data.table import Ragged
from ctrsel.data.vocabulary import Vocabulary
from ctrsel.records.feature_set import OTHER, RESERVED, FeatureSet
from ctrsel.records.schema import Field
from ctrsel.records.set_difference import SetDifference

__all__ = ["AppliedFeatureSet", "hashed_codes"]

_PART = "applied"  # the folder within a saved feature set
_OTHER = "(other)"


@dataclass(frozen=True, kw_only=True)
class AppliedFeatureSet:
    """A feature set that knows the texts of what it keeps.

    The column of a kept field holds, row by row, null for a missing value, the text of a value that is kept, and
    `other_text` for all others. Values that were merged have the text of the most frequent one among them.

    Attributes:
        features: The decision.
        encoder: The narrowed Encoder: kept fields and values only.
        leads: Per vocabulary int64 `[V]`, the place of the text that names each code; -1 where a code has none.

    Shape:
        V: codes of a vocabulary, after the decision.
    """

    features: FeatureSet
    encoder: Encoder
    leads: Mapping[str, np.ndarray]

    @staticmethod
    def of(features: FeatureSet, encoder: Encoder) -> AppliedFeatureSet:
        """Bind a decision to the Encoder whose codes it is about.

        Raises:
            DataError: If it is about another Encoder's codes.

        Examples:
            >>> from ctrsel.testing.tables import tiny_table
            >>> encoder = tiny_table().encoder
            >>> keep = {"site": encoder.vocabulary("site").counts >= 70}
            >>> features = FeatureSet.from_keep(keep, fields=("site",), method="toy", params={}, encoder=encoder.digest)
            >>> AppliedFeatureSet.of(features, encoder).transform(pl.DataFrame({"site": ["site2", "site9", None]}))
            shape: (3, 1)
            ┌─────────┐
            │ site    │
            │ ---     │
            │ str     │
            ╞═════════╡
            │ site2   │
            │ (other) │
            │ null    │
            └─────────┘
        """
        narrow = encoder.narrow(features)
        leads = {name: _leads(v, encoder.vocabularies[name]) for name, v in narrow.vocabularies.items()}
        return AppliedFeatureSet(features=features, encoder=narrow, leads=leads)

    @cached_property
    def other_text(self) -> str:
        """What stands for a value that is not kept: "(other)", with underscores where that is itself a kept value."""
        text = _OTHER
        while any(int(v.values.find(pl.Series([text]))[0]) >= 0 for v in self.encoder.vocabularies.values()):
            text += "_"
        return text

    @cached_property
    def names(self) -> Mapping[str, pl.Series]:
        """Per vocabulary the text of each code `[V]`, null for what is missing."""
        return {name: self._names(v) for name, v in self.encoder.vocabularies.items()}

    def texts(self, vocabulary: str, codes: np.ndarray) -> pl.Series:
        """Return the text of each of some codes `[n]` after the decision, null for what is missing; all other names stay."""
        if self.encoder.vocabularies[vocabulary].hashed is not None:
            return self.names[vocabulary].gather(pl.Series(codes, dtype=pl.UInt32))
        own = self.encoder.vocabularies[vocabulary].values.take(self.leads[vocabulary][np.maximum(codes, RESERVED)])
        other = pl.when(pl.Series(codes == OTHER)).then(pl.lit(self.other_text))
        return pl.select(pl.when(pl.Series(codes >= RESERVED)).then(own).otherwise(other)).to_series()

    def _names(self, vocabulary: Vocabulary) -> pl.Series:
        leads = self.leads[vocabulary.name]
        names: list[str | None] | pl.Series
        if vocabulary.hashed is not None:
            names = [None] * vocabulary.size
            for bucket, code in reversed(list(enumerate(hashed_codes(vocabulary)))):
                names[code] = f"(bucket {bucket})"
            names[OTHER] = self.other_text
            names[OTHER + 1] = None
            return pl.Series(vocabulary.name, names, dtype=pl.String)
        head = pl.Series(vocabulary.name, [None, self.other_text, None], dtype=pl.String)
        return pl.concat([head, vocabulary.values.take(leads[RESERVED:]).rename(vocabulary.name)])

    def transform(self, raw: Any) -> Any:
        """Return the kept columns of raw rows: one of texts for each field, lists of texts for a field of lists, floats.

        Buckets are named by their range, as everywhere; a cross is a column of its own. A column that the rows lack is
        missing in all of them, and columns that are no field are left out.

        Args:
            raw: A frame of polars or pandas; what comes out is one of the same library, with the same index.

        Raises:
            DataError: If a numeric field holds a text that is not a number, or a value has no text form.
        """
        frame = read_frame(raw)
        columns = self.encoder.encode(frame).columns
        made = [self._column(f, frame, columns[f.name]) for f in self.encoder.fields]
        out = pl.DataFrame({s.name: s for s in made})  # a list of series would rename one without a name
        if isinstance(raw, pl.DataFrame) or type(raw).__module__.split(".")[0] != "pandas":
            return out
        return _to_pandas(out, raw)

    def _column(self, field: Field, frame: pl.DataFrame, codes: np.ndarray | Ragged) -> pl.Series:
        if field.is_float:
            return _floats(field, frame)
        names = self.names[field.vocabulary]
        if not isinstance(codes, Ragged):
            return names.gather(pl.Series(codes).cast(pl.UInt32)).rename(field.name)
        items = names.gather(pl.Series(codes.codes).cast(pl.UInt32))
        lengths = np.diff(codes.offsets)
        rows = np.repeat(np.arange(len(codes), dtype=np.int64), lengths)
        packed = pl.DataFrame({"row": rows, "item": items}).group_by("row", maintain_order=True).agg("item")
        whole = pl.DataFrame({"row": np.arange(len(codes), dtype=np.int64)}).join(packed, on="row", how="left")
        none = pl.lit([], dtype=pl.List(pl.String))
        return whole.sort("row").select(pl.col("item").fill_null(none).alias(field.name)).to_series()

    def columns(self) -> pl.DataFrame:
        """Return what is kept, one row a value: for a trainer of another kind, and for people.

        Returns:
            A frame with `field`, `kind`, `value` (a text of the raw column; null for a field that stays a float),
            `kept_as` (what `transform` writes for it), and `low` and `high` (of a bucket: the first end belongs to it,
            the second does not). Of a field with hash buckets, `value` is null and `kept_as` the bucket's name.
        """
        return pl.concat([self._kept_of(f) for f in self.encoder.fields])

    def kept_as(self, field: str) -> dict[str, str]:
        """Return what `transform` writes for each kept text of a field that has texts, in text order."""
        told = self._kept_of(self.encoder.schema.field(field)).drop_nulls("value")
        return dict(zip(told["value"].to_list(), told["kept_as"].to_list(), strict=True))

    def _kept_of(self, f: Field) -> pl.DataFrame:
        values = kept = pl.Series([None], dtype=pl.String)
        if not f.is_float:
            vocabulary, names = self.encoder.vocabularies[f.vocabulary], self.names[f.vocabulary]
            if vocabulary.hashed is not None:
                kept = names[RESERVED:]
                values = pl.Series([None] * len(kept), dtype=pl.String)
            else:
                chunks = list(vocabulary.values.chunks())
                values = pl.concat(chunks) if chunks else pl.Series([], dtype=pl.String)
                kept = names.gather(pl.Series(vocabulary.codes).cast(pl.UInt32))
        ranges = self.ranges(f.name)
        ends = [ranges.get(v, (None, None)) for v in values.to_list()] if ranges else [(None, None)] * len(values)
        return pl.DataFrame(
            {
                "field": pl.Series([f.name] * len(values), dtype=pl.String),
                "kind": pl.Series([f.kind] * len(values), dtype=pl.String),
                "value": values,
                "kept_as": kept,
                "low": pl.Series([low for low, _ in ends], dtype=pl.Float64),
                "high": pl.Series([high for _, high in ends], dtype=pl.Float64),
            }
        )

    def ranges(self, field: str) -> Mapping[str, tuple[float, float]]:
        """Return the range of each kept bucket of a bucketed field, by its text; infinite at the ends; else nothing."""
        of = self.encoder.schema.field(field)
        if of.kind != "numeric" or of.is_float:
            return {}
        return bucket_ranges(
            self.encoder.vocabularies[of.vocabulary].values.to_list(), edges=self.encoder.edges.get(field)
        )

    def diff(self, new: AppliedFeatureSet, *, top: int = 5) -> SetDifference:
        """Say what changes from this set to `new`, with the most frequent texts; see `set_difference.difference`."""
        from ctrsel.data.set_difference import difference

        return difference(self, new, top=top)

    def save(self, path: Path) -> None:
        """Save as a feature set's folder that holds the narrowed Encoder as well; `FeatureSet.load` reads it too."""
        manifest = {
            "format": "ctrsel.applied_feature_set",
            "version": 1,
            "features": self.features.digest,
            "vocabularies": list(self.leads),
        }

        def texts(place: Path) -> None:
            with atomic_folder(place / _PART, manifest=manifest) as folder:
                self.encoder.save(folder / "encoder")
                for i, lead in enumerate(self.leads.values()):
                    np.save(folder / f"lead_{i}.npy", lead, allow_pickle=False)

        # Both are put in place by one rename: a kill leaves what was there before, or all of this.
        self.features.save(Path(path), beside=texts)

    @staticmethod
    def load(path: Path) -> AppliedFeatureSet:
        """Load what `save` wrote.

        Raises:
            DataError: If the folder holds a feature set alone, which knows no texts, or is damaged.
        """
        path = Path(path)
        features = FeatureSet.load(path)
        if not (path / _PART / MANIFEST).is_file():
            raise DataError(
                f"{path}: this feature set was saved without the texts that it keeps, so it cannot be applied to raw "
                "rows; select again, or name the table that it decides on"
            )
        m = read_manifest(path / _PART, format="ctrsel.applied_feature_set", version=1)
        if m["features"] != features.digest:
            raise DataError(
                f"{path}: the saved feature set was changed: expected digest {m['features']}, got {features.digest}"
            )
        encoder = Encoder.load(path / _PART / "encoder")
        leads = {name: read_array(path / _PART / f"lead_{i}.npy") for i, name in enumerate(m["vocabularies"])}
        return AppliedFeatureSet(features=features, encoder=encoder, leads=leads)


def hashed_codes(vocabulary: Vocabulary) -> list[int]:
    """Return the code of each bucket of a hashed vocabulary `[H]`."""
    hashed = vocabulary.hashed
    assert hashed is not None
    plain = np.arange(RESERVED, RESERVED + hashed.buckets) if hashed.remap is None else hashed.remap[RESERVED:]
    return cast("list[int]", plain.tolist())


def _leads(narrow: Vocabulary, full: Vocabulary) -> np.ndarray:
    """Return the place of the most frequent text of each code, ties by text; -1 for codes that have none."""
    rows = np.asarray(full.counts)[full.codes_for(narrow.values)]
    leads = np.full(narrow.size, -1, dtype=np.int64)
    falling = np.argsort(-rows, kind="stable")
    leads[narrow.codes[falling[::-1]]] = falling[::-1]  # of what is written to one place, the last one stays
    return leads


def _floats(field: Field, frame: pl.DataFrame) -> pl.Series:
    if field.name not in frame.columns:
        return pl.Series(field.name, [None] * frame.height, dtype=pl.Float64)
    values = numeric_values(frame[field.name], sensitive=field.sensitive)
    with np.errstate(over="ignore"):
        finite = np.isfinite(values.fill_null(float("nan")).to_numpy().astype(np.float32))
    # What float32 cannot hold is missing to the Encoder.
    return pl.select(pl.when(pl.Series(finite)).then(values).alias(field.name)).to_series()


def _to_pandas(frame: pl.DataFrame, like: Any) -> Any:
    import pandas as pd

    kinds = {pl.Float64: "float64", pl.String: "str"}
    columns = {
        c.name: pd.Series(c.to_list(), index=like.index, dtype=kinds.get(c.dtype.base_type(), "object"))
        for c in frame.get_columns()
    }
    return pd.DataFrame(columns, index=like.index)
