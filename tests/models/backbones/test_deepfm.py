from __future__ import annotations

import pytest
import torch

from ctrsel.core.errors import ConfigError
from ctrsel.models.backbones.deepfm import DeepFM
from ctrsel.models.embedded import Embedded, InputShape


def shape(fields=10, width=10):
    return InputShape(fields=tuple(f"f{i}" for i in range(fields)), width=width)


def test_parameters_of_the_published_frappe_net():
    module = DeepFM(hidden=(400, 400, 400), batch_norm=True).build(shape())
    assert sum(p.numel() for p in module.parameters()) + 5389 * (10 + 1) == 423_280


def test_logit_is_first_order_plus_pairs_plus_perceptron():
    module = DeepFM(hidden=(), batch_norm=False, dropout=0.0).build(shape(fields=2, width=2))
    with torch.no_grad():
        module.mlp[0].weight.copy_(torch.tensor([[1.0, 0.0, 0.0, 2.0]]))
        module.mlp[0].bias.fill_(0.5)
    main = torch.tensor([[[1.0, 2.0], [3.0, 4.0]]])
    first = torch.tensor([[[10.0], [20.0]]])
    out = module(Embedded(main=main, first_order=first, floats=torch.zeros(1, 0)))
    assert out.logits.tolist() == [[30.0 + (3 + 8) + (1 + 8) + 0.5]]
    assert out.losses == {}


def test_a_zero_slot_can_be_removed():
    torch.manual_seed(0)
    module = DeepFM(hidden=(8,)).build(shape(fields=3, width=4)).eval()
    small = DeepFM(hidden=(8,)).build(shape(fields=2, width=4)).eval()
    weights = module.state_dict()
    weights["mlp.0.weight"] = weights["mlp.0.weight"][:, [*range(4), *range(8, 12)]]
    small.load_state_dict(weights)
    main, first = torch.randn(5, 3, 4), torch.randn(5, 3, 1)
    main[:, 1], first[:, 1] = 0.0, 0.0
    keep = [0, 2]
    full = module(Embedded(main=main, first_order=first, floats=torch.zeros(5, 0))).logits
    part = small(Embedded(main=main[:, keep], first_order=first[:, keep], floats=torch.zeros(5, 0))).logits
    torch.testing.assert_close(full, part)


@pytest.mark.parametrize("params", [{"hidden": (0,)}, {"dropout": 1.0}])
def test_impossible_parameters_are_refused(params):
    with pytest.raises(ConfigError):
        DeepFM(**params).build(shape())
