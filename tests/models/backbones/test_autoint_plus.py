from __future__ import annotations

import pytest
import torch

from ctrsel.core.errors import ConfigError
from ctrsel.models.backbones.autoint_plus import AutoIntPlus
from ctrsel.models.embedded import Embedded, InputShape


def shape(fields=10, width=10):
    return InputShape(fields=tuple(f"f{i}" for i in range(fields)), width=width)


def run(module, main):
    return module(Embedded(main=main, first_order=None, floats=torch.zeros(len(main), 0))).logits


def test_parameters_of_the_published_frappe_net():
    module = AutoIntPlus(layers=5, attention_width=128, heads=4, hidden=(400, 400, 400)).build(shape())
    assert sum(p.numel() for p in module.parameters()) + 5389 * 10 == 622_180


def test_permuting_fields_with_the_output_weights_changes_nothing():
    torch.manual_seed(0)
    fields, width = 5, 4
    params = AutoIntPlus(layers=2, attention_width=8, heads=2, hidden=(6,))
    module = params.build(shape(fields, width)).eval()
    main = torch.randn(7, fields, width)
    before = run(module, main)
    order = [3, 0, 4, 1, 2]
    with torch.no_grad():
        for key, block in params.slot_columns(shape(fields, width)).items():
            weight = module.get_parameter(key)
            weight.copy_(weight.view(len(weight), fields, block)[:, order].flatten(1))
    torch.testing.assert_close(run(module, main[:, order]), before, atol=1e-5, rtol=1e-5)


def test_attention_rows_sum_to_one_and_are_uniform_without_queries():
    torch.manual_seed(0)
    module = AutoIntPlus(layers=1, attention_width=8, heads=2, hidden=()).build(shape(5, 4))
    layer = module.attention[0]
    x = torch.randn(3, 5, 4)
    weights = layer.weights(x)
    assert weights.shape == (3, 2, 5, 5)
    torch.testing.assert_close(weights.sum(-1), torch.ones(3, 2, 5))
    with torch.no_grad():
        layer.query.weight.zero_()
    torch.testing.assert_close(layer.weights(x), torch.full((3, 2, 5, 5), 0.2))


def test_one_head_without_queries_residual_and_norm_is_the_mean_of_the_values():
    params = AutoIntPlus(layers=1, attention_width=4, heads=1, residual=False, layer_norm=False, hidden=())
    layer = params.build(shape(5, 4)).attention[0]
    x = torch.rand(3, 5, 4)  # not negative, so that the ReLU is the identity
    with torch.no_grad():
        layer.query.weight.zero_()
        layer.value.weight.copy_(torch.eye(4))
    torch.testing.assert_close(layer(x), x.mean(1, keepdim=True).expand_as(x))


def test_residual_is_the_identity_where_widths_agree():
    module = AutoIntPlus(layers=2, attention_width=8, heads=2).build(shape(3, 4))
    assert module.attention[0].res is not None
    assert module.attention[1].res is None


def test_scale_divides_scores_by_the_root_of_a_heads_width():
    torch.manual_seed(0)
    x = torch.randn(2, 3, 8)
    layer = AutoIntPlus(layers=1, attention_width=8, heads=2, scale=True).build(shape(3, 8)).attention[0]
    scaled = layer.weights(x)
    layer.factor = 1.0
    with torch.no_grad():
        layer.query.weight.div_(2.0)  # sqrt(8 / 2)
    torch.testing.assert_close(layer.weights(x), scaled)


def test_heads_that_do_not_divide_the_width_are_refused():
    with pytest.raises(ConfigError, match="heads divide"):
        AutoIntPlus(attention_width=10, heads=4)
