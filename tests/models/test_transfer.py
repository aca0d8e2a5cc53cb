"""Transfer: the same logits on raw rows after another Encoder was fitted, and an honest count of what is new and gone."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ctrsel.core.config import FieldConfig, IngestConfig, LabelConfig, SchemaConfig
from ctrsel.core.errors import ConfigError
from ctrsel.data.encoder_fit import fit_encoder
from ctrsel.data.ingest import ingest
from ctrsel.models.backbones.autoint_plus import AutoIntPlus
from ctrsel.models.backbones.deepfm import DeepFM
from ctrsel.models.layout import Layout
from ctrsel.models.matching import match
from ctrsel.models.model import Model
from ctrsel.models.net import NetPredictor
from ctrsel.models.network import Net
from ctrsel.models.transfer import transfer
from ctrsel.records.feature_set import FeatureSet
from ctrsel.records.schema import Field, Label, Schema
from ctrsel.testing.tables import sequence_frame, tiny_frame, tiny_table

BACKBONES = [DeepFM(hidden=(8,)), AutoIntPlus(layers=1, attention_width=4, heads=2, hidden=(6,))]


def some_net(encoder, backbone, *, width=4, seed=0):
    torch.manual_seed(seed)
    net = Net(backbone, Layout.of(encoder, history=False), width=width, labels=len(encoder.schema.labels))
    with torch.no_grad():
        for p in net.parameters():
            p.normal_(0, 0.5)
        net.prior.normal_()
        net.embedding.zero_rows(torch.from_numpy(net.layout.rows(2)))
    return net


def model_of(encoder, backbone=BACKBONES[0], *, width=4, seed=0, offset=0.0):
    predictor = NetPredictor(
        backbone=backbone, width=width, labels=1, net=some_net(encoder, backbone, width=width, seed=seed)
    )
    return Model(encoder=encoder, predictor=predictor, offset=offset)


def carried(start, encoder, *, unseen="other", seed=9):
    """The start's weights in a net on another Encoder, as a model, and what was said of it."""
    backbone, width = start.predictor.backbone, start.predictor.width
    net = some_net(encoder, backbone, width=width, seed=seed)
    fresh = {k: v.clone() for k, v in net.weights().items()}
    found = transfer(start, encoder, net=net, backbone=backbone, width=width, unseen=unseen)
    for key, value in net.weights().items():
        assert torch.equal(value, fresh[key])
    predictor = NetPredictor.of(encoder, found.weights, backbone=backbone, width=width, labels=1)
    return Model(encoder=encoder, predictor=predictor), {f.name: f for f in found.fields}, fresh


def encoder_of(columns, *, kinds=None, **fields):
    """An Encoder of some columns of texts."""
    named = tuple(
        fields.get(n) or Field(name=n, kind=(kinds or {}).get(n, "categorical"), vocabulary=n) for n in columns
    )
    frame = pl.DataFrame(columns)
    return fit_encoder(frame, Schema(labels=(Label(name="click"),), fields=named))


@pytest.mark.parametrize("backbone", BACKBONES)
def test_the_same_encoder_gives_exactly_the_old_weights(backbone):
    start = model_of(tiny_table().encoder, backbone)
    other, fields, _ = carried(start, start.encoder)
    for key, value in start.predictor.net.weights().items():
        assert torch.equal(other.predictor.net.weights()[key], value)
    assert {f.status for f in fields.values()} == {"carried"}
    assert all((f.new, f.gone, f.note) == (0, 0, "") for f in fields.values())
    assert fields["ad"].carried == 12


@pytest.mark.parametrize("backbone", BACKBONES)
def test_other_frequencies_other_codes_the_same_logits(backbone):
    frame = tiny_frame(rows=300)
    rare_first = pl.concat([frame, *(frame.filter(pl.col("ad") == f"ad{i:02d}") for i in range(12) for _ in range(i))])
    schema = SchemaConfig(
        label=LabelConfig(name="click"),
        fields={
            "hour": FieldConfig(kind="numeric", bucket="log2"),
            "load": FieldConfig(kind="numeric", bucket="none"),
        },
        ignore=("id",),
    )
    old, new = (ingest({"train": f, "valid": f, "test": f}, schema=schema).encoder for f in (frame, rare_first))
    assert old.vocabulary("ad").codes.tolist() != new.vocabulary("ad").codes.tolist()
    start = model_of(old, backbone)
    other, fields, _ = carried(start, new)
    shift = (new.moments["load"][0] - old.moments["load"][0]) / old.moments["load"][1]
    assert fields["load"].note == f"its mean has moved by {shift:+.3g} standard deviations"
    # What the mean's move changes is left to training; a row without a value stands at 0 before and after.
    rows = frame.with_columns(load=None)
    np.testing.assert_allclose(other.logits(rows), start.logits(rows), atol=2e-6)


def test_a_float_is_rescaled_to_its_new_spread():
    old = encoder_of({"x": [-1.0, 1.0]}, x=Field(name="x", kind="numeric", bucket="none", vocabulary="x"))
    new = encoder_of({"x": [-3.0, 3.0]}, x=Field(name="x", kind="numeric", bucket="none", vocabulary="x"))
    start = model_of(old)
    other, fields, _ = carried(start, new)
    rows = pl.DataFrame({"x": [0.0, -1.0, 2.5]})
    np.testing.assert_allclose(other.logits(rows), start.logits(rows), atol=1e-5)
    assert fields["x"].note == ""


@pytest.mark.parametrize("backbone", BACKBONES)
def test_new_and_vanished_values_new_and_dropped_fields(backbone):
    old = encoder_of({"ad": ["a", "a", "b", "c"], "site": ["s", "t", "t", "t"], "age": ["1", "2", "1", "1"]})
    new = encoder_of({"city": ["x", "y", "y", "y"], "site": ["t", "s", "s", "s"], "ad": ["b", "d", "d", "c"]})
    start = model_of(old, backbone)
    other, fields, fresh = carried(start, new, unseen="fresh")
    told = {n: (f.status, f.carried, f.new, f.gone) for n, f in fields.items()}
    assert told == {
        "city": ("new", 0, 2, 0),
        "site": ("carried", 2, 0, 0),
        "ad": ("carried", 2, 1, 1),
        "age": ("gone", 0, 0, 2),
    }
    before, after = start.predictor.net.weights(), other.predictor.net.weights()

    def row(weights, encoder, field, text):
        code = encoder.offset(field) + int(encoder.vocabulary(field).encode(pl.Series([text], dtype=pl.String))[0])
        return weights["embedding.main"][code]

    for field, text in (("site", "s"), ("site", "t"), ("ad", "b"), ("ad", "c"), ("ad", None), ("ad", "unknown")):
        assert torch.equal(row(after, new, field, text), row(before, old, field, text)), (field, text)
    for field, text in (("ad", "d"), ("city", "x"), ("city", None)):
        assert torch.equal(row(after, new, field, text), row(fresh, new, field, text)), (field, text)
    key = "backbone.mlp.0.weight"
    blocks = {n: w.view(len(w), 3, 4) for n, w in (("old", before[key]), ("new", after[key]), ("fresh", fresh[key]))}
    assert torch.equal(blocks["new"][:, 1], blocks["old"][:, 1])  # site
    assert torch.equal(blocks["new"][:, 2], blocks["old"][:, 0])  # ad
    assert torch.equal(blocks["new"][:, 0], blocks["fresh"][:, 0])  # city


def test_a_value_that_the_start_did_not_know_is_scored_as_it_was():
    old, new = encoder_of({"ad": ["a", "b", "b"]}), encoder_of({"ad": ["c", "c", "b", "d"]})
    start = model_of(old)
    other, _, _ = carried(start, new)
    rows = pl.DataFrame({"ad": ["b", "c", "d", "z", None]})
    np.testing.assert_array_equal(other.logits(rows), start.logits(rows))


def test_a_narrowed_start_splits_and_merges_values():
    old = encoder_of({"ad": ["a", "a", "a", "b", "c", "d"], "site": ["s", "t"] * 3})
    codes = {t: int(old.vocabulary("ad").encode(pl.Series([t]))[0]) for t in "abcd"}
    remap = np.array([0, 1, 2, 0, 0, 0, 0], dtype=np.uint32)
    remap[[codes["a"], codes["b"]]] = 3  # merged
    remap[codes["c"]] = 4
    remap[codes["d"]] = 1  # dropped
    features = FeatureSet(
        fields=("ad",), remaps={"ad": remap}, method="by hand", params={}, encoder=old.digest, other="zero"
    )
    whole = model_of(old)
    champion = whole.narrow(features)
    other, fields, _ = carried(champion, old)
    assert (fields["site"].status, fields["ad"].carried, fields["ad"].new, fields["ad"].gone) == ("new", 3, 1, 0)
    key = "embedding.main"
    merged, split = champion.predictor.net.weights()[key], other.predictor.net.weights()[key]
    for text in "ab":
        assert torch.equal(split[codes[text]], merged[3])
    # And back: the mean of the old rows by training counts, which is what narrowing gives.
    back, told, _ = carried(whole, champion.encoder)
    assert (told["ad"].carried, told["ad"].new, told["ad"].gone) == (2, 0, 1)
    torch.testing.assert_close(back.predictor.net.weights()[key][3:], merged[3:])


def test_buckets_whose_edges_have_moved_are_matched_by_their_middle():
    x = Field(name="x", kind="numeric", bucket="quantile", bins=4, vocabulary="x")
    old = encoder_of({"x": [float(i) for i in range(100)]}, x=x)  # 25, 50, 75
    new = encoder_of({"x": [float(i) for i in range(40, 140)]}, x=x)  # 65, 90, 115
    start = model_of(old)
    other, fields, _ = carried(start, new)
    assert "middle" in fields["x"].note
    main = [m.predictor.net.weights()["embedding.main"] for m in (start, other)]

    def row(side, value):
        encoder = (old, new)[side]
        return main[side][int(encoder.column(encoder.fields[0], pl.DataFrame({"x": [value]}))[0])]

    assert torch.equal(row(1, 50.0), row(0, 64.0))  # under 65: just below its end
    assert torch.equal(row(1, 70.0), row(0, 77.5))  # 65 to 90
    assert torch.equal(row(1, 100.0), row(0, 80.0))  # 90 to 115
    assert torch.equal(row(1, 130.0), row(0, 115.0))
    assert (fields["x"].carried, fields["x"].new, fields["x"].gone) == (4, 0, 2)


def test_crosses_and_hash_buckets_are_matched():
    table = tiny_table(rows=400)
    crossed = table.crossed([("site", "ad")], min_count=2)
    again = tiny_table(rows=400, seed=3).crossed([("ad", "site"), ("site", "hour")], min_count=2)
    found = match(crossed.encoder, again.encoder)
    told = {f.name: f for f in found.fields}
    assert told["ad*site"].status == "new"
    assert told["site*ad"].status == "gone"
    later = tiny_table(rows=400, seed=3).crossed([("site", "ad")], min_count=2)
    by_name = {f.name: f for f in match(crossed.encoder, later.encoder).fields}
    old, new = (set(t.encoder.vocabulary("site*ad").values.to_list()) for t in (crossed, later))
    assert (by_name["site*ad"].carried, by_name["site*ad"].new, by_name["site*ad"].gone) == (
        len(old & new),
        len(new - old),
        len(old - new),
    )
    ads = [
        encoder_of({"ad": texts}, ad=Field(name="ad", kind="categorical", vocabulary="ad", hash_buckets=n))
        for texts, n in ((["a", "b"], 5), (["q", "r", "a"], 5), (["a"], 7))
    ]
    start = model_of(ads[0])
    other, fields, _ = carried(start, ads[1])
    rows = pl.DataFrame({"ad": ["a", "b", "zz", None]})
    np.testing.assert_array_equal(other.logits(rows), start.logits(rows))
    assert fields["ad"].carried == 5
    _, fields, _ = carried(start, ads[2])
    assert (fields["ad"].carried, fields["ad"].new) == (0, 7)
    assert fields["ad"].note == "7 hash buckets in place of 5"


def test_lists_and_a_shared_vocabulary():
    schema = SchemaConfig(
        label=LabelConfig(name="click"), fields={"history": FieldConfig(kind="sequence", vocabulary="item")}
    )
    old, new = (
        ingest(sequence_frame(rows=300, seed=s), schema=schema, settings=IngestConfig(min_count=m)).encoder
        for s, m in ((0, 1), (1, 2))
    )
    start = model_of(old)
    other, fields, _ = carried(start, new)
    rows = sequence_frame(rows=50, seed=2)
    np.testing.assert_allclose(other.logits(rows), start.logits(rows), atol=1e-5)
    assert fields["history"].carried == fields["item"].carried == 10


def test_the_intercept_follows_the_sampling_rate():
    frame = tiny_frame(rows=300)
    whole, sampled = (
        ingest(
            frame, schema=SchemaConfig(label=LabelConfig(name="click"), sampling_rate=r, ignore=("id", "load"))
        ).encoder
        for r in (1.0, 0.25)
    )
    start = model_of(whole)
    other, _, _ = carried(start, sampled)
    offset = float(np.log(0.25))
    served = Model(encoder=sampled, predictor=other.predictor, offset=offset)
    np.testing.assert_allclose(served.logits(frame), start.logits(frame), atol=1e-5)


def test_a_start_that_does_not_fit_is_refused_in_one_sentence():
    old, new = encoder_of({"ad": ["a", "b"]}), encoder_of({"ad": ["a", "b"], "site": ["s", "t"]})
    start = model_of(old)
    net = some_net(new, BACKBONES[0])
    with pytest.raises(ConfigError, match="backbone"):
        transfer(start, new, net=net, backbone=BACKBONES[1], width=4)
    with pytest.raises(ConfigError, match="width 8, got 4"):
        transfer(start, new, net=net, backbone=BACKBONES[0], width=8)
    other_label = fit_encoder(
        pl.DataFrame({"ad": ["a"]}),
        Schema(labels=(Label(name="buy"),), fields=(Field(name="ad", kind="categorical", vocabulary="ad"),)),
    )
    with pytest.raises(ConfigError, match="labels"):
        transfer(start, other_label, net=some_net(other_label, BACKBONES[0]), backbone=BACKBONES[0], width=4)


TEXTS = st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=12)


@settings(deadline=None, max_examples=40)
@given(st.tuples(TEXTS, TEXTS), st.tuples(TEXTS, TEXTS))
def test_any_two_encoders_give_the_old_logits_on_raw_rows(old_texts, new_texts):
    def of(ads, sites):
        n = max(len(ads), len(sites))
        return encoder_of(
            {"ad": [ads[i % len(ads)] for i in range(n)], "site": [sites[i % len(sites)] for i in range(n)]}
        )

    old, new = of(*old_texts), of(*new_texts)
    start = model_of(old)
    other, fields, _ = carried(start, new)
    rows = pl.DataFrame({"ad": [*"abcdefgh", None, "?"], "site": [*"hgfedcba", "?", None]})
    for name in ("ad", "site"):
        a, b = (set(e.vocabulary(name).values.to_list()) for e in (old, new))
        rows = rows.filter(~pl.col(name).is_in(list(a - b)) | pl.col(name).is_null())  # what is gone is forgotten
        assert (fields[name].carried, fields[name].new, fields[name].gone) == (len(a & b), len(b - a), len(a - b))
    np.testing.assert_allclose(other.logits(rows), start.logits(rows), atol=1e-6)
