from __future__ import annotations

import itertools

import pytest
import torch

from ctrsel.core.errors import ConfigError
from ctrsel.models.backbones.fm import FM
from ctrsel.models.backbones.fwfm import FwFM
from ctrsel.models.backbones.lr import LR
from ctrsel.models.embedded import Embedded, InputShape


def shape(width, labels=1, fields=4):
    return InputShape(fields=tuple(f"f{i}" for i in range(fields)), width=width, labels=labels)


def run(module, main, first=None):
    return module(Embedded(main=main, first_order=first, floats=torch.zeros(len(main), 0))).logits


def pairs_of(e):
    return {(i, j): (e[:, i] * e[:, j]).sum(1) for i, j in itertools.combinations(range(e.shape[1]), 2)}


def test_lr_adds_a_number_per_value_and_label():
    module = LR().build(shape(2, labels=2))
    with torch.no_grad():
        module.bias.copy_(torch.tensor([0.5, -1.0]))
    main = torch.randn(3, 4, 2)
    torch.testing.assert_close(run(module, main), main.sum(1) + torch.tensor([0.5, -1.0]))
    assert LR().row_width(16, labels=2) == 2
    with pytest.raises(ConfigError, match="one number per label"):
        LR().build(shape(16))


def test_fm_is_bias_first_order_and_pairs():
    torch.manual_seed(0)
    module = FM().build(shape(3))
    with torch.no_grad():
        module.bias.fill_(0.25)
    main, first = torch.randn(5, 4, 3), torch.randn(5, 4, 1)
    wanted = 0.25 + first.sum((1, 2)) + sum(pairs_of(main).values())
    torch.testing.assert_close(run(module, main, first)[:, 0], wanted)


@pytest.mark.parametrize(("form", "row"), [("weights", 4), ("value_vectors", 6), ("field_vectors", 3)])
def test_fwfm_weighs_each_pair_and_adds_its_first_order(form, row):
    torch.manual_seed(0)
    backbone = FwFM(first_order=form)
    assert backbone.row_width(3, labels=1) == row
    module = backbone.build(shape(row))
    main = torch.randn(5, 4, row)
    e = main[..., :3]
    weights = module.pair_weights[0]
    wanted = module.bias + sum(w * p for w, p in zip(weights, pairs_of(e).values(), strict=True))
    if form == "weights":
        wanted = wanted + main[..., 3].sum(1)
    elif form == "value_vectors":
        wanted = wanted + (e * main[..., 3:]).sum((1, 2))
    else:
        wanted = wanted + e.flatten(1) @ module.vectors.weight[0]
    torch.testing.assert_close(run(module, main)[:, 0], wanted)


def test_fwfm_of_width_one_tells_weights_from_vectors():
    torch.manual_seed(0)
    main = torch.randn(5, 2, 2)
    for form in ("weights", "value_vectors"):
        module = FwFM(first_order=form).build(shape(2, fields=2))
        pair = module.pair_weights[0, 0] * main[:, 0, 0] * main[:, 1, 0]
        first = main[..., 1] if form == "weights" else main[..., 0] * main[..., 1]
        torch.testing.assert_close(run(module, main)[:, 0], pair + first.sum(1))


def test_an_unknown_first_order_is_refused():
    with pytest.raises(ConfigError, match=r"fwfm\.first_order"):
        FwFM(first_order="FeLV")
