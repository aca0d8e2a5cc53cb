"""The polars form: the written file, run without the package, makes the columns that `transform` makes."""

import datetime as dt
import subprocess
import sys
from decimal import Decimal

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ctrsel.core.config import FieldConfig, LabelConfig, SchemaConfig
from ctrsel.core.errors import ConfigError
from ctrsel.data.applied import AppliedFeatureSet
from ctrsel.data.canonical import WHOLE_FLOAT, canonical_text, numeric_values
from ctrsel.data.ingest import ingest
from ctrsel.data.polars_form import to_polars
from ctrsel.data.stand_alone import _WHOLE, _number, _text
from ctrsel.records.feature_set import FeatureSet


def loaded(source: str) -> dict:
    names: dict = {"__name__": "exported"}
    exec(compile(source, "exported.py", "exec"), names)
    return names


@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_the_file_makes_what_transform_makes(data, any_tables, any_features) -> None:
    table, raw = data.draw(any_tables())
    applied = AppliedFeatureSet.of(any_features(table.encoder, data.draw(st.integers(0, 999))), table.encoder)
    made = loaded(to_polars(applied))
    expected = applied.transform(raw)
    assert made["transform"](raw).equals(expected)
    assert made["transform"](raw.lazy()).collect().equals(expected)
    some = raw.select(raw.columns[1:]).with_columns(z=1)  # without a column, and with one that is not read
    assert made["transform"](some).equals(applied.transform(some))


@pytest.mark.parametrize(
    "column",
    [
        pl.Series([1.0, 2.5, None, float("nan"), float("inf"), -0.0, 1e20, 2.0**53, 2.0**53 - 1]),
        pl.Series([1.0, 2.5, 0.1], dtype=pl.Float32),
        pl.Series([1.0, 2.5, 0.1], dtype=pl.Float16),
        pl.Series([Decimal("1.50"), Decimal("2.00"), None]),
        pl.Series([Decimal(10), Decimal(200)], dtype=pl.Decimal(20, 0)),
        pl.Series([2**63, 5], dtype=pl.UInt64),
        pl.Series([True, None, False]),
        pl.Series([None, None]),
        pl.Series(["a", "", "3.0", "-0.0", "v3.0", "9007199254740991.0", "9007199254740993.0"]),
        pl.Series(["a", "b", None], dtype=pl.Categorical),
        pl.Series(["a", "3.0"], dtype=pl.Enum(["a", "3.0"])),
        pl.Series([dt.date(2024, 1, 2), None]),
        pl.Series([dt.time(1, 2, 3)]),
        pl.Series([dt.timedelta(seconds=1), None, -dt.timedelta(milliseconds=3)], dtype=pl.Duration("ms")),
        pl.Series([dt.timedelta(seconds=1), None, -dt.timedelta(microseconds=3)]),
        pl.Series([1, -1, 1_500, 2_000, -2_010, None, 0], dtype=pl.Int64).cast(pl.Duration("ns")),
        pl.Series([dt.datetime(2024, 1, 2), dt.datetime(2024, 1, 2, 3, 4, 5, 600)], dtype=pl.Datetime("ms")),
        pl.Series([dt.datetime(2024, 1, 2, 10)], dtype=pl.Datetime("ns", "Asia/Tokyo")),
    ],
)
def test_texts_of_every_type(column: pl.Series) -> None:
    frame = column.to_frame("x")
    assert frame.select(_text(pl.col("x"), column.dtype))["x"].to_list() == canonical_text(column).to_list()
    if column.dtype not in (pl.String, pl.Categorical, pl.Enum):
        found = frame.select(_number(pl.col("x"), column.dtype)).to_series()
        assert found.to_list() == numeric_values(column).to_list()


def test_whole_numbers_are_told_by_the_same_rule() -> None:
    near = [*range(2**53 - 3000, 2**53 + 3000), *(10**k + d for k in range(18) for d in (-1, 0, 1))]
    rng = np.random.default_rng(0)
    near += rng.integers(9 * 10**15, 91 * 10**14, 3000).tolist()
    texts = pl.Series([f"{sign}{n}.0" for n in near for sign in ("", "-")])
    assert texts.str.contains(_WHOLE).equals(texts.str.contains(WHOLE_FLOAT))


def test_a_text_that_is_no_number_is_an_error() -> None:
    with pytest.raises(pl.exceptions.InvalidOperationError):
        pl.DataFrame({"x": ["1", "b"]}).select(_number(pl.col("x"), pl.String()))


def test_the_file_needs_polars_alone(tmp_path) -> None:
    frame = pl.DataFrame({"ad": ["a'\"\\", "b"] * 20, "x": [0.5, 7.0] * 20, "y": [0, 1] * 20})
    kinds = {"x": FieldConfig(kind="numeric", bucket="quantile", bins=2)}
    table = ingest(frame, schema=SchemaConfig(label=LabelConfig(name="y"), fields=kinds))
    keep = {n: np.ones(v.size, bool) for n, v in table.encoder.vocabularies.items()}
    features = FeatureSet.from_keep(keep, fields=("ad", "x"), method="toy", params={}, encoder=table.encoder.digest)
    (tmp_path / "kept.py").write_text(to_polars(AppliedFeatureSet.of(features, table.encoder)), encoding="utf-8")
    frame.write_parquet(tmp_path / "raw.parquet")
    program = (
        "import sys, polars as pl; from kept import transform; "
        "print(transform(pl.scan_parquet('raw.parquet')).head(2).collect().rows()); assert 'ctrsel' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=400
    )
    assert eval(done.stdout) == [("a'\"\\", "under 7"), ("b", "7 or more")]


def test_hash_buckets_are_refused() -> None:
    frame = pl.DataFrame({"ad": ["a", "b"] * 20, "y": [0, 1] * 20})
    fields = {"ad": FieldConfig(kind="categorical", hash_buckets=3)}
    table = ingest(frame, schema=SchemaConfig(label=LabelConfig(name="y"), fields=fields))
    keep = {n: np.ones(v.size, bool) for n, v in table.encoder.vocabularies.items()}
    features = FeatureSet.from_keep(keep, fields=("ad",), method="toy", params={}, encoder=table.encoder.digest)
    with pytest.raises(ConfigError, match="'ad': has hash buckets"):
        to_polars(AppliedFeatureSet.of(features, table.encoder))
