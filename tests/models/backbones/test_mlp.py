from __future__ import annotations

import pytest
import torch

from ctrsel.models.backbones._mlp import BatchNorm, Dropout, mlp


def test_order_of_a_block():
    names = [type(m).__name__ for m in mlp(3, (4, 5), 1, batch_norm=True, dropout=0.5)]
    block = ["Linear", "BatchNorm", "ReLU", "Dropout"]
    assert names == [*block, *block, "Linear"]


@pytest.mark.parametrize("p", [0.1, 0.2, 0.5, 0.9])
def test_dropout_keeps_the_mean_drops_the_share_and_masks_the_gradient(p):
    torch.manual_seed(0)
    x = torch.ones(1000, 201, requires_grad=True)
    y = Dropout(p).train()(x)
    y.sum().backward()
    n = x.numel()
    assert abs(float((y == 0).float().mean()) - p) < 5 * (p * (1 - p) / n) ** 0.5
    assert abs(float(y.detach().mean()) - 1) < 5 * (p / (1 - p) / n) ** 0.5
    assert torch.equal(x.grad, y.detach())
    # Four draws come from one random word: neighbours must not be alike.
    kept = (y.detach() != 0).float().flatten()
    for lag in (1, 2, 3, 4):
        a, b = kept[:-lag] - kept.mean(), kept[lag:] - kept.mean()
        assert abs(float((a * b).mean() / kept.var())) < 5 / n**0.5


def test_dropout_is_nothing_in_evaluation_and_repeats_by_seed():
    x = torch.randn(7, 3)
    drop = Dropout(0.5)
    assert drop.eval()(x) is x
    drop.train()
    draws = []
    for _ in range(2):
        torch.manual_seed(3)
        draws.append(drop(x))
    assert torch.equal(*draws)


def test_batch_norm_agrees_with_torch_and_takes_one_row():
    torch.manual_seed(0)
    own, theirs = BatchNorm(4), torch.nn.BatchNorm1d(4)
    x = torch.randn(9, 4)
    torch.testing.assert_close(own(x), theirs(x))
    assert torch.isfinite(own(x[:1])).all()
    assert own(x[:0]).shape == (0, 4)
    torch.testing.assert_close(own.running_mean, theirs.running_mean)


def test_folded_layers_are_linear_layers_that_compute_the_same():
    torch.manual_seed(0)
    layers = mlp(6, (5, 4), 2, batch_norm=True, dropout=0.3).double()
    for _ in range(3):  # running moments and scales that are not those of the start
        layers(torch.randn(20, 6, dtype=torch.float64) * 3 + 1)
    with torch.no_grad():
        layers[1].weight.uniform_(0.5, 2)
        layers[1].bias.normal_()
    layers.eval()
    x = torch.randn(7, 6, dtype=torch.float64)
    made = layers.folded()
    assert [type(m).__name__ for m in made] == ["Linear", "ReLU", "Linear", "ReLU", "Linear"]
    torch.testing.assert_close(made(x), layers(x), rtol=1e-12, atol=1e-12)
