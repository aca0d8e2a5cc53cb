import re
from pathlib import Path

import polars as pl
import pytest

from ctrsel.core.config import FieldConfig, IngestConfig, LabelConfig, SchemaConfig
from ctrsel.core.errors import ConfigError, DataError
from ctrsel.data.infer import infer_fields, infer_schema, looks_numeric
from ctrsel.data.ingest import ingest
from ctrsel.data.raw import RawRows, Shard
from ctrsel.records.schema import Label

CONFIG = SchemaConfig(label=LabelConfig(name="y"))


@pytest.mark.parametrize(
    ("chunks", "numeric"),
    [
        ([list(range(21))], True),
        ([list(range(20))], False),
        ([list(range(15)), list(range(10, 25))], True),
        ([[0.5] * 50, [float(i) for i in range(21)]], True),
        ([[str(i / 7) for i in range(30)]], True),
        ([[str(i) for i in range(30)], ["word"]], False),
        ([[str(i) for i in range(3000)] + ["word"]], False),
        ([[f"{i:03d}" for i in range(30)]], False),
        ([["", *[str(i) for i in range(30)]]], True),
        ([[None] * 5, list(range(30))], True),
        ([[None] * 5], False),
        ([[True, False] * 20], False),
        ([[[1], [2]]], False),
    ],
)
def test_what_looks_numeric(chunks, numeric) -> None:
    assert looks_numeric(pl.Series(c) for c in chunks) is numeric


def test_training_rows_of_text_files_decide_and_typed_texts_stay_texts() -> None:
    numbers, words = [str(i) for i in range(30)], ["many"] * 30

    def shard(part: str, texts: list[str], *, untyped: bool) -> Shard:
        frame = pl.DataFrame({"a": texts, "y": [0, 1] * 15})
        return Shard(part=part, name=part, source=frame, rows=30, untyped=untyped)

    for untyped, other, kind in (
        (True, words, "numeric"),
        (False, numbers, "categorical"),
    ):
        raw = RawRows(
            shards=(shard("train", numbers, untyped=untyped), shard("test", other, untyped=untyped)),
            columns=("a", "y"),
        )
        schema = infer_fields(raw, CONFIG, IngestConfig(), label=Label(name="y"))
        assert schema.field("a").kind == kind


def test_types_may_differ_between_shards() -> None:
    shards = (
        Shard(part="train", name="a", source=pl.DataFrame({"a": list(range(30))}), rows=30),
        Shard(part="train", name="b", source=pl.DataFrame({"a": ["x"] * 30}), rows=30),
    )
    schema = infer_fields(RawRows(shards=shards, columns=("a",)), CONFIG, IngestConfig(), label=Label(name="y"))
    assert schema.field("a").kind == "categorical"


def test_a_frame_needs_labels() -> None:
    with pytest.raises(DataError, match=r"label 'y': every row needs a label, but row 2 has none \(1 such rows\)"):
        infer_schema(pl.DataFrame({"a": [1, 2], "y": [1, None]}), CONFIG, IngestConfig())


def fields_of(**fields: FieldConfig):
    frame = pl.DataFrame({"c": ["x", "y"], "a": ["x", "z"], "y": [0, 1]})
    return infer_schema(frame, SchemaConfig(label=LabelConfig(name="y"), fields=fields), IngestConfig()).fields


def test_a_shared_vocabulary_has_the_buckets_of_its_owner() -> None:
    """Also where the field that shares stands before the one that owns."""
    found = fields_of(c=FieldConfig(vocabulary="a"), a=FieldConfig(hash_buckets=5))
    assert [f.hash_buckets for f in found] == [5, 5]
    for owner, said in ((None, "none"), (7, "7")):
        with pytest.raises(ConfigError, match=rf"c\.vocabulary: .* but 'c' has 5 and 'a' has {said}"):
            fields_of(c=FieldConfig(vocabulary="a", hash_buckets=5), a=FieldConfig(hash_buckets=owner))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (FieldConfig(kind="number"), "unknown kind 'number'.* Known: categorical, multivalued, numeric, sequence"),
        (FieldConfig(bucket="log"), "unknown bucket 'log'; did you mean 'log2'"),
        (FieldConfig(bins=4), r"schema\.fields\.a\.bins: belongs to quantile buckets, but the bucket is None"),
        (FieldConfig(max_length=4), r"schema\.fields\.a\.max_length: belongs to lists, but the kind is 'categorical'"),
    ],
)
def test_what_a_field_cannot_have_is_refused(config: FieldConfig, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        fields_of(a=config)


def test_fields_of_one_vocabulary_are_sensitive_together() -> None:
    """Its texts are those of all of them, so that one that is not would show the others'."""
    for secret in "ac":
        given = {name: FieldConfig(sensitive=name == secret, vocabulary="a" if name == "c" else None) for name in "ac"}
        assert [f.sensitive for f in fields_of(**given)] == [True, True]


@pytest.mark.parametrize("name", ["*", "^zz$", "^b.*$", "^[$"])
@pytest.mark.parametrize("form", ["parquet", "csv", "frame"])
def test_names_that_are_patterns_for_polars_are_refused(name: str, form: str, tmp_path: Path) -> None:
    frame = pl.DataFrame({"y": [0, 1] * 50, "b1": ["a", "b"] * 50, name: ["u", "v"] * 50})
    rows: object = frame
    if form != "frame":
        rows = tmp_path / f"rows.{form}"
        getattr(frame, f"write_{form}")(rows)
    with pytest.raises(DataError, match=rf"column {re.escape(repr(name))}: polars takes such a name for a pattern"):
        ingest(rows, label="y")
