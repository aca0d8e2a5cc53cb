from __future__ import annotations

import pytest
import torch

from ctrsel.core.errors import ConfigError
from ctrsel.core.ranges import ranges
from ctrsel.models.backbones.dcn_v2 import DCNV2
from ctrsel.models.embedded import Embedded, InputShape

FRAPPE, MOVIELENS = 5389, 90239  # embedding rows of the published nets


def shape(fields=10, width=10, labels=1):
    return InputShape(fields=tuple(f"f{i}" for i in range(fields)), width=width, labels=labels)


def run(module, main):
    return module(Embedded(main=main, first_order=None, floats=main.new_zeros(len(main), 0))).logits


@pytest.mark.parametrize(
    ("params", "fields", "rows", "published"),
    [
        ({"cross_layers": 4, "dropout": 0.4}, 10, FRAPPE, 458_391),
        ({"cross_layers": 4, "structure": "crossnet_only"}, 10, FRAPPE, 94_391),
        ({"cross_layers": 5}, 3, MOVIELENS, 1_243_071),
    ],
)
def test_parameters_of_the_published_nets(params, fields, rows, published):
    module = DCNV2(**params).build(shape(fields))
    assert sum(p.numel() for p in module.parameters()) + rows * 10 == published


def test_one_layer_by_hand():
    # x0 = (1, 2), W = [[1, 2], [3, 4]], b = (10, 20): W x0 + b = (15, 31), x1 = x0 * (15, 31) + x0 = (16, 64).
    module = DCNV2(cross_layers=1, structure="crossnet_only").build(shape(fields=2, width=1))
    with torch.no_grad():
        module.cross.get_parameter("0.weight").copy_(torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
        module.cross.get_parameter("0.bias").copy_(torch.tensor([10.0, 20.0]))
        module.readout.copy_(torch.tensor([[1.0, -1.0]]))
        module.bias.fill_(0.5)
    assert run(module, torch.tensor([[[1.0], [2.0]]])).tolist() == [[16 - 64 + 0.5]]


def test_layers_multiply_by_the_first_input():
    torch.manual_seed(0)
    module = DCNV2(cross_layers=3, structure="crossnet_only").build(shape(3, 2)).double()
    x0 = torch.randn(5, 6, dtype=torch.float64)
    x = x0
    for i in range(3):
        w, b = module.cross.get_parameter(f"{i}.weight"), module.cross.get_parameter(f"{i}.bias")
        x = torch.stack([first * (w @ row + b) + row for first, row in zip(x0, x, strict=True)])
    torch.testing.assert_close(run(module, x0.view(5, 3, 2)), x @ module.readout.t() + module.bias)


def test_a_low_rank_layer_is_a_full_one_with_the_product_of_its_factors():
    torch.manual_seed(0)
    low = DCNV2(cross_layers=2, rank=3, structure="crossnet_only").build(shape(4, 2)).double()
    full = DCNV2(cross_layers=2, structure="crossnet_only").build(shape(4, 2)).double()
    with torch.no_grad():
        for i in range(2):
            layer = low.cross.get_submodule(str(i))
            layer.bias.normal_()
            full.cross.get_parameter(f"{i}.weight").copy_(layer.up @ layer.down)
            full.cross.get_parameter(f"{i}.bias").copy_(layer.bias)
        full.readout.copy_(low.readout)
    main = torch.randn(5, 4, 2, dtype=torch.float64)
    torch.testing.assert_close(run(low, main), run(full, main))


def test_a_mixture_is_the_sum_over_experts():
    torch.manual_seed(0)
    module = DCNV2(cross_layers=1, rank=3, experts=2, structure="crossnet_only").build(shape(3, 2)).double()
    layer = module.cross.get_submodule("0")
    x = torch.randn(4, 6, dtype=torch.float64)
    with torch.no_grad():
        layer.bias.normal_()
    shares = torch.softmax(x @ module.cross.gate.weight.t(), 1)
    total = x.clone()
    for e in range(2):
        part = slice(3 * e, 3 * e + 3)
        low = torch.tanh(torch.tanh(x @ layer.down[part].t()) @ layer.inner[e])
        total = total + shares[:, e : e + 1] * (x * (low @ layer.up[:, part].t() + layer.bias))
    torch.testing.assert_close(run(module, x.view(4, 3, 2)), total @ module.readout.t() + module.bias)


@pytest.mark.parametrize(
    "params", [{}, {"structure": "stacked"}, {"structure": "crossnet_only"}, {"rank": 2}, {"rank": 2, "experts": 3}]
)
def test_a_zero_slot_can_be_removed(params):
    torch.manual_seed(0)
    backbone = DCNV2(cross_layers=2, hidden=(6,), **params)
    full, small = (backbone.build(shape(n, 2)).double().eval() for n in (3, 2))
    weights = full.state_dict()
    keep = torch.tensor([0, 1, 4, 5])
    for axis, parts in ((-1, backbone.slot_columns(shape(3, 2))), (0, backbone.slot_rows(shape(3, 2)))):
        for key in parts:
            weights[key] = weights[key].index_select(axis, keep)
    small.load_state_dict(weights)
    main = torch.randn(5, 3, 2, dtype=torch.float64)
    main[:, 1] = 0.0
    torch.testing.assert_close(run(full, main), run(small, main[:, [0, 2]]))


def test_structures_read_what_they_say():
    torch.manual_seed(0)
    main = torch.randn(6, 3, 2)
    for structure in ("parallel", "stacked"):
        module = DCNV2(structure=structure, hidden=(4,), batch_norm=False, dropout=0.0).build(shape(3, 2))
        crossed = module.cross(main.flatten(1))
        expected = (
            module.mlp(crossed)
            if structure == "stacked"
            else crossed @ module.readout.t() + module.mlp(main.flatten(1))
        )
        torch.testing.assert_close(run(module, main), expected)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"structure": "beside"}, "must be one of parallel, stacked, crossnet_only"),
        ({"cross_layers": 0}, "at least 1"),
        ({"experts": 2}, "need a rank"),
        ({"hidden": ()}, "needs a hidden layer"),
    ],
)
def test_impossible_parameters_are_refused(params, message):
    with pytest.raises(ConfigError, match=message):
        DCNV2(**params)


def test_ranges_are_declared():
    assert {"structure", "cross_layers", "rank", "hidden", "dropout"} <= set(ranges(DCNV2))
