"""Row-wise encoding of texts equals the column-wise one, value for value."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctrsel.core.config import FieldConfig, LabelConfig, SchemaConfig
from ctrsel.core.errors import DataError
from ctrsel.data.ingest import ingest
from ctrsel.data.text_rows import TextPlan
from ctrsel.records.feature_set import FeatureSet
from ctrsel.testing.tables import tiny_frame, tiny_table

SCHEMA = SchemaConfig(
    label=LabelConfig(name="click"),
    fields={
        "hour": FieldConfig(kind="numeric", bucket="quantile", bins=6),
        "load": FieldConfig(kind="numeric", bucket="none"),
        "noise": FieldConfig(kind="numeric", bucket="log2"),
    },
)
TABLE = ingest(tiny_frame(), schema=SCHEMA)
TEXTS = st.one_of(
    st.none(), st.sampled_from(["", "site1", "site1.0", "ad03", "3", "3.0", " 4", "-1", "nan", "inf", "u7", "1e3"])
)


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
