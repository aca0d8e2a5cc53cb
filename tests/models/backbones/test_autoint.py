from __future__ import annotations

import math

import pytest
import torch

from ctrsel.core.errors import ConfigError
from ctrsel.core.ranges import ranges
from ctrsel.models.backbones.autoint import AutoInt
from ctrsel.models.backbones.autoint_plus import AutoIntPlus
from ctrsel.models.embedded import Embedded, InputShape


def shape(fields=10, width=10, labels=1):
    return InputShape(fields=tuple(f"f{i}" for i in range(fields)), width=width, labels=labels)


def run(module, main, first=None):
    return module(Embedded(main=main, first_order=first, floats=main.new_zeros(len(main), 0))).logits


@pytest.mark.parametrize(
    ("backbone", "fields", "rows", "numbers", "published"),
    [
        (AutoInt(layers=6, layer_norm=False, scale=False), 10, 5389, 10, 306_051),
        (AutoInt(layers=2, wide=True), 3, 90239, 11, 1_047_798),
        (AutoIntPlus(layers=2, wide=True), 3, 90239, 11, 1_383_799),
    ],
)
def test_parameters_of_the_published_nets(backbone, fields, rows, numbers, published):
    module = backbone.build(shape(fields))
    assert sum(p.numel() for p in module.parameters()) + rows * numbers == published
    assert ("first_order" in backbone.lookups) == (numbers == 11)


def by_loops(layer, x, heads, *, scale, norm):
    """An interacting layer as its definition says: one slot and head at a time."""
    width = layer.query.weight.shape[0]
    part = width // heads
    out = torch.zeros(*x.shape[:2], width, dtype=x.dtype)
    for b in range(len(x)):
        q, k, v = (x[b] @ w.weight.t() for w in (layer.query, layer.key, layer.value))
        for h in range(heads):
            s = slice(h * part, (h + 1) * part)
            for i in range(x.shape[1]):
                scores = torch.stack([q[i, s] @ k[j, s] for j in range(x.shape[1])])
                shares = torch.exp(scores / (math.sqrt(part) if scale else 1.0))
                shares = shares / shares.sum()
                for j in range(x.shape[1]):
                    out[b, i, s] += shares[j] * v[j, s]
    out = out + (x if layer.res is None else x @ layer.res.weight.t())
    if norm:
        mean, var = out.mean(2, keepdim=True), out.var(2, unbiased=False, keepdim=True)
        out = (out - mean) / torch.sqrt(var + 1e-5) * layer.norm.weight + layer.norm.bias
    return out.clamp(min=0)


@pytest.mark.parametrize(("scale", "norm"), [(True, True), (False, False)])
def test_layers_are_an_explicit_softmax(scale, norm):
    torch.manual_seed(0)
    module = AutoInt(layers=2, attention_width=6, heads=2, scale=scale, layer_norm=norm).build(shape(4, 3)).eval()
    if norm:
        for layer in module.attention:
            torch.nn.init.normal_(layer.norm.weight)
            torch.nn.init.normal_(layer.norm.bias)
    main = torch.randn(5, 4, 3)
    x = main
    with torch.no_grad():
        for layer in module.attention:
            x = by_loops(layer, x, 2, scale=scale, norm=norm)
        torch.testing.assert_close(run(module, main), module.out(x.flatten(1)), atol=1e-5, rtol=1e-5)


def test_the_wide_part_is_the_sum_of_first_orders():
    torch.manual_seed(0)
    main, first = torch.randn(5, 3, 4), torch.randn(5, 3, 1)
    for cls in (AutoInt, AutoIntPlus):
        module = cls(layers=1, attention_width=4, heads=2, wide=True).build(shape(3, 4)).eval()
        with_first, without = run(module, main, first), run(module, main, torch.zeros(5, 3, 1))
        torch.testing.assert_close(with_first - without, first.sum(1), atol=1e-5, rtol=1e-5)


def test_attention_dropout_keeps_the_mean_and_rests_in_evaluation():
    torch.manual_seed(0)
    module = AutoInt(layers=1, attention_width=4, heads=1, layer_norm=False, attention_dropout=0.3).build(shape(3, 4))
    layer = module.attention[0]
    with torch.no_grad():
        layer.value.weight.abs_()  # nothing is cut by the ReLU
    x = torch.rand(1, 3, 4)
    many = layer.train()(x.expand(20_000, 3, 4)).mean(0)
    torch.testing.assert_close(many, layer.eval()(x)[0], atol=0.02, rtol=0.02)
    assert torch.equal(layer(x), layer(x))


def test_impossible_layers_are_refused_and_ranges_declared():
    with pytest.raises(
        ConfigError, match="autoint: needs at least one layer and an attention_width that the heads divide"
    ):
        AutoInt(attention_width=10, heads=4)
    assert {"layers", "attention_width", "heads", "wide"} <= set(ranges(AutoInt))
