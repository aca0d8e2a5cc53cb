"""The calibrated gates by themselves, on a logistic model of one field: what they keep does not depend on how it is fed."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from ctrsel.core.errors import ConfigError
from ctrsel.models.gates._contract import Alone, SearchPlan
from ctrsel.models.gates.calibrated_optfs import CalibratedOptFS

CARD = Path(__file__).parents[3] / "docs" / "methods" / "calibrated_optfs.md"
EPOCHS = 4


def plan(*, values=9, rows=100, steps=40):
    return SearchPlan(
        total_codes=values, reserved=np.arange(3), width=1, train_rows=rows, steps=steps, learning_rate=1e-3
    )


def simulated(rows, values, batch, *, effect=1.5, gate=None, seed=1):
    """Search on one field of equally frequent values of which a tenth have an effect; a number a value, Adagrad.

    Returns:
        Shares kept of the values of use and of the others, and the gains of the others.
    """
    gate = CalibratedOptFS(epochs=EPOCHS, patience=0) if gate is None else gate
    rng = np.random.default_rng(seed)
    theta = np.zeros(values + 3)
    theta[3 : 3 + values // 10] = effect * np.where(np.arange(values // 10) % 2, -1, 1)
    codes = rng.permutation(np.arange(rows) % values) + 3
    labels = (rng.random(rows) < 1 / (1 + np.exp(-theta[codes]))).astype(np.float32)
    steps = rows // batch
    module = gate.build(plan(values=values + 3, rows=rows, steps=EPOCHS * steps))
    table = torch.full((values + 3, 1), 1e-4, requires_grad=True)
    squares, exchange = torch.zeros_like(table), Alone()
    done = 0
    for _ in range(EPOCHS):
        order = rng.permutation(rows)
        for at in range(0, steps * batch, batch):
            some = torch.from_numpy(codes[order[at : at + batch]])[:, None]
            some[torch.from_numpy(rng.random(batch) < 0.01)] = 1  # some rows teach OTHER, as a net's learner has it
            y = torch.from_numpy(labels[order[at : at + batch]])
            module.advance(done / (EPOCHS * steps - 1))
            z = module(table[some], some, other=table[1]).sum((1, 2))
            torch.nn.functional.binary_cross_entropy_with_logits(z, y).backward()
            exchange.rows = batch
            module.update(exchange)
            with torch.no_grad():
                squares += (table.grad * batch) ** 2
                table -= 0.7 * table.grad * batch / (squares.sqrt() + 1e-8)
            table.grad = None
            done += 1
    module.finish()
    use, kept = theta[3:] != 0, module.kept()[3:].numpy()
    return kept[use].mean(), kept[~use].mean(), module.scores()[3:].numpy()[~use]


def card_table():
    lines = [line for line in CARD.read_text("utf-8").splitlines() if line.startswith("| ")]
    cells = [[c.strip() for c in line.strip("|").split("|")] for line in lines]
    start = next(i for i, c in enumerate(cells) if c[:3] == ["rows", "values", "batch"])
    found = []
    for c in cells[start + 2 :]:
        if not c[0].replace(",", "").isdigit():
            break
        found.append((*(int(x.replace(",", "")) for x in c[:3]), *(float(x) for x in c[3:5])))
    return found


@pytest.mark.parametrize(("rows", "values", "batch", "use", "noise"), card_table() if CARD.is_file() else [])
def test_the_table_on_the_card(rows, values, batch, use, noise):
    kept, false, _ = simulated(rows, values, batch)
    assert kept == pytest.approx(use, abs=0.06)
    assert false == pytest.approx(noise, abs=0.06)


def test_gains_of_noise_are_half_a_chi_squared_at_any_batch():
    """One number a value: half of chi-squared with one degree of freedom has the mean a half."""
    for batch in (20, 200):
        _, _, gains = simulated(4000, 100, batch)
        assert 0.25 < gains.mean() < 0.8
        assert np.median(gains) < 0.5


def test_gains_do_not_depend_on_the_length_of_a_row():
    """e and 7 e under the same gradients of the product: the same evidence."""
    found = []
    for length in (1.0, 7.0):
        module = CalibratedOptFS(epochs=1).build(plan())
        for i in range(5):
            codes = torch.tensor([[3], [4], [3]])
            x = torch.full((3, 1, 1), length)
            pull = torch.tensor([[[-0.5]], [[0.2]], [[0.1 * i]]])
            ((module(x, codes) * pull).sum() / 3).backward()
            exchange = Alone()
            exchange.rows = 3
            module.update(exchange)
        found.append(module.scores()[3:5])
    # a = -pull * length: sums and squares at g = 1 differ in length, so compare gains of the closed form by hand.
    for length, got in zip((1.0, 7.0), found, strict=True):
        keep = [math.exp(-(4 - i) / 40) for i in range(5)]
        a = [[0.5 * length, -0.1 * i * length] for i in range(5)]
        q = sum(k * sum(x * x for x in pair) for k, pair in zip(keep, a, strict=True))
        push = sum(k * sum(x + x * x for x in pair) for k, pair in zip(keep, a, strict=True))
        want = push * push / (2 * q) / -math.expm1(-5 / 40)
        assert float(got[0]) == pytest.approx(want, rel=1e-4)


def test_a_value_that_is_not_heard_of_goes_down_at_constant_speed():
    module = CalibratedOptFS(epochs=4).build(plan(steps=400))
    codes = torch.tensor([[3]])
    (module(torch.ones(1, 1, 1), codes) * -9.0).sum().backward()
    module.update(Alone())
    seen = [float(module.now()[3])]
    for _ in range(100):
        module.update(Alone())
        seen.append(float(module.now()[3]))
    np.testing.assert_allclose(np.diff(seen), -1 / 100, rtol=1e-3)


def test_a_closed_gate_measures_on_and_opens_again():
    module = CalibratedOptFS(epochs=2, warmup=0.0).build(plan(steps=100))
    codes, x = torch.tensor([[3]] * 8), torch.ones(8, 1, 1)
    for i in range(60):
        module.advance(i / 99)
        sign = 1.0 if i < 30 else -1.0  # first the row does harm, then good
        (module(x, codes) * sign * 0.3 / 8).sum().backward()
        exchange = Alone()
        exchange.rows = 8
        module.update(exchange)
        if i == 29:
            assert not module.kept()[3]
    assert module.kept()[3]


def test_held_out_occurrences_are_the_same_in_every_epoch_and_teach_the_row_nothing():
    module = CalibratedOptFS(epochs=2, held_out=0.5).build(plan(steps=100))
    rows, codes = np.arange(200), torch.full((200, 2), 3)
    module.begin(rows)
    x = torch.ones(200, 2, 1, requires_grad=True)
    module(x, codes).sum().backward()
    learns = x.grad.squeeze(-1) != 0
    assert 0.4 < learns.float().mean() < 0.6
    assert 0.1 < (learns[:, 0] & learns[:, 1]).float().mean() < 0.4  # slots of a row are drawn by themselves
    module.begin(rows[::-1].copy())
    assert torch.equal(module._learns(codes).flip(0), learns)
    module.update(Alone())
    assert float(module.curvature[3]) == pytest.approx(float((~learns).sum()))


@pytest.mark.parametrize(
    "bad",
    [
        {"epochs": 0},
        {"rewind": 5},
        {"nats": 0.0},
        {"temperature": 0.0},
        {"warmup": 1.0},
        {"held_out": 1.0},
        {"patience": -1},
    ],
)
def test_impossible_parameters_are_refused(bad):
    with pytest.raises(ConfigError):
        CalibratedOptFS(**bad)
