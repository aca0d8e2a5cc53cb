"""Schema: what the columns of a raw table are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from ctrsel.core.artifact import digest_json
from ctrsel.core.errors import ConfigError, DataError

__all__ = ["MOST_PARTS", "ColumnKind", "Field", "Kind", "Label", "Schema"]

ColumnKind = Literal["categorical", "numeric", "multivalued", "sequence"]
Kind = ColumnKind | Literal["cross"]
Bucket = Literal["log2", "quantile", "none"]
MOST_PARTS = 3  # of a cross


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """An outcome column; `positive` is the canonical text of its positive value.

    `parent` names the label that must be positive for this one to be (click before purchase).
    """

    name: str
    positive: str = "1"
    parent: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One input column and how it is read, or a cross of some.

    Attributes:
        name: The column's name; of a cross the names of its parts, joined by "*".
        kind: categorical, numeric, multivalued (a list without order), sequence (a list in time order), or cross (the
            values of two or three columns together).
        bucket: Numeric only: "log2" (floor(ln(x)^2) above 2), "quantile", or "none" (kept as a float).
        bins: How many quantile buckets.
        vocabulary: Name of the vocabulary; fields with the same one share codes and embedding rows.
        min_count: Values seen in fewer training rows become `other`.
        hash_buckets: Values share so many codes by a hash of their text; None for a vocabulary.
        max_length: Sequence only: how many last events are kept.
        cost: Of acquiring the value when serving, in the user's unit.
        available_at: "after" if the value is only known after the outcome.
        sensitive: Shown as salted hashes only.
        parts: Cross only: the columns that it is made of.
    """

    name: str
    kind: Kind
    bucket: Bucket | None = None
    bins: int | None = None
    vocabulary: str
    min_count: int = 1
    hash_buckets: int | None = None
    max_length: int | None = None
    cost: float | None = None
    available_at: Literal["before", "after"] = "before"
    sensitive: bool = False
    parts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if (self.kind == "cross") != bool(self.parts):
            raise ConfigError(
                f"schema.fields.{self.name}: 'parts' belong to crosses, got kind {self.kind!r}, parts {list(self.parts)}"
            )
        if self.parts and (len(set(self.parts)) != len(self.parts) or not 2 <= len(self.parts) <= MOST_PARTS):
            raise ConfigError(
                f"schema.fields.{self.name}: a cross has 2 to {MOST_PARTS} different parts, got {list(self.parts)}"
            )
        if (self.kind == "numeric") != (self.bucket is not None):
            raise ConfigError(
                f"schema.fields.{self.name}: 'bucket' belongs to numeric fields, got kind {self.kind!r}, bucket {self.bucket!r}"
            )
        if self.bucket == "quantile" and (self.bins is None or self.bins < 2):
            raise ConfigError(
                f"schema.fields.{self.name}.bins: quantile buckets need at least 2 bins, got {self.bins!r}"
            )
        if self.max_length is not None and self.max_length < 1:
            raise ConfigError(f"schema.fields.{self.name}.max_length: must be at least 1, got {self.max_length}")
        if self.min_count < 1:
            raise ConfigError(f"schema.fields.{self.name}.min_count: must be at least 1, got {self.min_count}")
        if self.hash_buckets is not None and (self.hash_buckets < 1 or self.kind in ("numeric", "cross")):
            raise ConfigError(
                f"schema.fields.{self.name}.hash_buckets: must be at least 1 and belongs to categories and lists, "
                f"got {self.hash_buckets} for kind {self.kind!r}"
            )

    @property
    def is_float(self) -> bool:
        """Whether the field stays a float and has no codes."""
        return self.bucket == "none"

    @property
    def is_list(self) -> bool:
        """Whether a row holds a list of values."""
        return self.kind in ("multivalued", "sequence")

    @property
    def is_cross(self) -> bool:
        """Whether the field is made of other columns and has none of its own."""
        return self.kind == "cross"


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """All columns of a table: labels, fields, and the columns with a role of their own.

    Attributes:
        labels: The outcomes.
        fields: What a model is shown.
        time: The column of moments.
        group: The column of groups.
        weight: The column of row weights.
        sampling_rate: Share of the negatives that was kept when the table was made.
        cross_inputs: Columns that are no fields (any more), but are read for crosses.

    Examples:
        >>> Schema(labels=(Label(name="click"),), fields=(Field(name="ad", kind="categorical", vocabulary="ad"),)).names
        ('ad',)
    """

    labels: tuple[Label, ...]
    fields: tuple[Field, ...]
    time: str | None = None
    group: str | None = None
    weight: str | None = None
    sampling_rate: float = 1.0
    cross_inputs: tuple[Field, ...] = ()

    def __post_init__(self) -> None:
        names = [*(label.name for label in self.labels), *(f.name for f in (*self.fields, *self.cross_inputs))]
        twice = sorted({n for n in names if names.count(n) > 1})
        if twice:
            raise DataError(f"schema: a column has one role, but {twice[0]!r} has two")
        if not 0 < self.sampling_rate <= 1:
            raise ConfigError(f"schema.sampling_rate: must be in (0, 1], got {self.sampling_rate}")
        if not self.labels:
            raise ConfigError("schema.label: at least one label is required")
        if not self.fields:
            raise DataError("schema: no column is left to be a field")
        read = {f.name: f for f in self.inputs}
        for cross in (f for f in self.fields if f.is_cross):
            for part in cross.parts:
                if part not in read:
                    raise DataError(f"schema: the cross {cross.name!r} needs the column {part!r}, which is not read")

    @property
    def names(self) -> tuple[str, ...]:
        """Field names in order."""
        return tuple(f.name for f in self.fields)

    def field(self, name: str) -> Field:
        """Return a field by name."""
        for f in self.fields:
            if f.name == name:
                return f
        from ctrsel.core.errors import unknown_name

        raise unknown_name("field", name, self.names, place="schema")

    @property
    def inputs(self) -> tuple[Field, ...]:
        """The columns that a raw row has: fields that are no cross, then those that only crosses read."""
        return (*(f for f in self.fields if not f.is_cross), *self.cross_inputs)

    @property
    def crosses(self) -> tuple[Field, ...]:
        """The fields that are crosses, in order."""
        return tuple(f for f in self.fields if f.is_cross)

    def input(self, name: str) -> Field:
        """Return a column that a raw row has by name."""
        for f in self.inputs:
            if f.name == name:
                return f
        from ctrsel.core.errors import unknown_name

        raise unknown_name("column", name, [f.name for f in self.inputs], place="schema")

    def only(self, names: tuple[str, ...]) -> Schema:
        """Return the schema with these fields only, in the schema's own order; parts of crosses are still read."""
        fields = tuple(f for f in self.fields if f.name in names)
        needed = {part for f in fields for part in f.parts} - {f.name for f in fields}
        return replace(self, fields=fields, cross_inputs=tuple(f for f in self.inputs if f.name in needed))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; what only crosses have is not there without them."""
        found = asdict(self)
        for field in (*found["fields"], *found["cross_inputs"]):
            if not field["parts"]:
                del field["parts"]
        if not self.cross_inputs:
            del found["cross_inputs"]
        return found

    @staticmethod
    def from_dict(given: Mapping[str, Any]) -> Schema:
        """Rebuild from `to_dict`."""
        rest = {k: v for k, v in given.items() if k not in ("labels", "fields", "cross_inputs")}
        return Schema(
            labels=tuple(Label(**x) for x in given["labels"]),
            fields=_fields(given["fields"]),
            cross_inputs=_fields(given.get("cross_inputs", ())),
            **rest,
        )

    @property
    def digest(self) -> str:
        """Digest of all that the schema says."""
        return digest_json(self.to_dict())


def _fields(given: Iterable[Mapping[str, Any]]) -> tuple[Field, ...]:
    return tuple(Field(**{**x, "parts": tuple(x.get("parts", ()))}) for x in given)
