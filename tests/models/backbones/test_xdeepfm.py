from __future__ import annotations

import itertools

import pytest
import torch

from ctrsel.core.errors import ConfigError
from ctrsel.models.backbones import xdeepfm
from ctrsel.models.backbones.xdeepfm import XDeepFM, compressed
from ctrsel.models.embedded import Embedded, InputShape


def shape(fields=10, width=10, labels=1):
    return InputShape(fields=tuple(f"f{i}" for i in range(fields)), width=width, labels=labels)


def run(module, main, first):
    return module(Embedded(main=main, first_order=first, floats=main.new_zeros(len(main), 0))).logits


def test_parameters_of_the_published_nets():
    frappe = XDeepFM(maps=(64,)).build(shape())
    assert sum(p.numel() for p in frappe.parameters()) + 5389 * 11 == 429_809
    movielens = XDeepFM(maps=(64, 64, 64), batch_norm=False).build(shape(3))
    assert sum(p.numel() for p in movielens.parameters()) + 90239 * 11 == 1_351_767


def by_loops(cin, main):
    """The CIN as its definition says: one product of two rows at a time."""
    pooled, before = [], main
    for weight, bias in zip(cin.weights, cin.biases, strict=True):
        maps = []
        for h in range(weight.shape[1]):
            total = bias[h] * torch.ones_like(main[:, 0])
            for j, i in itertools.product(range(main.shape[1]), range(before.shape[1])):
                total = total + weight[j, h, i] * before[:, i] * main[:, j]
            maps.append(total)
        before = torch.stack(maps, 1)
        pooled.append(before.sum(2))
    return cin.out(torch.cat(pooled, 1))


@pytest.mark.parametrize("maps", [(3,), (3, 2), (2, 4, 3)])
def test_cin_is_the_sum_over_all_products(maps):
    torch.manual_seed(0)
    module = XDeepFM(maps=maps, hidden=()).build(shape(4, 3)).double()
    with torch.no_grad():
        for bias in module.cin.biases:
            bias.normal_()
    main = torch.randn(5, 4, 3, dtype=torch.float64)
    torch.testing.assert_close(module.cin(main), by_loops(module.cin, main))


def test_one_map_by_hand():
    # Rows (1, 2) and (3, 4), weight 1 on the product of the two only: products (3, 8), sum 11.
    module = XDeepFM(maps=(1,), hidden=()).build(shape(2, 2))
    with torch.no_grad():
        module.cin.weights[0].zero_()[0, 0, 1] = 1.0
        module.cin.biases[0].fill_(0.5)
        module.cin.out.weight.fill_(2.0)
    first = torch.tensor([[[10.0], [20.0]]])
    assert run(module, torch.tensor([[[1.0, 2.0], [3.0, 4.0]]]), first).tolist() == [[30 + 2 * (11 + 2 * 0.5)]]


def test_products_made_in_parts_have_the_same_gradients(monkeypatch):
    torch.manual_seed(0)
    x, e, weight = (torch.randn(*s, dtype=torch.float64, requires_grad=True) for s in ((7, 3), (7, 4), (4, 2, 3)))
    whole = torch.einsum("ri,rj,jhi->rh", x, e, weight)
    monkeypatch.setattr(xdeepfm, "_CHUNK", 4 * 12 * 2)  # two rows at a time
    torch.testing.assert_close(compressed(x, e, weight), whole)
    assert torch.autograd.gradcheck(compressed, (x, e, weight))


def test_a_zero_slot_can_be_removed():
    torch.manual_seed(0)
    backbone = XDeepFM(maps=(3, 2), hidden=(6,))
    full, small = (backbone.build(shape(n, 2)).double().eval() for n in (3, 2))
    weights = full.state_dict()
    weights["mlp.0.weight"] = weights["mlp.0.weight"][:, [0, 1, 4, 5]]
    weights["cin.weights.0"] = weights["cin.weights.0"][[0, 2]][:, :, [0, 2]]
    weights["cin.weights.1"] = weights["cin.weights.1"][[0, 2]]
    small.load_state_dict(weights)
    main, first = torch.randn(5, 3, 2, dtype=torch.float64), torch.randn(5, 3, 1, dtype=torch.float64)
    main[:, 1], first[:, 1] = 0.0, 0.0
    torch.testing.assert_close(run(full, main, first), run(small, main[:, [0, 2]], first[:, [0, 2]]))


@pytest.mark.parametrize("maps", [(), (3, 0)])
def test_a_cin_without_maps_is_refused(maps):
    with pytest.raises(ConfigError, match="maps"):
        XDeepFM(maps=maps)
