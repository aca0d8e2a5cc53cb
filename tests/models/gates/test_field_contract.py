"""Every gate on fields meets the contract; new files are found by themselves."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ctrsel.models.embedded import Embedded
from ctrsel.models.gates import CATALOG
from ctrsel.models.gates._contract import Alone, FieldGateModule, SearchPlan, scaled

GATES = [c for c in map(CATALOG.load, CATALOG.names()) if c.site == "field"]
F, D = 6, 3  # the last field stays a float


def plan(**changes):
    given = {
        "total_codes": 40,
        "reserved": np.arange(3),
        "fields": tuple("abcdef"),
        "floats": 1,
        "width": D,
        "train_rows": 5000,
        "steps": 400,
        "learning_rate": 1e-3,
        "seed": 4,
    }
    return SearchPlan(**{**given, **changes})


def rows(n=32, seed=0):
    g = torch.Generator().manual_seed(seed)
    return Embedded(
        main=torch.randn(n, F, D, generator=g).requires_grad_(),  # a gate that is held gives no gradient of its own
        first_order=torch.randn(n, F, 1, generator=g),
        floats=torch.randn(n, 1, generator=g),
    )


@pytest.fixture(params=GATES, ids=lambda c: c.__name__)
def gate(request) -> FieldGateModule:
    component = request.param()
    assert 0 <= component.rewind < component.epochs_on(5000)
    torch.manual_seed(3)
    return component.build(plan())


def state(gate):
    return {k: v.clone() for k, v in gate.state_dict().items()}


def trained(gate, steps=60):
    """Take steps of a loss that wants field 0, and punishes the others."""
    gate.train()
    for step in range(steps):
        gate.advance(step / (steps - 1) if steps > 1 else 1.0)
        e = rows(seed=step)
        w = gate(Embedded(main=e.main, first_order=None, floats=e.floats)).main / e.main
        (w[:, 1:].mean() - 3 * w[:, 0].mean()).backward()
        gate.update(Alone())
    gate.finish()
    return gate.eval()


@pytest.mark.parametrize("n", [0, 1, 7])
def test_everything_of_a_slot_has_the_same_weight(gate, n):
    trained(gate, 3)
    e = rows(n)
    out = gate(e)
    assert out.main.shape == e.main.shape
    w = out.main / e.main
    torch.testing.assert_close(w, w[..., :1].expand_as(w), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(out.first_order, e.first_order * w[..., :1], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(out.floats, e.floats * w[:, -1:, 0], rtol=1e-4, atol=1e-5)


def test_all_fields_begin_alike(gate):
    gate.train()
    gate.advance(0.0)
    assert gate.kept().shape == gate.scores().shape == (F,)
    assert gate.scores().dtype == torch.float64
    assert len(set(gate.scores().tolist())) == 1
    assert gate.kept().all()
    w = gate.eval()(rows()).main / rows().main
    torch.testing.assert_close(w, w[:1, :1, :1].expand_as(w), rtol=1e-4, atol=1e-5)


def test_the_wanted_field_rises(gate):
    trained(gate)
    if gate.observes:
        gate.observe(rows())
        assert (gate.errors() > 0).all()
    assert int(gate.scores().argmax()) == 0
    w = (gate(rows()).main / rows().main)[..., 0].mean(0)
    assert int(w.argmax()) == 0


def test_no_state_moves_in_evaluation(gate):
    trained(gate, 5)
    before = state(gate)
    first = gate(rows())
    assert torch.equal(first.main, gate(rows()).main)
    gate.price()
    gate.kept()
    gate.scores()
    gate.facts()
    gate.finish()
    after = state(gate)
    assert list(after) == list(before)
    assert all(torch.equal(after[k], before[k]) for k in before)


def test_all_it_remembers_is_in_its_state(gate, request):
    """Half a search, its state put into a gate built anew, the other half: as in one go."""
    component = type(gate)
    made = request.node.callspec.params["gate"]()
    torch.manual_seed(3)
    whole, first, second = (made.build(plan()).train() for _ in range(3))
    assert type(whole) is component
    with torch.no_grad():
        for other in (first, second):
            other.load_state_dict(whole.state_dict())

    def go(module, begin, end):
        for step in range(begin, end):
            module.advance(step / 39)
            out = module(rows(seed=step))
            out.main.square().mean().add((out.main[:, 0] * 2).mean()).backward()
            module.update(Alone())

    go(whole, 0, 40)
    go(first, 0, 23)
    second.load_state_dict(first.state_dict())
    go(second, 23, 40)
    assert all(torch.equal(v, second.state_dict()[k]) for k, v in whole.state_dict().items())
    assert torch.equal(whole.scores(), second.scores())


def test_weights_per_row_or_for_all():
    e = rows(2)
    shared = scaled(e, torch.arange(6.0))
    own = scaled(e, torch.arange(6.0).expand(2, 6))
    assert torch.equal(shared.main, own.main)
    assert torch.equal(shared.floats, e.floats * 5)
    assert torch.equal(own.first_order, shared.first_order)
