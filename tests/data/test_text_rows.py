"""Row-wise encoding of texts equals the column-wise one, value for value."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctrsel.core.config import FieldConfig, LabelConfig, SchemaConfig
from ctrsel.core.errors import DataError
from ctrsel.data import _text_bytes, texts
from ctrsel.data.encoder_fit import fit_encoder
from ctrsel.data.ingest import ingest
from ctrsel.data.text_rows import TextPlan
from ctrsel.records.feature_set import FeatureSet
from ctrsel.records.schema import Field, Label, Schema
from ctrsel.testing.tables import tiny_frame, tiny_table

TEXTS = st.one_of(
    st.none(), st.sampled_from(["", "site1", "site1.0", "ad03", "3", "3.0", " 4", "-1", "nan", "inf", "u7", "1e3"])
)
ANY = st.one_of(TEXTS, st.text(max_size=12), st.sampled_from(["é", "語", "a|b", '["a", "b"]', "-3.0", "x" * 90]))
KINDS = {
    "plain": Field(name="plain", kind="categorical", vocabulary="plain"),
    "shared": Field(name="shared", kind="categorical", vocabulary="plain"),
    "rare": Field(name="rare", kind="categorical", vocabulary="rare", min_count=2),
    "hashed": Field(name="hashed", kind="categorical", vocabulary="hashed", hash_buckets=5),
    "sparse": Field(name="sparse", kind="categorical", vocabulary="sparse", hash_buckets=400),
    "tags": Field(name="tags", kind="multivalued", vocabulary="tags"),
    "past": Field(name="past", kind="sequence", vocabulary="plain", max_length=2),
    "hashed_tags": Field(name="hashed_tags", kind="multivalued", vocabulary="hashed_tags", hash_buckets=3),
    "quantile": Field(name="quantile", kind="numeric", bucket="quantile", bins=4, vocabulary="quantile"),
    "log2": Field(name="log2", kind="numeric", bucket="log2", vocabulary="log2"),
    "float": Field(name="float", kind="numeric", bucket="none", vocabulary="float"),
}
NUMBERS = {name for name, f in KINDS.items() if f.kind == "numeric"}
NUMBER = st.one_of(st.none(), st.just(""), st.floats(allow_nan=True).map(repr), st.integers(-5, 90).map(str))
ROWS = st.lists(st.fixed_dictionaries({n: NUMBER if n in NUMBERS else ANY for n in KINDS}), min_size=1, max_size=12)


def raw(rows) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=dict.fromkeys(KINDS, pl.String))


FORMS = st.fixed_dictionaries(
    {"large": st.booleans(), "compiled": st.booleans(), "narrow": st.none() | st.integers(0, 99)}
)


@settings(deadline=None, max_examples=50)
@given(train=ROWS, new=ROWS, form=FORMS)
def test_row_wise_is_column_wise(train, new, form, any_features):
    with pytest.MonkeyPatch.context() as patch:
        if form["large"]:
            patch.setattr(texts, "SMALL", 0)
        if form["compiled"]:
            patch.setattr(_text_bytes, "FEW", 0)
        encoder = fit_encoder(raw(train), Schema(labels=(Label(name="y"),), fields=tuple(KINDS.values())))
        if form["narrow"] is not None:
            encoder = encoder.narrow(any_features(encoder, form["narrow"]))
        frame = raw(train + new)
        by_row = TextPlan.of(encoder).encode(frame)
        whole = encoder.encode(frame)
        for field in encoder.fields:
            column = encoder.column(field, frame)
            if field.is_list:
                assert field.name not in by_row
                np.testing.assert_array_equal(whole.columns[field.name].offsets, column.offsets)
                np.testing.assert_array_equal(whole.columns[field.name].codes, column.codes)
                continue
            assert (field.name in by_row) == (field.kind == "categorical" or field.bucket == "quantile")
            for codes in (by_row.get(field.name, column), whole.columns[field.name]):
                assert codes.dtype == column.dtype
                np.testing.assert_array_equal(codes, column)


SCHEMA = SchemaConfig(
    label=LabelConfig(name="click"),
    fields={
        "hour": FieldConfig(kind="numeric", bucket="quantile", bins=6),
        "load": FieldConfig(kind="numeric", bucket="none"),
        "noise": FieldConfig(kind="numeric", bucket="log2"),
    },
)
TABLE = ingest(tiny_frame(), schema=SCHEMA)


@given(st.lists(st.fixed_dictionaries(dict.fromkeys(("site", "ad", "id"), TEXTS)), min_size=1, max_size=8))
def test_categorical_texts(rows):
    frame = pl.DataFrame(rows, schema=dict.fromkeys(("site", "ad", "id"), pl.String))
    fast = TextPlan.of(TABLE.encoder).encode(frame)
    assert set(fast) == {"site", "ad", "id"}
    for name, codes in fast.items():
        slow = TABLE.encoder.column(TABLE.schema.field(name), frame)
        assert codes.dtype == slow.dtype
        np.testing.assert_array_equal(codes, slow)


@given(
    st.lists(
        st.one_of(st.none(), st.just(""), st.floats(allow_nan=True).map(repr), st.integers(-5, 30).map(str)), min_size=1
    )
)
def test_bucketed_texts(values):
    frame = pl.DataFrame({"hour": pl.Series(values, dtype=pl.String)})
    fast = TextPlan.of(TABLE.encoder).encode(frame)["hour"]
    np.testing.assert_array_equal(fast, TABLE.encoder.column(TABLE.schema.field("hour"), frame))


def test_a_narrowed_and_merged_encoder():
    encoder = tiny_table().encoder
    remaps = {n: np.arange(v.size, dtype=np.uint32) for n, v in encoder.vocabularies.items()}
    remaps["hour"] = np.array([0, 1, 2, 3, 3, 1, 4, 4, 5], dtype=np.uint32)[: encoder.size("hour")]
    features = FeatureSet(fields=("ad", "hour"), remaps=remaps, method="m", params={}, encoder=encoder.digest)
    narrow = encoder.narrow(features)
    frame = pl.DataFrame({"ad": ["ad01", "x", None], "hour": ["3", "", "23"]})
    fast = TextPlan.of(narrow).encode(frame)
    for field in narrow.fields:
        np.testing.assert_array_equal(fast[field.name], narrow.column(field, frame))


def test_a_text_that_is_no_number_is_left_to_the_column_and_its_error():
    frame = pl.DataFrame({"hour": ["3", "soon"]})
    assert "hour" not in TextPlan.of(TABLE.encoder).encode(frame)
    with pytest.raises(DataError, match="soon"):
        TABLE.encoder.encode(frame)


def test_other_types_and_no_rows_are_left_to_the_columns():
    plan = TextPlan.of(TABLE.encoder)
    assert plan.encode(pl.DataFrame({"ad": [1, 2]})) == {}
    assert plan.encode(pl.DataFrame({"ad": []}, schema={"ad": pl.String})) == {}
    assert TABLE.encoder.encode(pl.DataFrame({"ad": []}, schema={"ad": pl.String})).n_rows == 0
