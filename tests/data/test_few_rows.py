"""A row or a few by dictionaries: the same codes as column by column."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctrsel.data.encoder_fit import fit_encoder
from ctrsel.data.few_rows import FewRows
from ctrsel.records.schema import Field, Label, Schema

FIELDS = {
    "plain": Field(name="plain", kind="categorical", vocabulary="plain"),
    "shared": Field(name="shared", kind="categorical", vocabulary="plain"),
    "hashed": Field(name="hashed", kind="categorical", vocabulary="hashed", hash_buckets=5),
    "quantile": Field(name="quantile", kind="numeric", bucket="quantile", bins=4, vocabulary="quantile"),
    "log2": Field(name="log2", kind="numeric", bucket="log2", vocabulary="log2"),
    "float": Field(name="float", kind="numeric", bucket="none", vocabulary="float"),
}
TEXT = st.none() | st.sampled_from(["", "a", "b", "3", "3.0", "-0.0", "3.00", "3.0\n", "9007199254740992.0", " 3", "é"])
WHOLE = st.none() | st.integers(-5, 9) | st.sampled_from([2**62, -(2**62)])
NUMBER = st.none() | st.floats(allow_nan=True, width=32) | st.integers(-5, 9).map(float)
OTHERS = {"shared": TEXT, "hashed": TEXT, "log2": st.none() | st.integers(-3, 90), "float": NUMBER}


def frames(sizes):
    """Frames of so many rows whose categorical columns are texts, integers or floats."""

    def made(kinds):
        plain, quantile = kinds
        values = {"plain": {pl.String: TEXT, pl.Int64: WHOLE, pl.Float64: NUMBER}[plain]}
        values |= {"quantile": {pl.Float64: NUMBER, pl.Int64: st.none() | st.integers(-9, 9)}[quantile], **OTHERS}
        types = {"plain": plain, "quantile": quantile, "shared": pl.String, "hashed": pl.String}
        types |= {"log2": pl.Int64, "float": pl.Float64}
        return sizes.flatmap(
            lambda n: st.fixed_dictionaries({k: st.lists(v, min_size=n, max_size=n) for k, v in values.items()}).map(
                lambda columns: pl.DataFrame(columns, schema=types)
            )
        )

    return st.tuples(
        st.sampled_from([pl.String, pl.Int64, pl.Float64]), st.sampled_from([pl.Float64, pl.Int64])
    ).flatmap(made)


SCHEMA = Schema(labels=(Label(name="y"),), fields=tuple(FIELDS.values()))


@settings(deadline=None, max_examples=60)
@given(train=frames(st.integers(1, 12)), new=frames(st.integers(1, 4)))
def test_is_column_wise(train, new):
    encoder = fit_encoder(train, SCHEMA)
    found = FewRows.of(encoder).encode(new)
    assert "shared" in found
    for name, codes in found.items():
        expected = encoder.column(FIELDS[name], new)
        assert codes.dtype == expected.dtype
        np.testing.assert_array_equal(codes, expected)
    table = encoder.encode(new)
    for name, field in FIELDS.items():
        np.testing.assert_array_equal(table.columns[name], encoder.column(field, new))


@pytest.fixture(scope="module")
def encoder():
    columns = {"plain": ["a", "b"], "shared": ["3", "c"], "hashed": ["u", "v"]}
    return fit_encoder(pl.DataFrame(columns | {"quantile": [1.0, 2.0], "log2": [1, 2], "float": [0.5, 1.5]}), SCHEMA)


def test_leaves_to_queries_what_it_does_not_know(encoder):
    few = FewRows.of(encoder)
    row = {"plain": ["a"], "hashed": ["u"], "log2": [3], "float": [0.5], "elsewhere": ["x"]}
    assert set(few.encode(pl.DataFrame(row))) == {"plain"}
    assert few.encode(pl.DataFrame({"plain": [True]})) == {}
    assert few.encode(pl.DataFrame({"plain": ["a"] * 5})) == {}
    assert few.encode(pl.DataFrame({"plain": []}, schema={"plain": pl.String})) == {}


def test_fields_of_a_vocabulary_share_its_dictionary(encoder):
    few = FewRows.of(encoder)
    assert few.codes["plain"][0] is few.codes["shared"][0]
