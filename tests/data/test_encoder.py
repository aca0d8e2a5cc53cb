from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctrsel.core.config import FieldConfig, IngestConfig, LabelConfig, SchemaConfig, SplitConfig
from ctrsel.core.errors import DataError
from ctrsel.data import texts as texts_module
from ctrsel.data import vocabulary_files
from ctrsel.data.encoder import Encoder
from ctrsel.data.encoder_fit import fit_encoder
from ctrsel.data.ingest import ingest
from ctrsel.data.table import Ragged, Table
from ctrsel.data.texts import SortedTexts
from ctrsel.data.vocabulary import smallest_uint
from ctrsel.records.feature_set import MISSING, OTHER, RESERVED, FeatureSet
from ctrsel.records.schema import Field, Label, Schema
from ctrsel.testing.tables import sequence_frame, sequence_table, tiny_frame, tiny_table

TABLES = {
    "tiny": (tiny_frame(rows=300), tiny_table(rows=300)),
    "sequence": (sequence_frame(rows=200), sequence_table(rows=200)),
}


def same(a: Table, b: Table) -> None:
    assert list(a.columns) == list(b.columns)
    for name, x in a.columns.items():
        y = b.columns[name]
        if isinstance(x, Ragged):
            assert np.array_equal(x.offsets, y.offsets)
            assert np.array_equal(x.codes, y.codes)
            assert x.codes.dtype == y.codes.dtype
        else:
            assert x.dtype == y.dtype
            assert np.array_equal(x, y, equal_nan=x.dtype.kind == "f")


def schema(*fields: Field) -> Schema:
    return Schema(labels=(Label(name="y"),), fields=fields)


@pytest.mark.parametrize("name", TABLES)
def test_encoding_the_raw_rows_gives_the_ingested_table(name: str) -> None:
    frame, table = TABLES[name]
    again = table.encoder.encode(frame[table.row])
    same(again, table)
    assert again.labels is None
    same(table.encoder.encode(frame[table.row].drop("click")[:, ::-1]), table)  # columns by name, no label needed


@pytest.mark.parametrize("name", TABLES)
def test_decode_gives_the_value_back(name: str) -> None:
    frame, table = TABLES[name]
    for field in table.code_fields:
        of = table.schema.field(field)
        if of.kind != "categorical":
            continue
        texts = table.encoder.vocabulary(field).texts(table.columns[field])
        raw = ["(missing)" if v is None else str(v) for v in frame[field][table.row].to_list()]
        train = table.span("train")
        assert texts[train] == raw[train]
        seen = set(raw[train])
        for text, value, code in zip(texts, raw, table.columns[field].tolist(), strict=True):
            assert text == value or (code == OTHER and value not in seen)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), name=st.sampled_from(list(TABLES)))
def test_narrow_then_encode_is_encode_then_remap(seed: int, name: str, any_features) -> None:
    frame, table = TABLES[name]
    features = any_features(table.encoder, seed)
    narrow = table.narrow(features)
    same(narrow.encoder.encode(frame[table.row]), narrow)
    assert list(narrow.columns) == list(features.fields)
    for field in narrow.code_fields:
        remap = features.remaps[table.schema.field(field).vocabulary]
        assert np.array_equal(narrow.columns[field], remap[table.columns[field]])
    kept = {table.schema.field(f).vocabulary for f in features.fields if not table.schema.field(f).is_float}
    assert set(narrow.encoder.vocabularies) == kept
    assert narrow.encoder.n_values == sum(len(set(features.remaps[v][RESERVED:]) - {OTHER}) for v in kept)
    assert narrow.n_rows == table.n_rows
    assert dict(narrow.splits) == dict(table.splits)
    # Narrowing again to everything changes nothing.
    keep = {k: np.ones(v.size, bool) for k, v in narrow.encoder.vocabularies.items()}
    whole = FeatureSet.from_keep(keep, fields=features.fields, method="m", params={}, encoder=narrow.encoder.digest)
    same(narrow.narrow(whole), narrow)


def test_fitted_on_training_only() -> None:
    train = pl.DataFrame({"y": [0, 1] * 60, "a": ["x", "z"] * 60, "n": np.arange(120.0), "f": np.arange(120.0)})
    test = train.head(20).with_columns(a=pl.lit("only in test"), n=pl.lit(1e6), f=pl.lit(1e6))
    config = SchemaConfig(label=LabelConfig(name="y"), fields={"f": FieldConfig(bucket="none")})
    a = ingest({"train": train, "valid": train, "test": test}, schema=config)
    b = ingest({"train": train, "valid": train, "test": train}, schema=config)
    assert a.encoder.digest == b.encoder.digest
    assert (a.part("test").columns["a"] == OTHER).all()
    assert (
        set(a.part("test").columns["n"]) == {a.part("train").columns["n"].max()}
        or len(set(a.part("test").columns["n"])) == 1
    )
    assert a.encoder.moments["f"] == pytest.approx((59.5, np.arange(120).std()))
    assert a.encoder.vocabulary("a").values.to_list() == ["x", "z"]


def test_absent_columns_are_missing_and_strange_ones_are_not_read() -> None:
    frame, table = TABLES["sequence"]
    encoded = table.encoder.encode(pl.DataFrame({"item": [1, 2], "strange": [[b"x"], None]}))
    assert (encoded.columns["user"] == MISSING).all()
    assert encoded.columns["history"].offsets.tolist() == [0, 0, 0]
    empty = table.encoder.encode(frame.head(0))
    assert empty.n_rows == 0
    assert table.encoder.encode(pl.DataFrame({"item": []})).n_rows == 0
    assert np.isnan(TABLES["tiny"][1].encoder.encode(pl.DataFrame({"ad": ["ad01"]})).columns["load"]).all()


def test_types_do_not_matter_at_serving() -> None:
    _, table = TABLES["sequence"]
    as_numbers = table.encoder.encode(pl.DataFrame({"item": [3, 4], "history": [[3], [4, 3]]}))
    for frame in (
        pl.DataFrame({"item": ["3", "4"], "history": ["3", "4|3"]}),
        pl.DataFrame({"item": [3.0, 4.0], "history": [[3.0], [4.0, 3.0]]}),
        pl.DataFrame({"item": pl.Series(["3", "4"], dtype=pl.Categorical), "history": [["3"], ["4", "3"]]}),
    ):
        same(table.encoder.encode(frame), as_numbers)


def test_sequences_keep_their_last_events_and_share_codes() -> None:
    frame, table = TABLES["sequence"]
    lists = table.columns["history"]
    texts = table.encoder.vocabulary("item")
    for i, row in enumerate(table.row[:50].tolist()):
        codes = lists.codes[lists.offsets[i] : lists.offsets[i + 1]]
        assert texts.texts(codes) == [str(v) for v in frame["history"][row].to_list()[-5:]]
    assert list(table.encoder.vocabularies) == ["user", "item", "tags"]
    assert table.encoder.offset("history") == table.encoder.offset("item") == table.encoder.offsets["item"]
    assert table.encoder.total_codes == sum(v.size for v in table.encoder.vocabularies.values())
    counts = table.encoder.vocabulary("item").counts
    train = table.part("train")
    assert counts.sum() == train.n_rows + len(train.columns["history"].codes)


def test_floats_standardise_and_infinities_are_missing() -> None:
    field = Field(name="f", kind="numeric", bucket="none", vocabulary="f")
    encoder = fit_encoder(pl.DataFrame({"f": [1.0, 3.0, None, float("inf"), 1e300, -1e300]}), schema(field))
    assert encoder.moments["f"] == (2.0, 1.0)
    found = encoder.encode(pl.DataFrame({"f": [1.0, None, float("-inf"), 1e300, float("nan")]})).columns["f"]
    assert found.dtype == np.float32
    assert found[0] == 1
    assert np.isnan(found[1:]).all()
    for empty in ([None, None], [5.0, 5.0]):
        frame = pl.DataFrame({"f": pl.Series(empty, dtype=pl.Float64)})
        assert fit_encoder(frame, schema(field)).moments["f"][1] == 1.0
    assert encoder.size("f") == 0
    assert encoder.n_values == 0


def test_log2_fields_may_share_a_vocabulary() -> None:
    frame = pl.DataFrame({"y": [0, 1] * 100, "a": np.arange(200), "b": np.arange(200)[::-1] * 3})
    fields = {
        "a": FieldConfig(kind="numeric", bucket="log2"),
        "b": FieldConfig(kind="numeric", bucket="log2", vocabulary="a"),
    }
    table = ingest(frame, schema=SchemaConfig(label=LabelConfig(name="y"), fields=fields))
    v = table.encoder.vocabulary("b")
    assert v.name == "a"
    assert len(np.unique(v.order[RESERVED:])) == v.size - RESERVED
    encoded = table.encoder.encode(pl.DataFrame({"a": [33], "b": [33]}))
    assert encoded.columns["a"].tolist() == encoded.columns["b"].tolist()


@pytest.mark.parametrize("name", TABLES)
def test_save_load_and_tampering(name: str, tmp_path: Path, any_features) -> None:
    _, table = TABLES[name]
    for i, encoder in enumerate((table.encoder, table.encoder.narrow(any_features(table.encoder, 1)))):
        path = tmp_path / str(i)
        encoder.save(path)
        back = Encoder.load(path)
        assert back.digest == encoder.digest
        assert back.schema == encoder.schema
        for k, v in encoder.vocabularies.items():
            assert back.vocabularies[k].values.to_list() == v.values.to_list()
            assert np.array_equal(back.vocabularies[k].codes, v.codes)
            assert back.vocabularies[k].codes.dtype == v.codes.dtype == smallest_uint(v.size)
            assert (back.vocabularies[k].order is None) == (v.order is None)
    path = tmp_path / "0"
    counts = np.load(path / "counts_0.npy")
    np.save(path / "counts_0.npy", counts + 1)
    with pytest.raises(DataError, match="the saved encoder was changed"):
        Encoder.load(path)
    np.save(path / "counts_0.npy", counts)
    values = path / "values_0.arrow"
    frame = pl.read_ipc(values.read_bytes())
    frame.with_columns(value=pl.col("value") + "!").write_ipc(values)
    with pytest.raises(DataError, match="was changed"):
        Encoder.load(path)
    values.unlink()
    with pytest.raises(DataError, match="is missing"):
        Encoder.load(path)


def test_feature_sets_about_something_else_are_refused() -> None:
    encoder = TABLES["tiny"][1].encoder
    keep = {k: np.ones(v.size, bool) for k, v in encoder.vocabularies.items()}

    def made(**more) -> FeatureSet:
        given = {"fields": ("ad",), "method": "m", "params": {}, "encoder": encoder.digest, **more}
        return FeatureSet.from_keep(given.pop("keep", keep), **given)

    with pytest.raises(DataError, match=f"is about encoder x, not about {encoder.digest}"):
        encoder.narrow(made(encoder="x"))
    with pytest.raises(DataError, match="keeps the field 'zz', which the encoder has not"):
        encoder.narrow(made(fields=("ad", "zz")))
    with pytest.raises(DataError, match="'ad', but does not map"):
        encoder.narrow(made(keep={"site": keep["site"]}))
    with pytest.raises(DataError, match="no column is left"):
        encoder.narrow(made(fields=()))


def test_digest_depends_on_everything_fitted() -> None:
    frame = tiny_frame()
    digests = {
        tiny_table().encoder.digest,
        tiny_table(min_count=3).encoder.digest,
        tiny_table(seed=1).encoder.digest,
        ingest(frame, label="click").encoder.digest,
        ingest(frame, label="click", settings=IngestConfig(bins=8)).encoder.digest,
        ingest(frame, label="click", split=SplitConfig(use="hash")).encoder.digest,
    }
    assert len(digests) == 6
    assert tiny_table().encoder.digest == tiny_table().encoder.digest


def hashed_frame(rows: int = 3000) -> tuple[pl.DataFrame, Encoder]:
    rng = np.random.default_rng(3)
    frame = pl.DataFrame(
        {
            "a": [f"a{i}" for i in rng.integers(0, 60, rows)],
            "b": [f"b{i}" for i in rng.integers(0, 5, rows)],
            "l": [[f"t{i}" for i in rng.integers(0, 30, k)] for k in rng.integers(0, 4, rows)],
        }
    )
    fields = (
        Field(name="a", kind="categorical", vocabulary="a", hash_buckets=16),
        Field(name="b", kind="categorical", vocabulary="b"),
        Field(name="l", kind="multivalued", vocabulary="l", hash_buckets=300),
    )
    return frame, fit_encoder(frame, schema(*fields))


@pytest.mark.parametrize("limit", [0, 1 << 22], ids=["mapped", "held"])
def test_hashed_and_mapped_vocabularies_are_saved_whole(limit: int, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(texts_module, "SMALL", limit)
    monkeypatch.setattr(vocabulary_files, "MAPPED", limit)
    frame, encoder = hashed_frame()
    encoder.save(tmp_path / "e")
    back = Encoder.load(tmp_path / "e")
    assert back.digest == encoder.digest
    assert back.vocabulary("b").values.mapped == (limit == 0)
    same(back.encode(frame), encoder.encode(frame))
    for name, v in encoder.vocabularies.items():
        held = back.vocabularies[name].hashed
        assert (held is None) == (v.hashed is None)
        if held is not None:
            assert held.heaviest == v.hashed.heaviest
            assert np.array_equal(held.distinct, v.hashed.distinct)
    assert any(v.hashed.heaviest for v in encoder.vocabularies.values() if v.hashed)
    narrow = back.narrow(
        FeatureSet.from_keep(
            {n: np.arange(v.size) % 2 == 1 for n, v in encoder.vocabularies.items()},
            fields=("a", "b"),
            method="m",
            params={},
            encoder=encoder.digest,
        )
    )
    narrow.save(tmp_path / "n")
    same(Encoder.load(tmp_path / "n").encode(frame), narrow.encode(frame))
    # The bytes of a mapped file are part of the digest.
    file = tmp_path / "e" / "values_1.arrow"
    data = bytearray(file.read_bytes())
    data[data.index(b"b3")] += 1
    file.write_bytes(data)
    with pytest.raises(DataError, match="was changed"):
        Encoder.load(tmp_path / "e")


def test_growing_keeps_codes_and_decisions(tmp_path: Path) -> None:
    frame, table = TABLES["tiny"]
    base = table.encoder
    old = base.vocabulary("ad")
    features = FeatureSet.from_keep(
        {n: np.arange(v.size) % 3 != 1 for n, v in base.vocabularies.items()},
        fields=("site", "ad"),
        method="m",
        params={},
        encoder=base.digest,
    )
    texts = SortedTexts.of(pl.Series(["ad01", "ad99", "new"]))
    ad = old.grow(texts, np.array([3, 5, 9]), missing=2)
    grown = base.grow({**base.vocabularies, "ad": ad})
    assert grown.ancestors == (base.digest,)
    assert grown.digest != base.digest
    assert (grown.edges, grown.moments) == (base.edges, base.moments)
    again = grown.grow({**grown.vocabularies, "site": base.vocabulary("site").grow(texts, np.ones(3, int), missing=0)})
    assert again.ancestors == (base.digest, grown.digest)
    assert base.grow(base.vocabularies) is base
    again.save(tmp_path / "e")
    back = Encoder.load(tmp_path / "e")
    assert (back.digest, back.ancestors) == (again.digest, again.ancestors)
    before = base.encode(frame)
    after = back.encode(frame)
    for name in ("site", "ad"):
        assert np.array_equal(before.columns[name], after.columns[name])
        remap = back.remaps(features)[name]
        assert remap[: base.size(name)].tolist() == features.remaps[name].tolist()
        assert (remap[base.size(name) :] == OTHER).all()
    for encoder in (grown, back):
        narrow = encoder.narrow(features)
        same(narrow.encode(frame), base.narrow(features).encode(frame))
        strange = narrow.encode(pl.DataFrame({"ad": ["new", "ad99"], "site": ["new", None]}))
        assert strange.columns["ad"].tolist() == [OTHER, OTHER]
        assert narrow.vocabulary("ad").counts.sum() == encoder.vocabulary("ad").counts.sum()
    with pytest.raises(DataError, match="the feature set is about encoder"):
        base.narrow(FeatureSet(fields=("ad",), remaps={}, method="m", params={}, encoder=grown.digest))
    with pytest.raises(DataError, match="expected the vocabularies"):
        base.grow({"ad": ad})
    with pytest.raises(DataError, match="cannot shrink"):
        grown.grow(base.vocabularies)
