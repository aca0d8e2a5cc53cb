"""Random frames: what is stored is what was given, whatever the types, chunks and folders."""

import datetime as dt
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ctrsel.core.config import FieldConfig, IngestConfig, LabelConfig, SchemaConfig
from ctrsel.data.canonical import canonical_text, list_items
from ctrsel.data.ingest import ingest
from ctrsel.data.raw import RawRows
from ctrsel.data.table import Ragged, Table
from ctrsel.records.feature_set import OTHER, RESERVED, FeatureSet

ROWS = 60
TEXTS = st.one_of(
    st.sampled_from(
        ["a", "b", "", "3", "3.0", "-0", "nan", "NaN", " a", "é", "e\u0301", "\x00", "a,b", '"', "∞", "1e5"]
    ),
    st.text(max_size=6),
)
KINDS = {
    "text": (st.none() | TEXTS, pl.String),
    "int": (st.none() | st.integers(-(2**63), 2**63 - 1), pl.Int64),
    "small": (st.none() | st.integers(0, 255), pl.UInt8),
    "float": (st.none() | st.floats(width=64), pl.Float64),
    "bool": (st.none() | st.booleans(), pl.Boolean),
    "date": (st.none() | st.dates(), pl.Date),
    "time": (st.none() | st.datetimes(dt.datetime(1900, 1, 1), dt.datetime(2200, 1, 1)), pl.Datetime("us")),
    "list": (st.none() | st.lists(st.none() | TEXTS, max_size=4), pl.List(pl.String)),
    "numbers": (st.none() | st.lists(st.none() | st.integers(-5, 5), max_size=4), pl.List(pl.Int64)),
}


class Given(NamedTuple):
    """A frame and its schema, told in a line, so that a failure shows its cause and not sixty rows."""

    frame: pl.DataFrame
    schema: SchemaConfig

    def __repr__(self) -> str:
        return f"Given({', '.join(f'{n} {k}' for n, k in self.frame.schema.items())})"


@st.composite
def frames(draw) -> Given:
    columns, fields = {}, {}
    for i, kind in enumerate(draw(st.lists(st.sampled_from(sorted(KINDS)), min_size=1, max_size=4))):
        values, dtype = KINDS[kind]
        few = draw(st.lists(values, min_size=1, max_size=8))
        picks = draw(st.lists(st.integers(0, len(few) - 1), min_size=ROWS, max_size=ROWS))
        columns[f"{kind}{i}"] = pl.Series([few[p] for p in picks], dtype=dtype)
        fields[f"{kind}{i}"] = FieldConfig(kind="multivalued" if dtype.is_nested() else "categorical")
    frame = pl.DataFrame({"y": [0, 1] * (ROWS // 2), **columns})
    return Given(frame, SchemaConfig(label=LabelConfig(name="y"), fields=fields))


def texts(table: Table, field: str) -> list:
    """Return the text of each row's codes, None where missing, "(other)" where it has no code."""
    column, vocabulary = table.columns[field], table.encoder.vocabulary(field)
    names = np.array([None, "(other)", None, *vocabulary.texts(np.arange(RESERVED, vocabulary.size))], dtype=object)
    if isinstance(column, Ragged):
        return [names[column.codes[a:b]].tolist() for a, b in zip(column.offsets[:-1], column.offsets[1:], strict=True)]
    return names[np.asarray(column)].tolist()


@given(frames(), st.integers(1, 4))
@settings(max_examples=60, deadline=None)
def test_codes_are_decoded_to_what_was_given(given_frame, minimum) -> None:
    frame, schema = given_frame
    table = ingest(frame, schema=schema, settings=IngestConfig(min_count=minimum))
    inside = table.row[table.span("train")]
    for name in table.schema.names:
        raw = frame[name]
        expected = list_items(raw).to_list() if raw.dtype.is_nested() else canonical_text(raw).to_list()
        flat = [t for r in inside for t in (expected[r] if isinstance(expected[r], list) else [expected[r]])]
        frequent = {t for t in flat if t is not None and flat.count(t) >= minimum}

        def shown(text, known=frequent):
            return text if text is None or text in known else "(other)"

        wanted = [[shown(t) for t in e] if isinstance(e, list) else shown(e) for e in (expected[r] for r in table.row)]
        assert texts(table, name) == wanted


@given(frames(), st.integers(1, 70), st.booleans())
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_chunks_folders_and_containers_change_nothing(tmp_path_factory, given_frame, rows, spilled) -> None:
    frame, schema = given_frame
    digest = ingest(frame, schema=schema).digest
    folder = tmp_path_factory.mktemp("frames")
    frame.write_parquet(folder / "x.parquet", row_group_size=17)
    whole = RawRows.chunks
    tight = IngestConfig(memory_gb=1e-6) if spilled else IngestConfig()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RawRows, "chunks", lambda self, column, **more: whole(self, column, **{**more, "rows": rows}))
        stored = ingest(folder / "x.parquet", schema=schema, settings=tight, out=folder / "store")
    assert stored.digest == digest
    assert Table.load(folder / "store").digest == digest
    assert ingest({"train": frame}, schema=schema).digest == digest


@given(frames(), st.data())
@settings(max_examples=30, deadline=None)
def test_narrow_then_encode_is_encode_then_remap(given_frame, data) -> None:
    frame, schema = given_frame
    table = ingest(frame, schema=schema)
    remaps = {}
    for name, vocabulary in table.encoder.vocabularies.items():
        kept = np.array(data.draw(st.lists(st.booleans(), min_size=vocabulary.size, max_size=vocabulary.size)))
        kept[:RESERVED] = True
        remap = np.full(vocabulary.size, OTHER, dtype=np.uint32)
        remap[kept] = np.arange(kept.sum())
        remaps[name] = remap
    features = FeatureSet(
        fields=table.schema.names, remaps=remaps, encoder=table.encoder.digest, method="drawn", params={}
    )
    narrowed = table.narrow(features)
    again = narrowed.encoder.encode(frame[table.row])
    for name in narrowed.schema.names:
        a, b = narrowed.columns[name], again.columns[name]
        if isinstance(a, Ragged):
            assert isinstance(b, Ragged)
            assert np.array_equal(a.offsets, b.offsets)
            a, b = a.codes, b.codes
        assert np.array_equal(a, b)


def test_columns_of_one_table_may_lie_in_files_of_all_kinds(tmp_path: Path) -> None:
    rows = 90
    frame = pl.DataFrame({"y": [0, 1] * (rows // 2), "a": [i % 7 for i in range(rows)]})
    parts = [frame.head(30), frame.slice(30, 30), frame.tail(30)]
    parts[0].write_parquet(tmp_path / "1.parquet")
    parts[1].select("a", "y").cast(pl.String).write_ipc(tmp_path / "2.arrow")
    parts[2].cast(pl.Float64).write_csv(tmp_path / "3.csv")
    table = ingest(f"{tmp_path}/*.*", label="y")
    kinds = FieldConfig(kind="categorical")
    whole = ingest(frame, schema=SchemaConfig(label=LabelConfig(name="y"), fields={"a": kinds}))
    assert table.digest == whole.digest
