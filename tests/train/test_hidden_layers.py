from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ctrsel.models.backbones._mlp import BatchNorm, Dropout, Layers, linear, mlp
from ctrsel.train.hidden_layers import in_one_piece
from ctrsel.train.pieces import in_pieces


@pytest.fixture(autouse=True)
def seeded():
    """Weights as they begin are those of no test before."""
    torch.manual_seed(11)


def both(layers: Layers) -> tuple[Layers, nn.Sequential]:
    """The layers with weights that are not as they begin, and a copy that goes module by module."""
    torch.manual_seed(5)
    with torch.no_grad():
        for parameter in layers.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    in_pieces(layers)
    return layers.train(), nn.Sequential(*copy.deepcopy(list(layers))).train()


def results(layers: nn.Module, x: Tensor, of_out: Tensor) -> dict[str, Tensor]:
    x = x.clone().requires_grad_()
    out = layers(x)
    (out * of_out).sum().backward()
    found = {"out": out.detach(), "x": x.grad, **{f"gradient of {k}": p.grad for k, p in layers.named_parameters()}}
    return found | {k: b.clone() for k, b in layers.named_buffers()}


@pytest.mark.parametrize("batch_norm", [True, False])
@pytest.mark.parametrize("rows", [2, 3, 64, 65, 333])
def test_one_piece_is_module_by_module(batch_norm, rows):
    pieces, modules = both(mlp(7, (19, 5), 2, batch_norm=batch_norm, dropout=0.0))
    torch.manual_seed(rows)
    x, of_out = 2.0 * torch.randn(rows, 7) + 1.0, torch.randn(rows, 2)
    got, expected = results(pieces, x, of_out), results(modules, x, of_out)
    assert list(got) == list(expected)
    for name, value in got.items():
        torch.testing.assert_close(value, expected[name], rtol=2e-4, atol=1e-4, msg=lambda m, name=name: f"{name}: {m}")


def test_a_bias_under_a_norm_has_no_gradient_at_all():
    pieces, _ = both(mlp(7, (19,), 1, batch_norm=True, dropout=0.0))
    found = results(pieces, torch.randn(50, 7), torch.ones(50, 1))
    assert found["gradient of 0.bias"].abs().max() == 0.0


def test_moments_of_columns_far_from_zero_and_of_constants():
    layers = in_pieces(Layers(linear(2, 2), BatchNorm(2), nn.ReLU()).train())
    with torch.no_grad():
        layers[0].weight.copy_(torch.eye(2))
    x = torch.stack([3000.0 + torch.randn(500), torch.full((500,), 7.0)], 1)
    out = layers(x)
    torch.testing.assert_close(layers[1].running_var, 0.9 + 0.1 * torch.stack([x[:, 0].var(), torch.tensor(0.0)]))
    assert torch.equal(out[:, 1], torch.zeros(500))
    first = x[:, 0].double()
    normal = (first - first.mean()) / first.std(correction=0)
    torch.testing.assert_close(out[:, 0].double(), normal.clamp(min=0), rtol=1e-2, atol=1e-2)


def test_dropout_drops_its_share_and_keeps_the_expectation():
    torch.manual_seed(1)
    layers = in_pieces(Layers(linear(1, 300, bias=False), nn.ReLU(), Dropout(0.3)).train())
    with torch.no_grad():
        layers[0].weight.fill_(2.0)
    out = layers(torch.ones(2000, 1)).detach().numpy()
    assert set(np.unique(out).tolist()) == {0.0, np.float32(2.0 / 0.7).item()}
    kept = out > 0
    assert kept.mean() == pytest.approx(0.7, abs=0.003)  # of 600,000: five standard errors
    for axis, n in ((0, 2000), (1, 300)):  # neither rows nor columns are favoured, and they do not go together
        share = kept.mean(axis=axis)
        assert share.std() == pytest.approx((0.7 * 0.3 / n) ** 0.5, rel=0.25)
    between_neighbours = np.corrcoef(kept[1:].ravel(), kept[:-1].ravel())[0, 1]
    assert abs(between_neighbours) < 0.007


def test_the_gradient_is_that_of_what_was_kept():
    torch.manual_seed(2)
    layers = in_pieces(Layers(linear(3, 4), nn.ReLU(), Dropout(0.5)).train())
    x = torch.randn(40, 3)
    out = layers(x)
    out.sum().backward()
    kept = (out > 0).float() / 0.5
    torch.testing.assert_close(layers[0].weight.grad, kept.t() @ x)
    torch.testing.assert_close(layers[0].bias.grad, kept.sum(0))


def test_torch_s_seed_decides_what_is_dropped():
    layers = in_pieces(Layers(linear(3, 50), nn.ReLU(), Dropout(0.5)).train())
    x = torch.randn(40, 3)
    torch.manual_seed(3)
    first = layers(x)
    second = layers(x)
    torch.manual_seed(3)
    assert torch.equal(layers(x), first)
    assert not torch.equal(first, second)


def test_evaluation_goes_module_by_module_and_drops_nothing():
    pieces, modules = both(mlp(7, (19,), 2, batch_norm=True, dropout=0.5))
    x = torch.randn(9, 7)
    assert torch.equal(pieces.eval()(x), modules.eval()(x))


@pytest.mark.parametrize("rows", [0, 1])
def test_a_batch_without_a_variance_goes_module_by_module(rows):
    layers = in_pieces(mlp(7, (19,), 2, batch_norm=True, dropout=0.5).train())
    assert not in_one_piece(torch.zeros(rows, 7))
    assert layers(torch.zeros(rows, 7)).shape == (rows, 2)


def test_other_types_and_shapes_go_module_by_module():
    assert in_one_piece(torch.zeros(2, 3))
    assert not in_one_piece(torch.zeros(2, 3, dtype=torch.float64))
    assert not in_one_piece(torch.zeros(2, 3, 4))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert not in_one_piece(torch.zeros(2, 3))
