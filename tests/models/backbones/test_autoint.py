from __future__ import annotations

import math

import pytest
import torch

from ctrsel.core.errors import ConfigError
from ctrsel.core.ranges import ranges
from ctrsel.models.backbones import _attention
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


@pytest.mark.parametrize("norm", [True, False])
@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.parametrize("rows", [0, 1, 25])
def test_loops_equal_plain_torch_forwards_and_backwards(norm, residual, rows, monkeypatch):
    monkeypatch.setattr(_attention, "_PART", 10)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        torch.manual_seed(0)
        form = AutoInt(layers=3, attention_width=24, heads=2, layer_norm=norm, residual=residual).form
        layers, out = form.build(6), torch.nn.Linear(5 * 24, 2)
        x = torch.randn(rows, 5, 6, requires_grad=True)
        inputs = [x, *layers.parameters(), *out.parameters()]
        results = []
        for logits in (_attention.interacted(layers, out, x), out(layers(x).flatten(1))):
            results.append((logits, torch.autograd.grad(logits.square().sum(), inputs)))
        (fast, of_fast), (plain, of_plain) = results
        torch.testing.assert_close(fast, plain, atol=1e-5, rtol=1e-5)
        for a, b in zip(of_fast, of_plain, strict=True):
            size = float(b.abs().max()) if b.numel() else 0.0
            torch.testing.assert_close(a, b, atol=1e-5 * max(1.0, size), rtol=1e-4)
    finally:
        torch.set_num_threads(before)


def test_loops_drop_weights_in_training_and_their_gradient_follows():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        torch.manual_seed(0)
        form = AutoInt(layers=1, attention_width=4, heads=1, layer_norm=False, attention_dropout=0.4).form
        layers, out = form.build(4), torch.nn.Linear(12, 1)
        x = torch.rand(30, 3, 4, requires_grad=True)

        def total(at):
            torch.manual_seed(1)  # the same draws each time
            return _attention.interacted(layers.train(), out, at).double().sum()

        (grad,) = torch.autograd.grad(total(x), x)
        step = torch.zeros_like(x)
        for place in [(0, 0, 0), (7, 2, 1), (29, 1, 3)]:
            step.zero_()[place] = 1e-2
            slope = (total(x + step) - total(x - step)) / 2e-2
            torch.testing.assert_close(grad[place], slope.float(), atol=5e-3, rtol=5e-2)
        assert not torch.equal(total(x), _attention.interacted(layers.eval(), out, x).double().sum())
        many = torch.stack([_attention.interacted(layers.train(), out, x.detach()) for _ in range(400)]).mean(0)
        torch.testing.assert_close(many, _attention.interacted(layers.eval(), out, x.detach()), atol=0.05, rtol=0.05)
    finally:
        torch.set_num_threads(before)
