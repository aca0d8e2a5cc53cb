"""What a row costs, against counts by hand."""

from __future__ import annotations

import pytest
import torch

from ctrsel.models.backbones.autoint_plus import AutoIntPlus
from ctrsel.models.backbones.deepfm import DeepFM
from ctrsel.models.cost import backbone_cost
from ctrsel.models.embedded import InputShape


def test_deepfm_is_its_perceptron():
    shape = InputShape(fields=tuple("abcd"), width=5)
    cost = backbone_cost(DeepFM(hidden=(7, 3), batch_norm=True), shape)
    assert cost.multiply_adds == 20 * 7 + 7 * 3 + 3
    assert cost.parameters == 20 * 7 + 7 + 2 * 7 + 7 * 3 + 3 + 2 * 3 + 3 + 1


def test_attention_is_counted_per_slot():
    fields, width, inner = 4, 5, 6
    shape = InputShape(fields=tuple("abcd"), width=width)
    cost = backbone_cost(AutoIntPlus(layers=1, attention_width=inner, heads=2, hidden=()), shape)
    projections = 4 * fields * width * inner  # query, key, value, residual
    attention = 2 * fields * fields * inner  # scores and mixture
    assert cost.multiply_adds == projections + attention + fields * inner


def test_draws_nothing_from_the_global_stream():
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    backbone_cost(DeepFM(hidden=(4,)), InputShape(fields=("a",), width=2))
    assert torch.equal(torch.rand(3), expected)


def test_histories_are_sent_through():
    from ctrsel.testing.sequence_backbone import TargetAttention

    shape = InputShape(fields=("item", "user"), width=3, histories={"history": 0})
    assert backbone_cost(TargetAttention(), shape).parameters > 0


@pytest.mark.parametrize("labels", [1, 2])
def test_labels(labels):
    shape = InputShape(fields=("a", "b"), width=3, labels=labels)
    assert backbone_cost(DeepFM(hidden=(5,), batch_norm=False), shape).multiply_adds == 6 * 5 + 5 * labels
