"""Crosses of a table: the codes of rows and of raw texts agree, counted on training rows alone."""

from __future__ import annotations

import contextlib
from collections import Counter
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctrsel.core.config import FieldConfig, IngestConfig, LabelConfig, SchemaConfig
from ctrsel.core.errors import ConfigError, DataError
from ctrsel.data import _text_bytes, cross_rows, crosses, texts
from ctrsel.data.cross_texts import split_text
from ctrsel.data.crosses import cross_cells, cross_field
from ctrsel.data.encoder import Encoder
from ctrsel.data.encoder_fit import fit_encoder
from ctrsel.data.table import Table
from ctrsel.data.text_rows import TextPlan
from ctrsel.records.feature_set import HIDDEN, MISSING, OTHER, RESERVED, FeatureSet
from ctrsel.records.schema import Field, Label, Schema
from ctrsel.testing.tables import sequence_table, tiny_frame, tiny_table

TEXT = st.one_of(
    st.none(),
    st.sampled_from(
        [
            "",
            "a",
            "b",
            "3",
            "3.0",
            "(missing)",
            "\\(missing)",
            "a \u00d7 b",
            " \u00d7 ",
            "\\",
            "\u00d7",
            "\\\u00d7",
            " a",
            "|",
        ]
    ),
    st.text(alphabet="ab\\\u00d7 (", max_size=4),
)
NUMBER = st.one_of(st.none(), st.just(""), st.floats(allow_nan=True).map(repr), st.integers(-5, 90).map(str))
KINDS = {
    "x": Field(name="x", kind="categorical", vocabulary="x"),
    "y": Field(name="y", kind="categorical", vocabulary="y", min_count=2),
    "z": Field(name="z", kind="categorical", vocabulary="x"),
    "q": Field(name="q", kind="numeric", bucket="quantile", bins=4, vocabulary="q"),
    "l": Field(name="l", kind="numeric", bucket="log2", vocabulary="l"),
}
ROW = st.fixed_dictionaries({n: NUMBER if n in ("q", "l") else TEXT for n in KINDS})
PAIRS = (("x", "y"), ("y", "q"), ("x", "z"), ("l", "q"), ("x", "y", "l"))


def raw(rows: list[dict[str, str | None]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=dict.fromkeys(KINDS, pl.String))


def table_of(rows: list[dict[str, str | None]], *, train: int) -> Table:
    """The first rows are fitted on and are the training split; the codes of all rows are the Encoder's own."""
    schema = Schema(labels=(Label(name="click"),), fields=tuple(KINDS.values()))
    made = fit_encoder(raw(rows[:train]), schema).encode(raw(rows))
    labels = np.zeros((len(rows), 1), dtype=np.float32)
    return replace(made, labels=labels, splits={"train": (0, train), "valid": (train, len(rows))})


def any_crossed(table: Table, *, min_count: int) -> Table:
    for parts in PAIRS:
        with contextlib.suppress(DataError):  # no combination is frequent enough
            table = table.crossed([parts], min_count=min_count)
    return table


def agree(table: Table, frame: pl.DataFrame) -> None:
    """The Encoder makes the table's codes of the raw rows, all at once, one at a time, and column by column."""
    whole, plan = table.encoder.encode(frame), TextPlan.of(table.encoder)
    by_row = plan.encode(frame)
    for name, column in table.columns.items():
        field = table.schema.field(name)
        np.testing.assert_array_equal(whole.columns[name], column, err_msg=name)
        assert whole.columns[name].dtype == column.dtype
        np.testing.assert_array_equal(table.encoder.column(field, frame), column)
        inputs = [table.schema.input(p) for p in field.parts or (name,)]
        texts_only = all(f.kind == "categorical" for f in inputs)
        few = table.encoder.vocabulary(name).values.enum is not None or not field.is_cross
        assert (name in by_row) == (texts_only or (few and all(f.bucket in (None, "quantile") for f in inputs)))
    for i in range(frame.height):
        one = table.encoder.encode(frame[i : i + 1])
        assert [int(c[0]) for c in one.columns.values()] == [int(c[i]) for c in table.columns.values()]


@settings(deadline=None, max_examples=25)
@given(
    train=st.lists(ROW, min_size=1, max_size=14),
    new=st.lists(ROW, max_size=8),
    min_count=st.integers(1, 3),
    form=st.fixed_dictionaries(
        {"large": st.booleans(), "sparse": st.booleans(), "narrow": st.none() | st.integers(0, 99)}
    ),
)
def test_codes_of_rows_are_codes_of_raw_rows(train, new, min_count, form, any_features):
    with pytest.MonkeyPatch.context() as patch:
        if form["large"]:
            patch.setattr(texts, "SMALL", 0)
            patch.setattr(_text_bytes, "FEW", 0)
        if form["sparse"]:
            patch.setattr(crosses, "_DENSE", 0)
            patch.setattr(crosses, "_HELD", 3)
            patch.setattr(crosses, "_PIECE", 4)
            patch.setattr(cross_rows, "_DENSE", 0)
        rows = train + new
        table = any_crossed(table_of(rows, train=len(train)), min_count=min_count)
        agree(table, raw(rows))
        if form["narrow"] is not None:
            agree(table.narrow(any_features(table.encoder, form["narrow"])), raw(rows))


@settings(deadline=None, max_examples=15)
@given(train=st.lists(ROW, min_size=2, max_size=20), narrow=st.integers(0, 99), min_count=st.integers(1, 3))
def test_a_merged_table_can_be_crossed(train, narrow, min_count, any_features):
    table = table_of(train, train=len(train))
    features = any_features(table.encoder, narrow)
    merged = table.narrow(replace(features, fields=table.schema.names, remaps=_remaps(table.encoder, features)))
    agree(any_crossed(merged, min_count=min_count), raw(train))


def _remaps(encoder: Encoder, features: FeatureSet) -> dict[str, np.ndarray]:
    """Every vocabulary is mapped; those that the features forget keep their first value and merge all others."""
    made = dict(features.remaps)
    for name, v in encoder.vocabularies.items():
        if name not in made:
            made[name] = np.minimum(np.arange(v.size), RESERVED + 1).astype(np.uint32)
    return made


@settings(deadline=None, max_examples=25)
@given(rows=st.lists(ROW, min_size=1, max_size=25), min_count=st.integers(1, 3))
def test_counts_and_codes_by_hand(rows, min_count):
    table = table_of(rows, train=len(rows))
    a, b = (table.columns[n].tolist() for n in ("x", "y"))
    names = [table.encoder.vocabulary(n) for n in ("x", "y")]
    told = Counter(
        tuple(None if c == MISSING else v.texts(np.array([c]))[0] for c, v in zip(pair, names, strict=True))
        for pair in zip(a, b, strict=True)
        if OTHER not in pair and HIDDEN not in pair and pair != (MISSING, MISSING)
    )
    kept = {k: n for k, n in told.items() if n >= min_count}
    if not kept:
        with pytest.raises(DataError, match=f"in {min_count} training rows or more"):
            table.crossed([("x", "y")], min_count=min_count)
        return
    vocabulary = table.crossed([("x", "y")], min_count=min_count).encoder.vocabulary("x*y")
    values = vocabulary.values.to_list()
    assert {split_text(t): int(vocabulary.counts[c]) for t, c in zip(values, vocabulary.codes, strict=True)} == kept
    # By falling count, ties by text.
    order = sorted(values, key=lambda t: (-kept[split_text(t)], t.encode()))
    assert vocabulary.texts(np.arange(RESERVED, vocabulary.size)) == order
    missing = sum(p == (MISSING, MISSING) for p in zip(a, b, strict=True))
    assert vocabulary.counts[:RESERVED].tolist() == [missing, len(rows) - missing - sum(kept.values()), 0]


def test_only_training_rows_are_counted():
    rows = [{"x": "a", "y": "b"}] * 4 + [{"x": "b", "y": "b"}] * 4
    table = table_of([{**dict.fromkeys(KINDS), **r} for r in rows], train=5)
    made = table.crossed([("x", "y")], min_count=2)
    assert made.encoder.vocabulary("x*y").values.to_list() == ["a \u00d7 b"]
    assert made.columns["x*y"].tolist() == [3] * 4 + [OTHER] * 4
    assert made.encoder.vocabulary("x*y").counts.tolist() == [0, 1, 0, 4]


def test_passes_do_not_change_the_cells(monkeypatch):
    table = tiny_table(rows=3000)
    field = cross_field(table.schema, ("ad", "noise"), min_count=20)
    dense = cross_cells(table, field)
    monkeypatch.setattr(crosses, "_DENSE", 10)
    monkeypatch.setattr(crosses, "_HELD", 500)
    monkeypatch.setattr(crosses, "_PIECE", 130)
    sparse = cross_cells(table, field)
    assert np.array_equal(dense.keys, sparse.keys)
    assert np.array_equal(dense.counts, sparse.counts)
    assert (dense.missing, dense.other) == (sparse.missing, sparse.other)
    one = table.crossed([("ad", "noise")], min_count=20)
    monkeypatch.undo()
    assert table.crossed([("ad", "noise")], min_count=20).digest == one.digest


def test_a_mapped_table_is_crossed_from_its_files(tmp_path, monkeypatch):
    table = tiny_table()
    table.save(tmp_path / "table")
    whole = table.crossed([("site", "ad")])
    monkeypatch.setattr(crosses, "available_memory", lambda: 0)
    made = Table.load(tmp_path / "table").crossed([("site", "ad")], scratch=tmp_path)
    assert isinstance(made.columns["site*ad"], np.memmap)
    assert made.digest == whole.digest
    assert {p.name for p in tmp_path.iterdir()} == {"table"}


def test_saved_and_loaded(tmp_path):
    table = tiny_table().crossed([("site", "ad"), ("site", "ad", "hour")], min_count=2)
    small = table.encoder.narrow(_only(table, "site*ad*hour", "noise"))
    small.save(tmp_path / "encoder")
    again = Encoder.load(tmp_path / "encoder")
    assert again.digest == small.digest
    assert again.schema == small.schema
    assert '"version": 3' in (tmp_path / "encoder" / "manifest.json").read_text()
    table.save(tmp_path / "table")
    assert Table.load(tmp_path / "table").encoder.schema == table.schema
    tiny_table().encoder.save(tmp_path / "plain")
    assert '"version": 2' in (tmp_path / "plain" / "manifest.json").read_text()


def _only(table: Table, *names: str) -> FeatureSet:
    keep = {n: np.ones(v.size, dtype=bool) for n, v in table.encoder.vocabularies.items()}
    return FeatureSet.from_keep(keep, fields=names, method="hand", params={}, encoder=table.encoder.digest)


def test_a_dropped_part_is_still_read():
    frame = tiny_frame()
    table = tiny_table().crossed([("site", "hour")], min_count=2)
    small = table.narrow(_only(table, "ad", "site*hour"))
    assert small.schema.names == ("ad", "site*hour")
    assert [f.name for f in small.schema.inputs] == ["ad", "site", "hour"]
    assert set(small.encoder.vocabularies) == {"ad", "site*hour"}
    assert set(small.encoder.edges) == {"hour"}
    again = small.encoder.encode(frame[table.row].select("hour", "ad", "site"))
    for name in small.schema.names:
        np.testing.assert_array_equal(again.columns[name], small.columns[name])
    # A kept part is read as itself; where no kept cross needs a column, it is forgotten.
    with_site = small.encoder.schema.only(("ad",))
    assert [f.name for f in with_site.inputs] == ["ad"]
    third = small.narrow(_only(small, "ad"))
    assert third.encoder.edges == {}
    assert "parts" not in str(third.schema.to_dict())


def test_a_row_of_other_types():
    table = tiny_table().crossed([("site", "noise"), ("noise", "hour")], min_count=1)
    frame = tiny_frame()[table.row]
    one = table.encoder.encode(frame[:1].cast({"noise": pl.Float64}))
    assert [int(one.columns[n][0]) for n in table.schema.names[-2:]] == [
        int(table.columns[n][0]) for n in table.schema.names[-2:]
    ]
    absent = table.encoder.encode(frame.drop("noise", "hour"))
    assert set(absent.columns["noise*hour"]) == {MISSING}
    assert OTHER in absent.columns["site*noise"]
    with pytest.raises(DataError, match="hour"):
        table.encoder.encode(pl.DataFrame({"hour": ["soon"]}))


def test_what_a_cross_inherits():
    schema = Schema(
        labels=(Label(name="click"),),
        fields=(
            Field(name="a", kind="categorical", vocabulary="a", cost=1.5, sensitive=True),
            Field(name="b", kind="categorical", vocabulary="b", cost=2.0, available_at="after"),
            Field(name="c", kind="categorical", vocabulary="c"),
        ),
    )
    ab, bc = cross_field(schema, ("a", "b")), cross_field(schema, ("b", "c"), min_count=7)
    assert (ab.cost, ab.sensitive, ab.available_at, ab.parts) == (3.5, True, "after", ("a", "b"))
    assert (bc.name, bc.cost, bc.sensitive, bc.min_count) == ("b*c", 2.0, False, 7)
    assert cross_field(schema, ("a", "c")).available_at == "before"


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (("site", "adx"), "unknown field 'adx'; did you mean 'ad'"),
        (("site",), "2 to 3 different fields"),
        (("site", "site"), "2 to 3 different fields"),
        (("site", "ad", "noise", "id"), "2 to 3 different fields"),
        ("ad", "2 to 3 different fields"),
        (("site", "load"), "'load' stays a float; give it buckets"),
        (("ad*site", "hour"), r"is a cross itself; name its parts \['ad', 'site'\]"),
        (("site", "ad"), r"has the cross 'ad\*site' already"),
    ],
)
def test_refusals(parts, message):
    table = tiny_table().crossed([("ad", "site")])
    with pytest.raises(ConfigError, match=message):
        table.crossed([parts])


def test_lists_hashes_taken_names_and_bounds_are_refused():
    with pytest.raises(ConfigError, match="'tags' holds a list"):
        sequence_table().crossed([("item", "tags")])
    fields = {"ad": FieldConfig(hash_buckets=5), "site*noise": FieldConfig(kind="categorical")}
    from ctrsel.data.ingest import ingest

    frame = tiny_frame().with_columns(pl.col("id").alias("site*noise"))
    table = ingest(frame, schema=SchemaConfig(label=LabelConfig(name="click"), fields=fields), settings=IngestConfig())
    with pytest.raises(ConfigError, match="'ad' has hash buckets"):
        table.crossed([("site", "ad")])
    with pytest.raises(ConfigError, match="a column has this name already"):
        table.crossed([("site", "noise")])
    with pytest.raises(ConfigError, match="min_count must be at least 1, got 0"):
        table.crossed([("noise", "site")], min_count=0)
    with pytest.raises(DataError, match="no split 'train'"):
        table.take(np.arange(5)).crossed([("noise", "site")])


def test_joint_texts_have_a_bound(monkeypatch):
    monkeypatch.setattr(crosses, "_TEXTS", 3)
    with pytest.raises(DataError, match="joint texts, and at most 3 can be held; raise min_count"):
        tiny_table().crossed([("site", "ad")], min_count=1)


def test_too_many_cells_are_refused():
    table = tiny_table()
    big = replace(table.encoder.vocabulary("ad"), counts=np.zeros(2**31, dtype=np.uint8))  # never touched
    encoder = replace(table.encoder, vocabularies={**table.encoder.vocabularies, "ad": big, "site": big, "id": big})
    with pytest.raises(DataError, match="more cells together than"):
        replace(table, encoder=encoder).crossed([("site", "ad", "id")])


def test_an_encoder_with_crosses_does_not_grow_and_is_not_fitted(tmp_path):
    from ctrsel.data.append import append

    table = tiny_table().crossed([("site", "ad")])
    with pytest.raises(DataError, match=r"'site\*ad' is a cross, which does not grow"):
        table.encoder.grow(table.encoder.vocabularies)
    with pytest.raises(DataError, match=r"'site\*ad' is a cross"):
        fit_encoder(tiny_frame(), table.schema)
    table.save(tmp_path / "crossed")
    with pytest.raises(DataError, match=r"holds the cross 'site\*ad'; append to the table that it was made from"):
        append(tmp_path / "crossed", tiny_frame())
