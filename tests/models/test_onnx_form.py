"""Nets as ONNX: the same numbers under onnxruntime, for every backbone; new files are found by themselves."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from ctrsel.core.errors import ConfigError
from ctrsel.models.backbones import CATALOG
from ctrsel.models.calibrated import CalibratedPredictor
from ctrsel.models.layout import Layout
from ctrsel.models.model import Model
from ctrsel.models.net import NetPredictor
from ctrsel.models.network import Net
from ctrsel.models.onnx_form import OPSET, TOLERANCE, onnx_inputs, write_onnx
from ctrsel.records.feature_set import FeatureSet
from ctrsel.testing.sequence_backbone import TargetAttention
from ctrsel.testing.tables import sequence_frame, sequence_table, tiny_frame, tiny_table

onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed; it comes with the extra onnx")


def random_net(table, backbone, *, labels=1, offset=-0.7):
    """Return a net in the size that training leaves, none of whose numbers is special."""
    torch.manual_seed(0)
    net = Net(backbone, Layout.of(table.encoder, history="history" in backbone.lookups), width=4, labels=labels)
    with torch.no_grad():
        for rows in net.embedding.tables():
            rows.normal_()
        net.embedding.zero_rows(net.embedding.hidden)
        net.prior += 0.3
        for name, value in net.named_buffers():
            if name.endswith("running_mean"):
                value.normal_()
            if name.endswith("running_var"):
                value.uniform_(0.5, 2.0)
    predictor = NetPredictor(backbone=backbone, width=4, labels=labels, net=net)
    return Model(encoder=table.encoder, predictor=predictor, offset=offset)


def check(model, frame, path):
    facts = write_onnx(model, path)
    assert facts["difference"] <= TOLERANCE
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for rows in (frame, frame.head(1), frame.sample(33, seed=1)):
        table = model.encoder.encode(rows)
        reads = {i.name for i in session.get_inputs()}
        given = {k: v for k, v in onnx_inputs(table).items() if k in reads}
        logits, probabilities = session.run(["logits", "probabilities"], given)
        expected = model.logits(table)
        assert logits.shape == expected.shape
        np.testing.assert_allclose(logits, expected, atol=1e-5, rtol=1e-5)
        np.testing.assert_allclose(probabilities, model.probabilities(table), atol=1e-5)
    held = json.loads(session.get_modelmeta().custom_metadata_map["ctrsel"])
    assert held == {k: v for k, v in facts.items() if k != "difference"}
    return held


@pytest.mark.slow
@pytest.mark.parametrize("name", CATALOG.names())
def test_every_backbone_gives_the_same_numbers(name, tmp_path):
    model = random_net(tiny_table(rows=200), CATALOG.load(name)())
    held = check(model, tiny_frame(rows=300, seed=5), tmp_path / "net.onnx")
    assert held["codes"] == ["site", "ad", "noise", "id", "hour"]
    assert held["floats"] == ["load"]
    assert held["labels"] == ["click"]
    assert held["opset"] == OPSET
    assert [p.name for p in tmp_path.iterdir()] == ["net.onnx"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "backbone", [CATALOG.load("deepfm")(hidden=(8,)), TargetAttention()], ids=["pooled", "history"]
)
def test_lists_of_any_length_give_the_same_numbers(backbone, tmp_path):
    model = random_net(sequence_table(rows=200), backbone)
    held = check(model, sequence_frame(rows=300, seed=5), tmp_path / "net.onnx")
    assert held["lists"] == ["history", "tags"]


@pytest.mark.slow
def test_a_pruned_net_gives_the_same_numbers(tmp_path):
    table = tiny_table(rows=300)
    keep = {n: np.arange(v.size) % 2 == 1 for n, v in table.encoder.vocabularies.items()}
    fields = [n for n in table.schema.names if n != "noise"]
    features = FeatureSet.from_keep(keep, fields=fields, method="gated", params={}, encoder=table.encoder.digest)
    model = random_net(table, CATALOG.load("deepfm")(hidden=(8,))).narrow(features)
    held = check(model, tiny_frame(rows=300, seed=5), tmp_path / "net.onnx")
    assert held["codes"] == ["site", "ad", "id", "hour"]


def test_inputs_are_the_tables_codes_and_floats():
    table = sequence_table(rows=50)
    found = onnx_inputs(table)
    np.testing.assert_array_equal(found["codes"][:, 1], table.columns["item"])
    history = table.columns["history"]
    for i in range(50):
        row = found["list_0"][i]
        np.testing.assert_array_equal(row[row >= 0], history.codes[history.offsets[i] : history.offsets[i + 1]])
    table = tiny_table(rows=50)
    np.testing.assert_array_equal(onnx_inputs(table)["floats"][:, 0], table.columns["load"])


def test_what_is_no_net_is_refused(tmp_path):
    model = random_net(tiny_table(rows=50), CATALOG.load("lr")())
    other = Model(encoder=model.encoder, predictor=CalibratedPredictor(base=model.predictor, maps=()))
    with pytest.raises(ConfigError, match="only a net can be written as ONNX, got a model of kind 'calibrated'"):
        write_onnx(other, tmp_path / "net.onnx")
    assert list(tmp_path.iterdir()) == []
