from __future__ import annotations

import numpy as np
import pytest
import torch

from ctrsel.core.errors import ConfigError
from ctrsel.models.embedded import Embedded
from ctrsel.models.gates._contract import Alone, SearchPlan
from ctrsel.models.gates.adafs import AdaFS
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


def rows(n=40, seed=0):
    g = torch.Generator().manual_seed(seed)
    return Embedded(main=torch.randn(n, 5, 3, generator=g), first_order=None, floats=torch.zeros(n, 0))


def weights(gate, embedded):
    return (gate(embedded).main / embedded.main)[..., 0]


def loosened(gate):
    """Let the controller say something."""
    with torch.no_grad():
        for p in gate.parameters():
            p.add_(0.5 * torch.randn(p.shape, generator=torch.Generator().manual_seed(p.numel())))
    return gate


@pytest.mark.parametrize("component", [AdaFS(), AdaFS(top=2), MvFS()])
def test_the_net_trains_alone_first(component):
    gate = component.build(plan()).train()
    gate.advance(0.24)
    e = rows()
    assert gate(e) is e
    gate.update(Alone())  # without any gradient nothing moves
    assert int(gate.adam.t0) == 0
    gate.advance(0.25)
    assert gate(e) is not e


def test_soft_weights_are_a_softmax_of_each_row_with_the_mean_1():
    gate = AdaFS(warmup=0.0).build(plan()).eval()
    assert weights(gate, rows()).allclose(torch.ones(40, 5), atol=1e-5)
    w = weights(loosened(gate), rows())
    assert w.sum(1).allclose(torch.full((40,), 5.0), atol=1e-4)
    assert (w > 0).all()
    assert w.std(0).min() > 0  # each row has its own


@pytest.mark.parametrize("top", [1, 3, 5])
def test_hard_weights_are_those_of_the_largest_k(top):
    torch.manual_seed(0)
    soft, hard = (loosened(AdaFS(warmup=0.0, top=k).build(plan())).eval() for k in (None, top))
    with torch.no_grad():
        hard.load_state_dict(soft.state_dict())
    a, b = weights(soft, rows()), weights(hard, rows())
    assert ((b > 0).sum(1) == top).all()
    assert b.sum(1).allclose(torch.full((40,), 5.0), atol=1e-4)
    for one, two in zip(a, b, strict=True):
        chosen = two > 0
        assert one[chosen].min() >= one[~chosen].max() if (~chosen).any() else True
        torch.testing.assert_close(two[chosen], one[chosen] * 5 / one[chosen].sum(), rtol=1e-4, atol=1e-5)


def test_the_scale_of_the_embeddings_is_normalised_away_from_the_controller():
    gate = loosened(AdaFS(warmup=0.0).build(plan())).train()
    e = rows()
    large = Embedded(main=e.main * 100, first_order=None, floats=e.floats)
    torch.testing.assert_close(weights(gate, e), weights(gate, large), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("component", [AdaFS(warmup=0.0), AdaFS(warmup=0.0, top=2), MvFS(warmup=0.0)])
def test_scores_are_means_over_the_rows_with_their_standard_errors(component):
    gate = loosened(component.build(plan())).eval()
    parts = rows(30, seed=1), rows(50, seed=2)
    w = torch.cat([weights(gate, part) for part in parts]).double().detach()
    for part in parts:
        gate.observe(part)
    np.testing.assert_allclose(gate.scores(), w.mean(0), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(gate.errors(), w.std(0) / np.sqrt(80), rtol=1e-3, atol=1e-6)
    assert gate.kept().all()  # no field is shut for all rows


def test_impossible_parameters_are_refused():
    with pytest.raises(ConfigError, match="there are 5 fields, got 6"):
        AdaFS(top=6).build(plan())
    for bad in (
        {"epochs": 0},
        {"rewind": 8},
        {"every": -1},
        {"hidden": 0},
        {"top": 0},
        {"controller_lr": 0.0},
        {"warmup": 1.0},
    ):
        with pytest.raises(ConfigError):
            AdaFS(**bad)
