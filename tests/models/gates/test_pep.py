"""PEP by hand: the soft form, its gradients, what moves a threshold, and which values are dropped."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from ctrsel.core.errors import ConfigError
from ctrsel.models.gates._contract import Alone, SearchPlan
from ctrsel.models.gates.pep import PEP

STEPS = 200


def built(*, thresholds=None, **given):
    """Two fields with the codes 0 to 5 and 6 to 11, of which the first three are reserved."""
    plan = SearchPlan(
        total_codes=12,
        reserved=np.array([0, 6, 1, 7, 2, 8]),
        width=2,
        train_rows=1000,
        steps=STEPS,
        learning_rate=1e-3,
    )
    module = PEP(**given).build(plan)
    if thresholds is not None:
        with torch.no_grad():
            module.s.copy_(torch.tensor([math.log(t / (1 - t)) for t in thresholds]))
    return module


def test_the_soft_form_by_hand():
    """sign(v) max(|v| - t, 0) with t = .1 in the first field and .3 in the second; reserved rows are as they are."""
    module = built(thresholds=[0.1, 0.3])
    x = torch.tensor([[0.05, -0.5], [0.4, -0.31], [0.1, 0.11], [0.05, -0.5], [-0.02, 0.2]])
    want = [[0.0, -0.4], [0.1, -0.01], [0.0, 0.01], [0.05, -0.5], [0.0, 0.0]]
    codes = torch.tensor([3, 9, 5, 8, 11])
    np.testing.assert_allclose(module(x, codes).detach(), want, atol=1e-6)
    np.testing.assert_allclose(module.eval()(x, codes).detach(), want, atol=1e-6)


def test_gradients_of_the_soft_form_by_hand():
    """Numbers above the threshold pass theirs on; ds of a field is -t (1 - t) times what its numbers pull outwards."""
    module = built(thresholds=[0.1, 0.3])
    x = torch.tensor([[0.05, -0.5], [0.4, -0.31], [0.6, 0.2]], requires_grad=True)
    pull = torch.tensor([[1.0, 2.0], [3.0, 5.0], [7.0, 11.0]])
    (module(x, torch.tensor([3, 9, 4])) * pull).sum().backward()
    assert x.grad.tolist() == [[0.0, 2.0], [3.0, 5.0], [7.0, 11.0]]
    outwards = [-2.0 + 7.0 + 11.0, 3.0 - 5.0]
    want = [-0.1 * 0.9 * outwards[0], -0.3 * 0.7 * outwards[1]]
    assert module.s.grad.tolist() == pytest.approx(want, rel=1e-5)


def test_step_zero_is_the_ungated_lookup_but_for_3e_7():
    module, x = built(), torch.randn(7, 2, 2)
    np.testing.assert_allclose(module(x, torch.randint(0, 12, (7, 2))).detach(), x, atol=4e-7)
    assert module.facts()["threshold"] == pytest.approx(1 / (1 + math.exp(15)))


def test_a_value_lives_while_one_of_its_numbers_is_above_the_threshold():
    module = built(thresholds=[0.1, 0.3])
    rows = torch.tensor([[0.05, -0.5], [0.09, -0.09], [0.0, 0.0], [0.2, 0.2], [0.1, -0.31]])
    codes = torch.tensor([3, 4, 5, 9, 10])
    # All of [.09, -.09] are below .1, though their sum is not; a row of zeros was never reached; .2 is below .3
    assert module.alive(rows, codes).tolist() == [True, False, True, False, True]
    exact = torch.sigmoid(module.s.detach())[1]
    assert not module.alive(exact.expand(1, 2), torch.tensor([11]))  # as large as the threshold is not above it


def test_what_is_kept_and_how_far_it_is_above():
    module, table = built(thresholds=[0.1, 0.3]), torch.full((12, 2), 0.05)
    assert module.kept().all()
    assert module.scores().tolist() == [0.0] * 12
    table[[3, 9, 10]] = torch.tensor([[0.05, -0.5], [0.2, 0.2], [0.1, -0.31]])
    table[11] = 0.0
    module.see([table, torch.ones(12, 1)])
    free = [3, 4, 5, 9, 10, 11]
    assert module.kept()[free].tolist() == [True, False, False, False, True, True]
    assert module.kept()[[0, 1, 2, 6, 7, 8]].all()
    want = [0.5 - 0.1, 0.05 - 0.1, 0.05 - 0.1, 0.2 - 0.3, 0.31 - 0.3, -0.3]
    assert module.scores()[free].tolist() == pytest.approx(want, abs=1e-6)
    assert module.scale == 1.0


def test_the_hard_form_and_the_first_order_go_by_the_row():
    """A kept row is as it is, without the threshold; the number of first order goes with its row."""
    module, table = built(thresholds=[0.1, 0.3]), torch.full((12, 2), 0.05)
    table[3] = torch.tensor([0.05, -0.5])
    module.see([table])
    codes = torch.tensor([3, 4, 2])
    assert torch.equal(module(table[codes], codes, hard=True), table[codes] * torch.tensor([[1.0], [0.0], [1.0]]))
    assert module(torch.full((3, 1), 0.01), codes).flatten().tolist() == pytest.approx([0.01, 0.0, 0.01])


def test_the_decay_is_half_of_the_squares():
    module = built(thresholds=[0.1, 0.3], decay=0.02)
    want = 0.01 * (math.log(9) ** 2 + math.log(7 / 3) ** 2)
    assert float(module.price().detach()) == pytest.approx(want, rel=1e-6)


def adams(x, slope, *, rate, steps):
    """Where Adam takes a number by a slope (Kingma and Ba, algorithm 1)."""
    m = v = 0.0
    for t in range(1, steps + 1):
        g = slope(x)
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        x -= rate * m / (1 - 0.9**t) / (math.sqrt(v / (1 - 0.999**t)) + 1e-8)
    return x


def test_the_decay_lifts_thresholds_that_no_data_holds():
    """In the 160 steps after the warm-up as Adam goes by the decay alone, at a rate of (15 - 3) / 160."""
    module = built()
    for i in range(STEPS):
        module.advance(i / (STEPS - 1))
        module.price().backward()
        module.update(Alone())
        if i < 40:
            assert module.s.tolist() == [-15.0, -15.0]
    want = adams(-15.0, lambda s: 1e-6 * s, rate=12 / 160, steps=160)
    assert module.s.tolist() == pytest.approx([want] * 2, abs=1e-3)
    assert -6 < want < -3  # Adam slows down as s gets smaller


def test_a_threshold_that_the_data_holds_does_not_rise():
    """Numbers that the loss wants larger pull their field's threshold down; the other field's goes up all the same."""
    module = built(thresholds=[0.1, 0.1], warmup=0.0)
    before = module.s.detach().clone()
    for i in range(20):
        module.advance(i / (STEPS - 1))
        (module.price() - module(torch.full((1, 2), 5.0), torch.tensor([3])).sum()).backward()
        module.update(Alone())
    assert float(module.s[0].detach()) < float(before[0]) - 0.5
    assert float(module.s[1].detach()) > float(before[1]) + 0.5


@pytest.mark.parametrize(
    "bad",
    [
        {"epochs": 0},
        {"rewind": 6},
        {"patience": -1},
        {"decay": 0.0},
        {"warmup": 1.0},
        {"start": -3.0},
        {"stop": 0.0},
    ],
)
def test_impossible_parameters_are_refused(bad):
    with pytest.raises(ConfigError):
        PEP(**bad)
