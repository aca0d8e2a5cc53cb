from __future__ import annotations

import numpy as np
import pytest
import torch

from ctrsel.core.errors import ConfigError
from ctrsel.models.gates._contract import SearchPlan
from ctrsel.models.gates.mvfs import MvFS


def plan(**changes):
    given = {
        "total_codes": 12,
        "reserved": np.array([0, 1, 2]),
        "fields": tuple("abcde"),
        "width": 3,
        "train_rows": 1000,
        "steps": 500,
        "learning_rate": 1e-3,
    }
    return SearchPlan(**{**given, **changes})


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


@pytest.mark.parametrize("level", [0.2, None])
def test_weights_by_numpy(level):
    torch.manual_seed(1)
    gate = MvFS(views=4, level=level).build(plan()).eval()
    gate.advance(0.625)  # half of what follows the warm-up
    assert gate.facts()["tau"] == pytest.approx(7.5)
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(6, 5, 3)).astype(np.float32)
    p = {k: v.detach().numpy().astype(float) for k, v in gate.named_parameters()}
    views = softmax((rows.reshape(6, 15) @ p["scorers.weight"].T + p["scorers.bias"]).reshape(6, 4, 5))
    shares = softmax(views.reshape(6, 20) @ p["mixer.weight"].T + p["mixer.bias"])
    mixed = np.einsum("bk,bkf->bf", shares, views)
    np.testing.assert_allclose(mixed.sum(1), 1, rtol=1e-6)
    want = 0.5 * (1 + np.tanh(7.5 * (mixed - 0.2)))  # an even score of five fields is .2 too
    np.testing.assert_allclose(gate.weights(torch.from_numpy(rows)).detach(), want, rtol=1e-5, atol=1e-6)


def test_an_even_score_is_a_weight_of_a_half():
    gate = MvFS().build(plan(fields=tuple(f"f{i}" for i in range(40))))
    with torch.no_grad():
        gate.scorers.weight.zero_()
        gate.scorers.bias.zero_()
    torch.testing.assert_close(gate.weights(torch.randn(3, 40, 3)), torch.full((3, 40), 0.5))


def test_every_weight_is_set_before_it_is_used():
    """As released, the mixing weights are memory that nobody set."""
    torch.manual_seed(2)
    one = MvFS().build(plan())
    torch.full((10_000,), float("nan"))
    torch.manual_seed(2)
    two = MvFS().build(plan())
    for a, b in zip(one.parameters(), two.parameters(), strict=True):
        assert torch.isfinite(a).all()
        assert torch.equal(a, b)


def test_the_temperature_rises_with_progress_and_not_with_forward_passes():
    gate = MvFS().build(plan())
    for _ in range(20):
        gate.weights(torch.randn(3, 5, 3))
    got = []
    for progress in (0.0, 0.25, 0.625, 1.0):
        gate.advance(progress)
        got.append(gate.facts()["tau"])
    assert got == pytest.approx([5.0, 5.0, 7.5, 10.0])


def test_impossible_parameters_are_refused():
    for bad in (
        {"epochs": 0},
        {"rewind": 8},
        {"every": -1},
        {"views": 0},
        {"level": 1.0},
        {"temperature": 1.0},
        {"controller_lr": 0.0},
        {"warmup": 1.0},
    ):
        with pytest.raises(ConfigError):
            MvFS(**bad)
