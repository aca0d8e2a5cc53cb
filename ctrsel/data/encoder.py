"""Encoder: everything fitted that turns a raw row into codes; fitted on the training split only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from ctrsel.core.artifact import atomic_folder, digest_arrays, digest_json, read_manifest
from ctrsel.core.errors import DataError
from ctrsel.data.buckets import NO_BUCKET, bucket_ids, bucket_texts
from ctrsel.data.canonical import canonical_text, list_items, numeric_values
from ctrsel.data.cross_texts import joint_texts, part_texts
from ctrsel.data.few_rows import FewRows
from ctrsel.data.text_rows import TextPlan
from ctrsel.data.vocabulary import Vocabulary, smallest_uint
from ctrsel.data.vocabulary_files import changed, load_vocabulary, save_vocabulary, vocabulary_digests
from ctrsel.records.feature_set import OTHER, FeatureSet
from ctrsel.records.schema import Field, Schema

if TYPE_CHECKING:
    from ctrsel.data.table import Ragged, Table

__all__ = ["Encoder"]


@dataclass(frozen=True, kw_only=True)
class Encoder:
    """A fitted mapping from raw rows to codes.

    Attributes:
        schema: The fields that it makes codes of, and the columns that it reads for them.
        vocabularies: By name, in the order in which they are stacked in the one embedding table.
        edges: Inner quantile edges per bucketed field (absent for log-square fields).
        moments: Training mean and standard deviation per field that stays a float.
        ancestors: Digests of the Encoders that it grew from, oldest first.
    """

    schema: Schema
    vocabularies: Mapping[str, Vocabulary]
    edges: Mapping[str, np.ndarray]
    moments: Mapping[str, tuple[float, float]]
    ancestors: tuple[str, ...] = ()

    @property
    def fields(self) -> tuple[Field, ...]:
        """The fields in order."""
        return self.schema.fields

    # Schemas are asked per field and call: what a single row's score needs of them is found once.

    @cached_property
    def input_names(self) -> tuple[str, ...]:
        """The columns that a raw row has."""
        return tuple(f.name for f in self.schema.inputs)

    @cached_property
    def code_fields(self) -> tuple[str, ...]:
        """Fields with one code a row."""
        return tuple(f.name for f in self.fields if not f.is_float and not f.is_list)

    @cached_property
    def float_fields(self) -> tuple[str, ...]:
        """Fields that stay floats."""
        return tuple(f.name for f in self.fields if f.is_float)

    @cached_property
    def list_fields(self) -> tuple[str, ...]:
        """Fields with a list of codes a row."""
        return tuple(f.name for f in self.fields if f.is_list)

    @cached_property
    def code_offsets(self) -> np.ndarray:
        """First row of the vocabulary of each of `code_fields` in the one embedding table, int32 `[C]`."""
        return np.array([self.offset(name) for name in self.code_fields], dtype=np.int32)

    def vocabulary(self, field: str) -> Vocabulary:
        """Return the vocabulary of a field."""
        return self.vocabularies[self.schema.field(field).vocabulary]

    def size(self, field: str) -> int:
        """Return how many codes a field has, reserved ones included; 0 for a field that stays a float."""
        return 0 if self.schema.field(field).is_float else self.vocabulary(field).size

    @cached_property
    def offsets(self) -> Mapping[str, int]:
        """First row of each vocabulary in the one embedding table."""
        starts, total = {}, 0
        for name, vocabulary in self.vocabularies.items():
            starts[name] = total
            total += vocabulary.size
        return starts

    def offset(self, field: str) -> int:
        """First row of a field's vocabulary in the one embedding table."""
        return self.offsets[self.schema.field(field).vocabulary]

    @property
    def total_codes(self) -> int:
        """Rows of the one embedding table."""
        return sum(v.size for v in self.vocabularies.values())

    @property
    def n_values(self) -> int:
        """Distinct values with a code of their own (merged ones count once)."""
        return sum(v.size - 3 for v in self.vocabularies.values())

    @cached_property
    def digest(self) -> str:
        """Digest of the schema, everything fitted, and what it grew from."""
        fitted = {name: vocabulary_digests(v) for name, v in self.vocabularies.items()}
        edges = digest_arrays(self.edges)
        return digest_json(
            [self.schema.digest, fitted, edges, {k: list(v) for k, v in self.moments.items()}, list(self.ancestors)]
        )

    @cached_property
    def _text_plan(self) -> TextPlan:
        return TextPlan.of(self)

    @cached_property
    def _few_rows(self) -> FewRows:
        return FewRows.of(self)

    def encode(self, frame: pl.DataFrame) -> Table:
        """Encode the fields of a raw frame, for scoring: no labels, no splits.

        A field whose column is absent is missing in every row; columns that are no field are not read.

        Raises:
            DataError: If a numeric field holds a text that is not a number, or a value has no text form.
        """
        from ctrsel.data.table import Table

        found = self._few_rows.encode(frame)
        if len(found) < len(self.fields):
            found = {**self._text_plan.encode(frame), **found}
        columns = {f.name: found[f.name] if f.name in found else self.column(f, frame) for f in self.fields}
        return Table(encoder=self, columns=columns, labels=None, row=np.arange(frame.height, dtype=np.int64))

    def column(self, field: Field, frame: pl.DataFrame) -> np.ndarray | Ragged:
        """Encode one field of a raw frame (see `Table.columns`)."""
        from ctrsel.data.table import Ragged

        if field.is_cross:
            return self._crossed(field, frame)
        raw = _raw(frame, field.name)
        if field.is_float:
            with np.errstate(over="ignore"):
                floats = (
                    numeric_values(raw, sensitive=field.sensitive).fill_null(float("nan")).to_numpy().astype(np.float32)
                )
            return np.where(np.isinf(floats), np.float32(np.nan), floats)
        vocabulary = self.vocabularies[field.vocabulary]
        if field.is_list:
            lists = _last(list_items(raw), field)
            offsets = np.concatenate([[0], np.cumsum(lists.list.len().to_numpy())]).astype(np.int64)
            items = (
                lists.explode(empty_as_null=False, keep_nulls=False) if offsets[-1] else pl.Series([], dtype=pl.String)
            )
            return Ragged(offsets=offsets, codes=vocabulary.encode(items))
        if field.kind == "numeric":
            return self._bucketed(field, raw)
        return vocabulary.encode(canonical_text(raw))

    def _crossed(self, field: Field, frame: pl.DataFrame) -> np.ndarray:
        """Encode the joint texts of a cross's parts, whatever became of the parts' own values."""
        parts = [
            part_texts(self.schema.input(p), _raw(frame, p), edges=self.edges.get(p)).alias(p) for p in field.parts
        ]
        joint = pl.DataFrame(parts).select(joint_texts([pl.col(p) for p in field.parts])).to_series()
        return self.vocabularies[field.vocabulary].encode(joint)

    def _bucketed(self, field: Field, raw: pl.Series) -> np.ndarray:
        """Encode by bucket without a text per row: codes are looked up once per distinct bucket."""
        values = numeric_values(raw, sensitive=field.sensitive).fill_null(float("nan")).to_numpy()
        ids = bucket_ids(values, edges=self.edges.get(field.name))
        vocabulary = self.vocabularies[field.vocabulary]
        found, places = np.unique(ids, return_inverse=True)
        codes = np.zeros(len(found), dtype=smallest_uint(vocabulary.size))
        present = found != NO_BUCKET
        names = bucket_texts(found[present], edges=self.edges.get(field.name))
        codes[present] = vocabulary.encode(pl.Series(names, dtype=pl.String))
        return codes[places]

    def grow(self, vocabularies: Mapping[str, Vocabulary]) -> Encoder:
        """Return the Encoder after an increment; bucket edges and moments stay what they were.

        Args:
            vocabularies: Each vocabulary grown (`Vocabulary.grow`) or as it was.

        Raises:
            DataError: If a vocabulary is missing, or has become smaller, or the Encoder has crosses.
        """
        if crosses := self.schema.crosses:
            raise DataError(
                f"encoder: {crosses[0].name!r} is a cross, which does not grow; let the table without crosses grow, and "
                "cross it again"
            )
        if set(vocabularies) != set(self.vocabularies):
            raise DataError(
                f"encoder: expected the vocabularies {sorted(self.vocabularies)}, got {sorted(vocabularies)}"
            )
        for name, old in self.vocabularies.items():
            if vocabularies[name].size < old.size:
                raise DataError(
                    f"vocabulary {name!r} has {old.size} codes and cannot shrink to {vocabularies[name].size}"
                )
        grown = replace(self, vocabularies={name: vocabularies[name] for name in self.vocabularies})
        if grown.digest == self.digest:
            return self
        return replace(grown, ancestors=(*self.ancestors, self.digest))

    def remaps(self, features: FeatureSet) -> Mapping[str, np.ndarray]:
        """Return a FeatureSet's remap of each vocabulary's codes, uint32 `[V]`.

        A decision about an ancestor says nothing about the values that came later: they are `OTHER`.

        Raises:
            DataError: If the FeatureSet decides on the codes of another Encoder, which this one did not grow from.
        """
        if not features.encoder or features.encoder == self.digest:
            return features.remaps
        if features.encoder not in self.ancestors:
            raise DataError(f"the feature set is about encoder {features.encoder}, not about {self.digest}")
        remaps = dict(features.remaps)
        for name, vocabulary in self.vocabularies.items():
            if name in remaps and (later := vocabulary.size - len(remaps[name])) > 0:
                remaps[name] = np.concatenate([remaps[name], np.full(later, OTHER, dtype=np.uint32)])
        return remaps

    def narrow(self, features: FeatureSet) -> Encoder:
        """Return the Encoder of a FeatureSet: fields and values that were dropped are forgotten.

        A dropped field that feeds a kept cross is no field any more, but its column is still read.

        Raises:
            DataError: If the FeatureSet decides on the codes of another Encoder, which this one did not grow from.
        """
        remaps = self.remaps(features)
        strange = [f for f in features.fields if f not in self.schema.names]
        if strange:
            raise DataError(f"the feature set keeps the field {strange[0]!r}, which the encoder has not")
        schema = self.schema.only(features.fields)
        used = {f.vocabulary for f in schema.fields if not f.is_float}
        undecided = sorted(used - set(remaps))
        if undecided:
            raise DataError(
                f"the feature set keeps fields of the vocabulary {undecided[0]!r}, but does not map its codes"
            )
        vocabularies = {k: v.narrow(remaps[k]) for k, v in self.vocabularies.items() if k in used}
        names = {f.name for f in schema.inputs}
        return Encoder(
            schema=schema,
            vocabularies=vocabularies,
            edges={k: v for k, v in self.edges.items() if k in names},
            moments={k: v for k, v in self.moments.items() if k in names},
        )

    def save(self, path: Path) -> None:
        """Save as a folder: the manifest, and per vocabulary an Arrow file of its values and arrays as `.npy`."""
        vocabularies: list[dict[str, Any]] = []
        manifest: dict[str, Any] = {
            "format": "ctrsel.encoder",
            "version": 3 if self.schema.crosses else 2,
            "schema": self.schema.to_dict(),
            "vocabularies": vocabularies,
            "edges": {k: v.tolist() for k, v in self.edges.items()},
            "moments": {k: list(v) for k, v in self.moments.items()},
            "ancestors": list(self.ancestors),
            "digest": self.digest,
        }
        with atomic_folder(Path(path), manifest=manifest) as folder:
            for i, (name, v) in enumerate(self.vocabularies.items()):
                vocabularies.append({"name": name, **save_vocabulary(folder, i, v)})

    @staticmethod
    def load(path: Path) -> Encoder:
        """Load what `save` wrote; what is large stays in its files.

        Raises:
            DataError: If the content is not what was saved.
        """
        path = Path(path)
        m = read_manifest(path, format="ctrsel.encoder", version=(2, 3))
        encoder = Encoder(
            schema=Schema.from_dict(m["schema"]),
            vocabularies={told["name"]: load_vocabulary(path, i, told) for i, told in enumerate(m["vocabularies"])},
            edges={k: np.asarray(v, dtype=np.float64) for k, v in m["edges"].items()},
            moments={k: (v[0], v[1]) for k, v in m["moments"].items()},
            ancestors=tuple(m["ancestors"]),
        )
        if encoder.digest != m["digest"]:
            raise changed(path, f"expected digest {m['digest']}, got {encoder.digest}")
        return encoder


def _last(lists: pl.Series, field: Field) -> pl.Series:
    return lists.list.tail(field.max_length) if field.max_length is not None else lists


def _raw(frame: pl.DataFrame, name: str) -> pl.Series:
    """Return a raw column; of a frame that has none, missing values."""
    return frame[name] if name in frame.columns else pl.Series(name, [None] * frame.height, dtype=pl.Null)
