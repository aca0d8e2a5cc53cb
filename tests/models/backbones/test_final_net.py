from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from ctrsel.core.errors import ConfigError
from ctrsel.models.backbones.final_net import FinalNet
from ctrsel.models.embedded import Embedded, InputShape


def shape(fields=10, width=10, labels=1):
    return InputShape(fields=tuple(f"f{i}" for i in range(fields)), width=width, labels=labels)


def embedded(main, prior=None):
    return Embedded(main=main, first_order=None, floats=main.new_zeros(len(main), 0), prior=prior)


@pytest.mark.parametrize(
    ("params", "fields", "rows", "published"),
    [
        ({"hidden1": (400, 400), "hidden2": (400,)}, 10, 5399, 338_502),
        ({"hidden1": (400, 400), "hidden2": (), "field_gates": False}, 10, 5399, 256_791),
        ({"hidden1": (400, 400), "hidden2": (500,)}, 3, 90242, 1_106_234),
        ({"hidden1": (400,), "hidden2": (), "field_gates": False}, 3, 90242, 916_021),
    ],
)
def test_parameters_of_the_published_nets(params, fields, rows, published):
    module = FinalNet(**params).build(shape(fields))
    assert sum(p.numel() for p in module.parameters()) + rows * 10 == published


def test_a_layer_by_hand():
    # g = x1 + 1 = 3, h = x2 = 5: [g, g h] = [3, 15] side by side, 18 as a sum.
    for merge, expected in (("concat", [[3.0, 15.0]]), ("sum", [[18.0]])):
        outputs = 2 if merge == "concat" else 1
        layer = FinalNet(hidden1=(outputs,), hidden2=(), merge=merge, field_gates=False).build(shape(2, 1)).block1[0]
        with torch.no_grad():
            layer.linear.weight.copy_(torch.eye(2))
            layer.linear.bias.copy_(torch.tensor([1.0, 0.0]))
        assert layer(torch.tensor([[2.0, 5.0]])).tolist() == expected


def test_gates_start_open_and_mix_over_fields():
    torch.manual_seed(0)
    module = FinalNet(hidden1=(4,), hidden2=()).build(shape(3, 2))
    e = torch.randn(5, 3, 2)
    torch.testing.assert_close(module._gates(e, module.gate), torch.ones(5, 3, 2))
    with torch.no_grad():
        module.gate.weight.normal_()
        module.gate.bias.normal_()
    expected = torch.stack([module.gate(e[:, :, d]) for d in range(2)], 2)
    torch.testing.assert_close(module._gates(e, module.gate), expected)


@pytest.mark.parametrize("prior", [None, torch.tensor([-3.0])])
def test_each_block_learns_from_the_mean(prior):
    torch.manual_seed(0)
    module = FinalNet(hidden1=(4,), hidden2=(6,), dropout1=0.0, dropout2=0.0).build(shape(3, 2)).train()
    main = torch.randn(9, 3, 2)
    out = module(embedded(main, prior))
    e = torch.cat([main, main], 2)  # gates are open at the start
    one, two = module.out1(module.block1(e.flatten(1))), module.out2(module.block2(main.flatten(1)))
    torch.testing.assert_close(out.logits, (one + two) / 2)
    shift = 0.0 if prior is None else prior
    target = torch.sigmoid(out.logits + shift).detach()
    for name, y in (("block1", one), ("block2", two)):
        torch.testing.assert_close(
            out.losses[name].mean(), functional.binary_cross_entropy(torch.sigmoid(y + shift), target)
        )
    # The mean teaches and does not follow: pulling both blocks towards it leaves the gradient of a block against it.
    (grad,) = torch.autograd.grad(out.losses["block1"].mean(), module.out1.bias)
    torch.testing.assert_close(grad, (torch.sigmoid(one + shift) - target).mean(0))


def test_evaluation_and_a_single_block_have_no_losses():
    main = torch.randn(9, 3, 2)
    assert FinalNet(hidden1=(4,), hidden2=(6,)).build(shape(3, 2)).eval()(embedded(main)).losses == {}
    assert FinalNet(hidden1=(4,), hidden2=()).build(shape(3, 2)).train()(embedded(main)).losses == {}


def test_a_batch_of_no_rows_has_no_losses():
    out = FinalNet(hidden1=(4,), hidden2=(6,)).build(shape(3, 2)).train()(embedded(torch.randn(0, 3, 2)))
    assert out.logits.shape == (0, 1)
    assert all(loss.shape == (0, 1) for loss in out.losses.values())


def test_a_zero_slot_can_be_removed():
    torch.manual_seed(0)
    backbone = FinalNet(hidden1=(4,), hidden2=(6,))
    full, small = (backbone.build(shape(n, 2)).double().eval() for n in (3, 2))
    with torch.no_grad():
        full.gate.weight.normal_()
    weights = full.state_dict()
    weights["gate.weight"] = weights["gate.weight"][[0, 2]][:, [0, 2]]
    weights["gate.bias"] = weights["gate.bias"][[0, 2]]
    weights["block1.0.linear.weight"] = weights["block1.0.linear.weight"][:, [*range(4), *range(8, 12)]]
    weights["block2.0.linear.weight"] = weights["block2.0.linear.weight"][:, [0, 1, 4, 5]]
    small.load_state_dict(weights)
    main = torch.randn(5, 3, 2, dtype=torch.float64)
    main[:, 1] = 0.0
    torch.testing.assert_close(full(embedded(main)).logits, small(embedded(main[:, [0, 2]])).logits)


@pytest.mark.parametrize("params", [{"hidden1": (3,)}, {"hidden1": ()}, {"merge": "product"}])
def test_impossible_parameters_are_refused(params):
    with pytest.raises(ConfigError, match="final_net"):
        FinalNet(**params)
