"""Every gate on values meets the contract; new files are found by themselves."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ctrsel.core.errors import ConfigError
from ctrsel.models.gates import CATALOG
from ctrsel.models.gates._contract import Alone, GateModule, SearchPlan
from ctrsel.models.gates._rows import RowGate
from ctrsel.models.gates._thresholds import ThresholdModule

ALL = [CATALOG.load(name) for name in CATALOG.names()]
GATES = [c for c in ALL if c.site == "value"]
V = 20


@pytest.fixture(params=GATES, ids=lambda c: c.__name__)
def gate(request) -> GateModule:
    component = request.param()
    assert 0 <= component.rewind < component.epochs_on(5000)
    assert component.site in ("value", "field", "width", "pair")
    return component.build(
        SearchPlan(total_codes=V, reserved=np.arange(3), train_rows=5000, steps=400, learning_rate=1e-3)
    )


@pytest.mark.parametrize("component", ALL, ids=lambda c: c.__name__)
def test_a_search_is_as_long_as_it_is_told_or_as_its_rows_want(component):
    usual = component.usual_epochs if component().epochs is None else component().epochs
    assert component().epochs_on(1) == component().epochs_on(100_000) == usual
    assert component().epochs_on(1_000_000) == component().epochs_on(50_000_000) == 3
    lengths = [component().epochs_on(rows) for rows in range(100_000, 2_000_000, 50_000)]
    assert lengths == sorted(lengths, reverse=True)
    assert component(epochs=7).epochs_on(1_000_000) == 7
    with pytest.raises(ConfigError, match=r"rewind < epochs, got epochs 2 and rewind 2"):
        component(epochs=2, rewind=2)
    if component().epochs is None:
        with pytest.raises(ConfigError, match=r"rewind < epochs, got no epochs \(3 at least\) and rewind 3"):
            component(rewind=3)


@pytest.mark.parametrize("shape", [(0, 3), (1, 3), (7, 3), (7,)])
def test_shapes(gate, shape):
    codes = torch.randint(0, V, shape)
    x = torch.randn(*shape, 5)
    assert gate(x, codes).shape == x.shape
    assert gate(x, codes, hard=True).shape == x.shape


def test_starts_open_and_as_the_identity(gate):
    codes = torch.arange(V)
    x = torch.randn(V, 4)
    torch.testing.assert_close(gate(x, codes), x)
    assert gate.kept().all()
    assert gate.kept().shape == gate.scores().shape == (V,)


def test_hard_is_scale_or_zero_by_kept(gate):
    with torch.no_grad():
        for p in [*gate.parameters(), *([gate.w] if isinstance(gate, RowGate) else [])]:
            p.copy_(torch.linspace(1, -1, p.numel()).view_as(p))
    x = torch.ones(V, 1)
    want = gate.kept().float() * gate.scale
    torch.testing.assert_close(gate(x, torch.arange(V), hard=True).flatten(), want)


def test_forward_is_pure_and_the_price_falls_with_the_gates(gate):
    before = {k: v.clone() for k, v in gate.state_dict().items()}
    first = gate(torch.ones(V, 1), torch.arange(V))
    assert torch.equal(first, gate(torch.ones(V, 1), torch.arange(V)))
    assert all(torch.equal(v, before[k]) for k, v in gate.state_dict().items())
    gate.advance(0.5)
    open_before = gate(torch.ones(V, 1), torch.arange(V))[3:].sum()
    for _ in range(150):  # of 400
        price = gate.price()
        if price is not None:
            assert price.ndim == 0
            price.backward()
        gate.update(Alone())
    gate.finish()
    if not isinstance(gate, ThresholdModule):  # whose thresholds rise, which rows need not notice
        assert gate(torch.ones(V, 1), torch.arange(V))[3:].sum() < open_before


def test_rows_order_does_not_matter(gate):
    order = torch.randperm(V)
    x = torch.randn(V, 2)
    torch.testing.assert_close(gate(x[order], order), gate(x, torch.arange(V))[order])
