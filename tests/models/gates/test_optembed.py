"""OptEmbed's row pruning by hand: the mask, the estimator of its slope, the price, and what moves a threshold."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from ctrsel.core.errors import ConfigError
from ctrsel.models.gates._contract import Alone, SearchPlan
from ctrsel.models.gates.optembed import OptEmbed

STEPS = 200
# Sums of absolute numbers 1, .7, .9 and 1; Euclidean lengths .71, .7, .64 and 1
ROWS = torch.tensor([[0.5, -0.5], [0.7, 0.0], [-0.45, -0.45], [0.0, 1.0]])


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
    module = OptEmbed(**given).build(plan)
    if thresholds is not None:
        with torch.no_grad():
            module.t.copy_(torch.tensor(thresholds))
    return module


def test_the_mask_goes_by_the_sum_of_absolute_numbers():
    """t = .8 in the first field, .95 in the second: by Euclidean lengths the first and the third would be dropped."""
    module = built(thresholds=[0.8, 0.95])
    codes = torch.tensor([3, 4, 5, 9])
    assert module.alive(ROWS, codes).tolist() == [True, False, True, True]
    assert module.alive(ROWS, codes + torch.tensor([6, 6, 6, 0])).tolist() == [True, False, False, True]
    assert module.alive(torch.tensor([[1.0, 0.0]]), torch.tensor([1])).tolist() == [True]


@pytest.mark.parametrize("how", ["soft", "no gradient", "hard"])
def test_a_masked_row_is_zero_and_the_others_are_as_they_are(how):
    module, codes = built(thresholds=[0.8, 0.95]), torch.tensor([3, 4, 11, 1])
    with torch.set_grad_enabled(how != "no gradient"):
        got = module(ROWS, codes, hard=how == "hard")
    assert got.requires_grad == (how == "soft")
    rows = ROWS * torch.tensor([[1.0], [0.0], [0.0], [1.0]])
    assert torch.equal(got.detach(), rows)
    small = built(thresholds=[0.8, 0.95])(ROWS / 100, torch.tensor([1, 2, 7, 8]))
    assert torch.equal(small, ROWS / 100)  # reserved


def test_gradients_by_hand():
    """The step's slope at a distance u from the threshold is 2 - 4 |u| to .4, then .4 to 1, then 0 (Xu and Cheung)."""
    module = built(thresholds=[0.8, 0.5])
    x = torch.tensor([[0.5, -0.6], [0.3, 0.2], [1.0, 0.3], [-2.0, 0.0], [0.0, 0.05], [0.2, 0.2]], requires_grad=True)
    codes = torch.tensor([3, 4, 9, 10, 11, 6])
    pull = torch.tensor([[1.0, 2.0], [3.0, 5.0], [7.0, 11.0], [13.0, 17.0], [19.0, 23.0], [29.0, 31.0]])
    (module(x, codes) * pull).sum().backward()
    slopes = [0.8, 0.8, 0.4, 0.0, 0.4, 0.0]  # at .3, -.3, .8, 1.5 and -.45; the last row is reserved
    mask = [1, 0, 1, 1, 0, 1]
    along = (x.detach() * pull).sum(-1).numpy()  # dL/dmask
    np.testing.assert_allclose(along, [-0.7, 1.9, 10.3, -26.0, 1.15, 12.0], rtol=1e-5)
    want = np.array(mask)[:, None] * pull.numpy() + (along * slopes)[:, None] * np.sign(x.detach().numpy())
    np.testing.assert_allclose(x.grad, want, rtol=1e-4, atol=1e-5)
    held = [-(0.8 * -0.7 + 0.8 * 1.9), -(0.4 * 10.3 + 0.4 * 1.15)]
    assert module.t.grad.tolist() == pytest.approx(held, rel=1e-4)


def test_step_zero_is_the_ungated_lookup():
    module, x = built(), torch.randn(7, 2, 2)
    x[0] = 0.0
    assert torch.equal(module(x, torch.randint(0, 12, (7, 2))), x)
    module.see([torch.zeros(12, 2)])
    assert module.kept().all()


def test_what_is_kept_and_how_far_it_is_above():
    module, table = built(thresholds=[0.8, 0.95]), torch.zeros(12, 2)
    assert module.kept().all()
    assert module.scores().tolist() == [0.0] * 12
    table[[3, 4, 5, 9]], table[10] = ROWS, ROWS[2]
    module.see([table, torch.ones(12, 1)])
    free = [3, 4, 5, 9, 10, 11]
    assert module.kept()[free].tolist() == [True, False, True, True, False, False]
    assert module.kept()[[0, 1, 2, 6, 7, 8]].all()
    assert module.scores()[free].tolist() == pytest.approx([0.2, -0.1, 0.1, 0.05, -0.05, -0.95], abs=1e-6)
    # The number of first order goes with its row
    first = module(torch.full((6, 1), 0.01), torch.tensor(free))
    assert first.flatten().tolist() == pytest.approx([0.01, 0.0, 0.01, 0.01, 0.0, 0.0])
    assert module.scale == 1.0


def test_the_price_by_hand():
    module = built(thresholds=[0.0, 2.0], alpha=0.01)
    price = module.price()
    assert float(price.detach()) == pytest.approx(0.01 * (1 + math.exp(-2)))
    price.backward()
    assert module.t.grad.tolist() == pytest.approx([-0.01, -0.01 * math.exp(-2)])


def adams(x, slope, *, rate, steps):
    """Where Adam takes a number by a slope (Kingma and Ba, algorithm 1)."""
    m = v = 0.0
    for t in range(1, steps + 1):
        g = slope(x)
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        x -= rate * m / (1 - 0.9**t) / (math.sqrt(v / (1 - 0.999**t)) + 1e-8)
    return x


def test_a_threshold_that_only_its_price_moves_rises():
    """After a warm-up of 60 steps 140 of Adam on the price alone, at a rate of .7 / 140."""
    module = built(reach=0.7)
    for i in range(STEPS):
        module.advance(i / (STEPS - 1))
        module.price().backward()
        module.update(Alone())
        if i < 60:
            assert module.t.tolist() == [0.0, 0.0]
    want = adams(0.0, lambda t: -1e-3 * math.exp(-t), rate=0.7 / 140, steps=140)
    assert module.t.tolist() == pytest.approx([want] * 2, abs=1e-4)
    assert 0.5 < want < 0.7


def test_a_threshold_that_the_data_holds_stays_at_zero_and_never_below():
    module = built(warmup=0.0)
    for i in range(20):
        module.advance(i / (STEPS - 1))
        out = module(torch.full((1, 2), 0.1), torch.tensor([3]))
        (-out.sum() + module.price()).backward()
        module.update(Alone())
        assert float(module.t[0].detach()) == 0.0
    assert float(module.t[1].detach()) > 0.05


@pytest.mark.parametrize(
    "bad", [{"epochs": 0}, {"rewind": 6}, {"patience": -1}, {"alpha": 0.0}, {"reach": 0.0}, {"warmup": 1.0}]
)
def test_impossible_parameters_are_refused(bad):
    with pytest.raises(ConfigError):
        OptEmbed(**bad)
