"""FeatureSets, tables and raw rows of any kind for the tests of the data layer."""

import contextlib
import datetime as dt
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import strategies as st

from ctrsel.core.config import FieldConfig, LabelConfig, SchemaConfig
from ctrsel.core.errors import DataError
from ctrsel.data.encoder import Encoder
from ctrsel.data.ingest import ingest
from ctrsel.data.raw import RawRows, Shard
from ctrsel.data.table import Table
from ctrsel.records.feature_set import OTHER, RESERVED, FeatureSet


def random_features(encoder: Encoder, seed: int) -> FeatureSet:
    """Keep some fields; keep, merge or drop values of every vocabulary at random."""
    rng = np.random.default_rng(seed)
    names = [n for n in encoder.schema.names if rng.random() < 0.7] or [encoder.schema.names[0]]
    remaps = {}
    for name, v in encoder.vocabularies.items():
        n = v.size - RESERVED
        label = rng.integers(0, max(int(n * rng.choice([0.3, 1, 3])), 1) + 1, n)
        label[rng.random(n) < rng.choice([0.0, 0.3, 1.0])] = -1
        new = np.full(n, OTHER)
        if (label >= 0).any():
            new[label >= 0] = RESERVED + np.unique(label[label >= 0], return_inverse=True)[1]
        remaps[name] = np.concatenate([np.arange(RESERVED), new]).astype(np.uint32)
    return FeatureSet(fields=tuple(names), remaps=remaps, method="random", params={}, encoder=encoder.digest)


@pytest.fixture(scope="session")
def any_features():
    return random_features


def raw_rows(*columns: list | pl.Series, parts: tuple[str, ...] = ("train",) * 9) -> RawRows:
    shards = tuple(
        Shard(part=p, name="frame", source=pl.DataFrame({"x": c}), rows=len(c))
        for p, c in zip(parts, columns, strict=False)
    )
    return RawRows(shards=shards, columns=("x",))


@pytest.fixture(scope="session")
def raw():
    """Raw rows of one column `x`, a shard for each argument."""
    return raw_rows


ROWS = 60
HOSTILE = (
    "a", "b", "", "3", "3.0", "-0", "-0.0", "007.0", "nan", "NULL", " a", "é", "e\u0301", "a,b", '"', "'", "''", "a'; --",
    "'; DROP TABLE clicks; --", "\\", "\\'", "%s", "{x}", "$1", ":p", "?", "<script>alert(1)</script>", "=cmd()|' /C calc'!A0",
    "(other)", "(other)_", "(missing)", "a \u00d7 b", "∞", "1e5", "true", "2024-01-02", "\n", "\t", "[1, 2]", "a|b",
    "9007199254740991.0", "9007199254740993.0", "\U0001f600", "None", '"""', "\r\n",
)  # fmt: skip
TEXTS = st.one_of(
    st.sampled_from(HOSTILE), st.text(st.characters(exclude_characters="\x00", codec="utf-8"), max_size=6)
)
NUMBERS = st.one_of(st.sampled_from([0.0, -0.0, 0.1, 0.1 + 0.2, 2.0, 3.0, 1e20, -7.5]), st.floats(-1e6, 1e6))
KINDS: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "text": (st.none() | TEXTS, pl.String, {}),
    "int": (st.none() | st.integers(-(2**63), 2**63 - 1), pl.Int64, {"kind": "categorical"}),
    "bool": (st.none() | st.booleans(), pl.Boolean, {}),
    "date": (st.none() | st.dates(), pl.Date, {"kind": "categorical"}),
    "time": (
        st.none() | st.datetimes(dt.datetime(1900, 1, 1), dt.datetime(2200, 1, 1)),
        pl.Datetime("us"),
        {"kind": "categorical"},
    ),
    "float": (st.none() | NUMBERS, pl.Float64, {"kind": "categorical"}),
    "log": (st.none() | NUMBERS, pl.Float64, {"kind": "numeric", "bucket": "log2"}),
    "range": (st.none() | NUMBERS, pl.Float64, {"kind": "numeric", "bucket": "quantile", "bins": 4}),
    "digits": (
        st.none() | st.sampled_from(["", "1", " 2 ", "3.5", "-1e3", "7"]),
        pl.String,
        {"kind": "numeric", "bucket": "quantile", "bins": 3},
    ),
    "plain": (st.none() | NUMBERS, pl.Float64, {"kind": "numeric", "bucket": "none"}),
    "list": (st.none() | st.lists(st.none() | TEXTS, max_size=4), pl.List(pl.String), {"kind": "multivalued"}),
    "last": (
        st.none() | st.lists(st.integers(-5, 5), max_size=4),
        pl.List(pl.Int64),
        {"kind": "sequence", "max_length": 2},
    ),
    "split": (
        st.none() | st.sampled_from(["a|b", "", "|", '["a", null, 1.50]', "[1", "[a]|b", "c|3.0"]),
        pl.String,
        {"kind": "multivalued"},
    ),
}


@st.composite
def _tables(draw, kinds=tuple(KINDS), crosses=True) -> tuple[Table, pl.DataFrame]:
    """Draw a table of hostile values and further raw rows, which hold values that it has not seen."""
    columns, more, fields = {}, {}, {}
    for i, kind in enumerate(draw(st.lists(st.sampled_from(sorted(kinds)), min_size=1, max_size=4))):
        values, dtype, config = KINDS[kind]
        few = draw(st.lists(values, min_size=1, max_size=8))
        pick = st.lists(st.integers(0, len(few) - 1), min_size=ROWS, max_size=ROWS)
        name = draw(st.sampled_from(["", "the ", 'q"', "'", "`", "x;--", "\\", "é"])) + f"{kind}{i}"
        columns[name] = pl.Series([few[p] for p in draw(pick)], dtype=dtype)
        new = few + draw(st.lists(values, max_size=5))
        more[name] = pl.Series(new, dtype=dtype)
        fields[name] = FieldConfig(**config) if config else FieldConfig(kind="categorical")
    frame = pl.DataFrame({"y": [0, 1] * (ROWS // 2), **columns})
    table = ingest(frame, schema=SchemaConfig(label=LabelConfig(name="y"), fields=fields))
    able = [f.name for f in table.schema.fields if not f.is_float and not f.is_list]
    if crosses and len(able) > 1 and draw(st.booleans()):
        with contextlib.suppress(DataError):  # no two values come together often enough
            table = table.crossed([tuple(able[: draw(st.integers(2, 3))])], min_count=1)
    height = max(map(len, more.values()))
    raw = pl.DataFrame({n: s.extend_constant(None, height - len(s)) for n, s in more.items()})
    return table, pl.concat([frame.drop("y"), raw])


@pytest.fixture(scope="session")
def any_tables():
    """A strategy of tables of hostile values, with raw rows for them."""
    return _tables
