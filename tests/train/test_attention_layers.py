from __future__ import annotations

import pytest
import torch

from ctrsel.models.backbones.autoint import AutoInt
from ctrsel.train import attention_layers
from ctrsel.train.attention_layers import interacted


@pytest.mark.parametrize("norm", [True, False])
@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.parametrize("rows", [0, 1, 25])
def test_loops_equal_plain_torch_forwards_and_backwards(norm, residual, rows, monkeypatch):
    monkeypatch.setattr(attention_layers, "_PART", 10)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        torch.manual_seed(0)
        form = AutoInt(layers=3, attention_width=24, heads=2, layer_norm=norm, residual=residual).form
        layers, out = form.build(6), torch.nn.Linear(5 * 24, 2)
        x = torch.randn(rows, 5, 6, requires_grad=True)
        inputs = [x, *layers.parameters(), *out.parameters()]
        results = []
        for logits in (interacted(layers, out, x), out(layers(x).flatten(1))):
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
            return interacted(layers.train(), out, at).double().sum()

        (grad,) = torch.autograd.grad(total(x), x)
        step = torch.zeros_like(x)
        for place in [(0, 0, 0), (7, 2, 1), (29, 1, 3)]:
            step.zero_()[place] = 1e-2
            slope = (total(x + step) - total(x - step)) / 2e-2
            torch.testing.assert_close(grad[place], slope.float(), atol=5e-3, rtol=5e-2)
        assert not torch.equal(total(x), interacted(layers.eval(), out, x).double().sum())
        many = torch.stack([interacted(layers.train(), out, x.detach()) for _ in range(400)]).mean(0)
        torch.testing.assert_close(many, interacted(layers.eval(), out, x.detach()), atol=0.05, rtol=0.05)
    finally:
        torch.set_num_threads(before)


def test_several_threads_and_other_types_go_layer_by_layer():
    form = AutoInt(layers=1, attention_width=4, heads=1).form
    layers, out = form.build(4), torch.nn.Linear(12, 1)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        assert interacted(layers, out, torch.zeros(2, 3, 4)) is None
        torch.set_num_threads(1)
        assert interacted(layers.double(), out.double(), torch.zeros(2, 3, 4, dtype=torch.float64)) is None
    finally:
        torch.set_num_threads(before)
