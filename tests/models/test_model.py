from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch

from ctrsel.core.errors import ConfigError, DataError
from ctrsel.models.backbones import CATALOG as BACKBONES
from ctrsel.models.backbones.deepfm import DeepFM
from ctrsel.models.layout import Layout
from ctrsel.models.model import Model
from ctrsel.models.net import NetPredictor
from ctrsel.models.network import Net
from ctrsel.records.feature_set import FeatureSet
from ctrsel.testing.sequence_backbone import TargetAttention
from ctrsel.testing.tables import sequence_table, tiny_frame, tiny_table
from ctrsel.train.boosted import BoostedLearner

BACKBONE_CLASSES = [*(BACKBONES.load(name) for name in BACKBONES.names())]


def net_model(table, *, backbone=None, width=4, seed=0, offset=0.0, labels=1):
    """A net with weights far from their start and used running moments."""
    backbone = backbone or DeepFM(hidden=(8,))
    layout = Layout.of(table.encoder, history="history" in backbone.lookups)
    torch.manual_seed(seed)
    net = Net(backbone, layout, width=width, labels=labels)
    with torch.no_grad():
        for p in net.embedding.parameters():
            p.normal_()
        net.embedding.zero_rows(torch.from_numpy(layout.rows(2)))
        for module in net.modules():
            if isinstance(module, torch.nn.BatchNorm1d):
                module.running_mean.normal_()
                module.running_var.uniform_(0.5, 2)
    return Model(
        encoder=table.encoder,
        predictor=NetPredictor(backbone=backbone, width=width, labels=labels, net=net),
        offset=offset,
    )


@pytest.fixture(scope="module")
def table():
    return tiny_table(rows=300)


@pytest.fixture(scope="module")
def boosted(table):
    return BoostedLearner(rounds=5, patience=5, leaves=4).fit(table.without("test"), seed=1).model


def test_a_raw_frame_scores_like_its_table(table):
    model, frame = net_model(table), tiny_frame(rows=300)
    coded = table.encoder.encode(frame)
    z = model.logits(coded)
    assert z.shape == (300, 1)
    assert z.dtype == np.float32
    np.testing.assert_array_equal(model.logits(frame), z)
    np.testing.assert_array_equal(model.logits(frame.to_pandas()), z)
    np.testing.assert_array_equal(model.logits(frame.drop("click")), z)
    assert model.logits(frame.head(0)).shape == (0, 1)


def test_the_offset_shifts_logits_and_undoes_sampling(table):
    plain, shifted = net_model(table), net_model(table, offset=float(np.log(0.1)))
    p, q = plain.probabilities(table)[:, 0], shifted.probabilities(table)[:, 0]
    np.testing.assert_allclose(q, p / (p + (1 - p) / 0.1), rtol=1e-5)


def test_another_encoders_table_and_other_objects_are_refused(table):
    model = net_model(table)
    with pytest.raises(DataError, match="its own encoder"):
        model.logits(tiny_table(rows=300, seed=5))
    with pytest.raises(DataError, match="list"):
        model.logits([1, 2])


@pytest.mark.parametrize("cls", BACKBONE_CLASSES)
def test_a_saved_net_scores_exactly_the_same(cls, table, tmp_path):
    model = net_model(table, backbone=cls(), offset=-1.5, labels=2)
    model.save(tmp_path / "m")
    back = Model.load(tmp_path / "m")
    np.testing.assert_array_equal(back.logits(table), model.logits(table))
    assert (back.digest, back.n_parameters, back.offset) == (model.digest, model.n_parameters, -1.5)
    names = {f.suffix for f in (tmp_path / "m").rglob("*") if f.is_file()}
    assert names <= {".json", ".safetensors", ".npy", ".arrow"}
    assert model.bytes_on_disk == sum(f.stat().st_size for f in (tmp_path / "m").rglob("*") if f.is_file())


def test_saved_trees_score_exactly_the_same(boosted, table, tmp_path):
    boosted.save(tmp_path / "m")
    back = Model.load(tmp_path / "m")
    np.testing.assert_array_equal(back.logits(table), boosted.logits(table))
    assert back.digest == boosted.digest
    assert (tmp_path / "m" / "predictor" / "trees_0.txt").read_text().startswith("tree\n")


def test_a_changed_file_is_noticed(table, tmp_path):
    net_model(table).save(tmp_path / "m")
    file = tmp_path / "m" / "predictor" / "weights.safetensors"
    data = bytearray(file.read_bytes())
    data[-3] ^= 0x10
    file.write_bytes(bytes(data))
    with pytest.raises(DataError, match="was changed"):
        Model.load(tmp_path / "m")


@pytest.mark.parametrize(("kind", "absent"), [("net", "lightgbm"), ("boosted", "torch")])
def test_loading_and_scoring_imports_only_the_library_it_needs(kind, absent, table, boosted, tmp_path):
    (net_model(table) if kind == "net" else boosted).save(tmp_path / "m")
    tiny_frame(rows=5).write_parquet(tmp_path / "rows.parquet")
    code = (
        "import sys, polars as pl\n"
        "from ctrsel.models.model import Model\n"
        f"m = Model.load({str(tmp_path / 'm')!r})\n"
        f"m.logits(pl.read_parquet({str(tmp_path / 'rows.parquet')!r}))\n"
        f"assert {absent!r} not in sys.modules\n"
        "assert not {'mlflow', 'optuna', 'shap', 'matplotlib'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# Narrowing


def some_features(encoder, *, drop_fields=(), other="zero", seed=0, merge=False):
    rng = np.random.default_rng(seed)
    fields = tuple(f.name for f in encoder.fields if f.name not in drop_fields)
    remaps = {}
    for name, v in encoder.vocabularies.items():
        keep = rng.random(v.size) < 0.6
        keep[:3] = True
        group = np.cumsum(keep) - 1
        remap = np.where(keep, group, 1).astype(np.uint32)
        if merge and remap.max() > 4:
            remap[(remap >= 3)] = (remap[remap >= 3] - 3) // 2 + 3
        remaps[name] = remap
    return FeatureSet(fields=fields, remaps=remaps, other=other, method="toy", params={}, encoder=encoder.digest)


def expanded(model, small, features, *, hidden_fields=()):
    """The full model whose rows are those of the codes they are mapped to: evaluates the decision without narrowing."""
    net = NetPredictor.of(
        model.encoder,
        model.predictor.net.weights(),
        backbone=model.predictor.backbone,
        width=model.predictor.width,
        labels=model.predictor.labels,
    )
    with torch.no_grad():
        for full, tight in zip(net.net.embedding.tables(), small.predictor.net.embedding.tables(), strict=True):
            for name, start in model.encoder.offsets.items():
                size = model.encoder.vocabularies[name].size
                if name in small.encoder.offsets:
                    remap = torch.from_numpy(features.remaps[name].astype(np.int64))
                    full[start : start + size] = tight[small.encoder.offsets[name] + remap]
                else:
                    full[start : start + size] = 0.0
        for name in hidden_fields:
            if name in net.net.layout.floats:
                i = net.net.layout.floats.index(name)
                net.net.embedding.float_main[i] = 0.0
                net.net.embedding.float_first[i] = 0.0
    return Model(encoder=model.encoder, predictor=net, offset=model.offset)


@pytest.mark.parametrize("merge", [False, True])
@pytest.mark.parametrize("other", ["zero", "learned"])
@pytest.mark.parametrize("cls", BACKBONE_CLASSES)
def test_dropping_values_equals_the_full_net_on_remapped_codes(cls, other, merge, table):
    model = net_model(table, backbone=cls())
    features = some_features(table.encoder, other=other, merge=merge)
    small = model.narrow(features)
    assert small.n_parameters < model.n_parameters
    wide = expanded(model, small, features)
    np.testing.assert_allclose(small.logits(table.narrow(features)), wide.logits(table), atol=1e-6, rtol=1e-6)
    raw = tiny_frame(rows=300)
    np.testing.assert_allclose(small.logits(raw), wide.logits(raw), atol=1e-6, rtol=1e-6)


def test_with_an_untrained_other_row_the_untouched_net_on_remapped_codes_is_the_same(table):
    model = net_model(table)
    with torch.no_grad():
        model.predictor.net.embedding.zero_rows(torch.from_numpy(model.predictor.net.layout.rows(1)))
    features = some_features(table.encoder)
    columns = dict(table.columns)
    for f in table.encoder.fields:
        if not f.is_float:
            remap = features.remaps[f.vocabulary]
            first = np.array([np.flatnonzero(remap == c)[0] if c > 2 else c for c in range(remap.max() + 1)])
            columns[f.name] = first[remap][table.columns[f.name]].astype(np.uint32)
    want = model.logits(replace(table, columns=columns))
    np.testing.assert_allclose(model.narrow(features).logits(table.narrow(features)), want, atol=1e-6)


def test_lists_and_histories_are_narrowed_with_their_vocabulary():
    table = sequence_table(rows=200)
    for backbone in (DeepFM(hidden=(8,)), TargetAttention()):
        model = net_model(table, backbone=backbone)
        features = some_features(table.encoder)
        small = model.narrow(features)
        wide = expanded(model, small, features)
        np.testing.assert_allclose(small.logits(table.narrow(features)), wide.logits(table), atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("drop", [("noise",), ("site", "load"), ("load",), ("id", "hour", "ad")])
def test_dropping_fields_of_deepfm_equals_hiding_them(drop, table):
    model = net_model(table)
    features = some_features(table.encoder, drop_fields=drop)
    small = model.narrow(features)
    wide = expanded(model, small, features, hidden_fields=drop)
    np.testing.assert_allclose(small.logits(table.narrow(features)), wide.logits(table), atol=1e-5, rtol=1e-5)


def test_dropping_fields_of_autoint_plus_is_a_start_only(table):
    backbone = BACKBONES.load("autoint_plus")()
    assert not backbone.exact_drop
    small = net_model(table, backbone=backbone).narrow(some_features(table.encoder, drop_fields=("noise",)))
    assert np.isfinite(small.logits(table.narrow(some_features(table.encoder, drop_fields=("noise",))))).all()


def test_dropping_a_field_is_refused_where_the_backbone_does_not_know_its_weights():
    table = sequence_table(rows=100)
    model = net_model(table, backbone=TargetAttention())
    with pytest.raises(ConfigError, match="cannot be dropped"):
        model.narrow(some_features(table.encoder, drop_fields=("tags",)))


def test_merged_values_get_the_mean_by_training_counts(table):
    model = net_model(table)
    encoder = table.encoder
    counts = encoder.vocabularies["ad"].counts
    remaps = {k: np.arange(v.size, dtype=np.uint32) for k, v in encoder.vocabularies.items()}
    remap = remaps["ad"]
    remap[4:] -= 1
    remap[4] = 3  # the two most frequent ads share a code
    remap[-1] = 1
    remap[-2] = remap[-3] + 1
    features = FeatureSet(
        fields=encoder.schema.names, remaps=remaps, other="learned", method="toy", params={}, encoder=encoder.digest
    )
    rows = model.predictor.net.embedding.main.detach()[encoder.offsets["ad"] :][: len(counts)].double()
    small = model.narrow(features)
    got = small.predictor.net.embedding.main.detach()[small.encoder.offsets["ad"] :]
    a, b = float(counts[3]), float(counts[4])
    torch.testing.assert_close(got[3].double(), (a * rows[3] + b * rows[4]) / (a + b), atol=1e-6, rtol=1e-6)
    # OTHER has no training rows, so only the dropped value counts.
    assert counts[1] == 0
    torch.testing.assert_close(got[1].double(), rows[-1], atol=1e-6, rtol=1e-6)
    assert not got[2].any()


def test_trees_are_not_narrowed(boosted, table):
    with pytest.raises(ConfigError, match="cannot be narrowed"):
        boosted.narrow(some_features(table.encoder))


def test_polars_frame_with_missing_columns_scores(table):
    assert net_model(table).logits(pl.DataFrame({"ad": ["ad01", None]})).shape == (2, 1)


def test_the_folder_of_a_finished_run_stands_for_its_model(tmp_path):
    from ctrsel.testing.runs import tiny_net
    from ctrsel.testing.tables import tiny_table

    model = tiny_net(tiny_table())
    model.save(tmp_path / "run" / "model")
    assert Model.load(tmp_path / "run").digest == model.digest
