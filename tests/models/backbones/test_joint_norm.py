"""Two threads stand in for two processes: each normalises its part of a batch, and both together must be the whole."""

from __future__ import annotations

import threading

import pytest
import torch

from ctrsel.models.backbones._joint_norm import joint_moments
from ctrsel.models.backbones._mlp import BatchNorm


class Crew:
    """What several threads have in common."""

    def __init__(self, size):
        self.size = size
        self.barrier = threading.Barrier(size)
        self.held = [None] * size

    def member(self, rank):
        crew = self

        class Member:
            def gathered(self, part):
                crew.held[rank] = part.detach().clone()
                crew.barrier.wait(120)
                out = torch.stack(crew.held)
                crew.barrier.wait(120)
                return out

            def summed(self, part):
                return self.gathered(part.flatten()).sum(0).view_as(part)

        return Member()


def together(size, work):
    """Run work(rank, across) in threads and return their results."""
    crew, found, errors = Crew(size), [None] * size, []

    def run(rank):
        try:
            found[rank] = work(rank, crew.member(rank))
        except BaseException as error:
            errors.append(error)
            crew.barrier.abort()

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return found


def trained_norm(momentum=0.1):
    draws = torch.Generator().manual_seed(1)  # of its own: threads would share torch's
    norm = BatchNorm(3, momentum=momentum)
    with torch.no_grad():
        norm.weight.copy_(torch.randn(3, generator=draws))
        norm.bias.copy_(torch.randn(3, generator=draws))
    return norm


@pytest.mark.parametrize("cuts", [(0, 5, 11), (0, 0, 11), (0, 10, 11), (0, 1, 2), (0, 0, 2), (0, 4, 4, 11)])
@pytest.mark.parametrize("momentum", [0.1, None])
def test_parts_are_normalised_as_the_whole_and_gradients_are_those_of_the_whole(cuts, momentum):
    torch.manual_seed(0)
    x = torch.randn(cuts[-1], 3) * torch.tensor([1.0, 100.0, 0.01]) + torch.tensor([0.0, 1e3, 5.0])
    g = torch.randn_like(x)
    whole, x0 = trained_norm(momentum), x.clone().requires_grad_()
    for _ in range(2):
        y0 = whole(x0)
    y0.backward(g)

    def work(rank, across):
        norm = trained_norm(momentum)
        norm.across = across
        part = x[cuts[rank] : cuts[rank + 1]].clone().requires_grad_()
        for _ in range(2):
            y = norm(part)
        y.backward(g[cuts[rank] : cuts[rank + 1]])
        return y.detach(), part.grad, norm

    found = together(len(cuts) - 1, work)
    near = {"atol": 2e-5, "rtol": 1e-3}
    torch.testing.assert_close(torch.cat([f[0] for f in found]), y0.detach(), **near)
    scale = torch.tensor([1.0, 0.01, 100.0])  # gradients by the columns' spread
    torch.testing.assert_close(torch.cat([f[1] for f in found]) / scale, x0.grad / scale, **near)
    torch.testing.assert_close(sum(f[2].weight.grad for f in found), whole.weight.grad, **near)
    torch.testing.assert_close(sum(f[2].bias.grad for f in found), whole.bias.grad, **near)
    for _, _, norm in found:
        torch.testing.assert_close(norm.running_mean, whole.running_mean, **near)
        torch.testing.assert_close(norm.running_var, whole.running_var, **near)
        assert norm.num_batches_tracked == 2


def test_channels_of_a_position_are_normalised_over_rows_and_positions():
    torch.manual_seed(0)
    x = torch.randn(7, 3, 4)
    expected = trained_norm()(x)

    def work(rank, across):
        norm = trained_norm()
        norm.across = across
        return norm(x[3 * rank : 3 + 4 * rank])

    torch.testing.assert_close(torch.cat(together(2, work)), expected, atol=1e-5, rtol=1e-4)


def test_a_batch_of_one_row_uses_the_running_moments():
    x = torch.randn(1, 3)
    norms = together(2, lambda rank, across: _with(across)(x[:rank]))
    assert norms[0].shape == (0, 3)
    torch.testing.assert_close(norms[1], trained_norm().eval()(x))


def _with(across):
    norm = trained_norm()
    norm.across = across
    return norm


def test_evaluation_exchanges_nothing():
    class Never:
        def gathered(self, part):
            raise AssertionError

        summed = gathered

    norm = _with(Never()).eval()
    torch.testing.assert_close(norm(torch.ones(2, 3)), trained_norm().eval()(torch.ones(2, 3)))


def test_moments_of_large_means_lose_no_digits():
    torch.manual_seed(0)
    x = torch.randn(1000, 1) + 1e4
    for n, _, var in together(2, lambda rank, across: joint_moments(x[500 * rank : 500 + 500 * rank], across)):
        assert n == 1000
        torch.testing.assert_close(var, x.double().var(0, unbiased=False).float(), rtol=1e-3, atol=0)
