from __future__ import annotations

import itertools

import pytest
import torch

from ctrsel.core.errors import ConfigError
from ctrsel.models.backbones.final_mlp import FinalMLP
from ctrsel.models.embedded import Embedded, InputShape


def shape(fields=10, width=10, labels=1):
    return InputShape(fields=tuple(f"f{i}" for i in range(fields)), width=width, labels=labels)


def run(module, main):
    return module(Embedded(main=main, first_order=None, floats=main.new_zeros(len(main), 0))).logits


def test_parameters_of_the_published_nets():
    # The published Frappe net has tables of its own for the contexts: 956 users and 4,084 items.
    frappe = FinalMLP(context1=("f0",), context2=("f1",)).build(shape())
    assert sum(p.numel() for p in frappe.parameters()) + (5399 + 956 + 4084) * 10 == 253_392
    movielens = FinalMLP(hidden2=(800,), dropout2=0.2, heads=10, gate_hidden=(800,)).build(shape(3))
    assert sum(p.numel() for p in movielens.parameters()) + 90242 * 10 == 1_040_902


@pytest.mark.parametrize("labels", [1, 2])
def test_fusion_is_a_bilinear_form_per_head(labels):
    torch.manual_seed(0)
    fusion = FinalMLP(hidden1=(4,), hidden2=(6,), heads=2).build(shape(3, 2, labels)).fusion.double()
    u, v = torch.randn(5, 4, dtype=torch.float64), torch.randn(5, 6, dtype=torch.float64)
    expected = fusion.x(u) + fusion.y(v)
    for t, h in itertools.product(range(labels), range(2)):
        form = fusion.pairs[h].view(2, labels, 3)[:, t]
        left, right = u[:, 2 * h : 2 * h + 2], v[:, 3 * h : 3 * h + 3]
        expected[:, t] = expected[:, t] + torch.stack([a @ form @ b for a, b in zip(left, right, strict=True)])
    torch.testing.assert_close(fusion(u, v), expected)


def test_fusion_by_hand():
    # One head: 2 u + 3 v + u v * 5 + 1 with u = 1, v = 2.
    fusion = FinalMLP(hidden1=(1,), hidden2=(1,), heads=1).build(shape(2, 1)).fusion
    with torch.no_grad():
        fusion.x.weight.fill_(2.0), fusion.y.weight.fill_(3.0), fusion.pairs.fill_(5.0), fusion.x.bias.fill_(1.0)
    assert fusion(torch.tensor([[1.0]]), torch.tensor([[2.0]])).tolist() == [[2 + 6 + 10 + 1]]


def test_gates_follow_their_context_field_alone():
    torch.manual_seed(0)
    module = FinalMLP(hidden1=(4,), hidden2=(4,), heads=1, gate_hidden=(3,), context1=("f1",)).build(shape(3, 2))
    main = torch.randn(2, 3, 2)
    main[1, 1] = main[0, 1]
    first = module.gate1(main)
    torch.testing.assert_close(first[0], first[1])
    assert ((first > 0) & (first < 2)).all()
    assert module.gate2(main).shape == (6,)  # no context: one vector of factors for all rows
    expected = 2 * torch.sigmoid(module.gate1.mlp(main[:, 1]))
    torch.testing.assert_close(first, expected)


def test_streams_read_the_gated_rows():
    torch.manual_seed(0)
    module = FinalMLP(hidden1=(4,), hidden2=(6,), heads=2, context1=("f0",), context2=("f2",)).build(shape(3, 2)).eval()
    main = torch.randn(5, 3, 2)
    flat = main.flatten(1)
    u, v = module.stream1(flat * module.gate1(main)), module.stream2(flat * module.gate2(main))
    torch.testing.assert_close(run(module, main), module.fusion(u, v))
    plain = FinalMLP(hidden1=(4,), hidden2=(6,), heads=2, gate_hidden=None).build(shape(3, 2)).eval()
    torch.testing.assert_close(run(plain, main), plain.fusion(plain.stream1(flat), plain.stream2(flat)))


def test_a_gate_without_context_can_learn():
    torch.manual_seed(0)
    module = FinalMLP(hidden1=(4,), hidden2=(4,), heads=1, gate_hidden=(8,)).build(shape(3, 2))
    run(module, torch.randn(9, 3, 2)).sum().backward()
    assert module.gate1.constant.grad.abs().sum() > 0
    assert module.gate1.mlp[0].weight.grad.abs().sum() > 0


def test_a_zero_slot_can_be_removed():
    torch.manual_seed(0)
    backbone = FinalMLP(hidden1=(4,), hidden2=(4,), heads=2, gate_hidden=(3,), context1=("f0",))
    full = backbone.build(shape(3, 2)).double().eval()
    small = backbone.build(InputShape(fields=("f0", "f2"), width=2)).double().eval()
    weights = full.state_dict()
    keep = torch.tensor([0, 1, 4, 5])
    for axis, parts in ((-1, backbone.slot_columns(shape(3, 2))), (0, backbone.slot_rows(shape(3, 2)))):
        for key in parts:
            weights[key] = weights[key].index_select(axis, keep)
    small.load_state_dict(weights)
    main = torch.randn(5, 3, 2, dtype=torch.float64)
    main[:, 1] = 0.0
    torch.testing.assert_close(run(full, main), run(small, main[:, [0, 2]]))


def test_impossible_parameters_are_refused():
    with pytest.raises(ConfigError, match="divide both last hidden layers"):
        FinalMLP(hidden1=(400,), hidden2=(100,), heads=3)
    with pytest.raises(ConfigError, match="a hidden layer per stream"):
        FinalMLP(hidden1=())
    with pytest.raises(ConfigError, match="context field 'user' is none of f0, f1"):
        FinalMLP(context1=("user",)).build(shape(2, 2))
