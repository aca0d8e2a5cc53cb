"""What a search goes back to: the weights as they were when its rewind epoch began, noted here from outside."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from ctrsel.models.backbones.deepfm import DeepFM
from ctrsel.models.gates.calibrated_optfs import CalibratedOptFS
from ctrsel.models.gates.optfs import OptFS
from ctrsel.models.gates.sequential_attention import SequentialAttention
from ctrsel.testing.tables import tiny_table
from ctrsel.train.net import NetLearner
from ctrsel.train.net_run import NetRun
from ctrsel.train.rewinding import Again, Kept

NET = NetLearner(backbone=DeepFM(hidden=(8,), dropout=0.2), width=4, batch_size=128, learning_rate=1e-2)
TABLES = ("embedding.main", "embedding.first")  # what a gate's scale is folded into


@pytest.fixture(scope="module")
def table():
    return tiny_table(rows=800).without("test")


@pytest.fixture
def starts(monkeypatch):
    """The weights at the start of each epoch, in the order of the epochs that are run."""
    found, epoch = [], NetRun._epoch

    def noted(self, *given):
        found.append({k: v.detach().clone() for k, v in self.net.weights().items()})
        return epoch(self, *given)

    monkeypatch.setattr(NetRun, "_epoch", noted)
    return found


def assert_same(got, want):
    assert set(got) == set(want)
    for name, tensor in want.items():
        assert torch.equal(got[name], tensor), name


@pytest.mark.parametrize("rewind", [0, 1, 2])
@pytest.mark.parametrize(
    "gate",
    [CalibratedOptFS(epochs=4, patience=0), OptFS(epochs=4, gate_lr=0.1), SequentialAttention(epochs=4, picks=2)],
    ids=lambda gate: type(gate).__name__,
)
def test_the_snapshot_has_the_weights_at_the_start_of_the_rewind_epoch(table, starts, gate, rewind):
    """Each weight to the bit; the rows of an OptFS are times the scale of its open gates, 1 / sigmoid(.5)."""
    fit = NET.fit(table, gate=replace(gate, rewind=rewind), seed=3)
    assert len(starts) == 4
    tables = [s["embedding.main"] for s in starts]
    assert all(not torch.equal(a, b) for i, a in enumerate(tables) for b in tables[:i])
    want = starts[rewind]
    if rewind:
        assert isinstance(fit.rewound, Kept)
        assert_same(fit.rewound.weights.weights(), want)  # before anything is folded
    else:
        assert isinstance(fit.rewound, Again)
    scale = 1 + torch.exp(torch.tensor(-0.5, dtype=torch.float64)).item() if isinstance(gate, OptFS) else 1.0
    for _ in range(2):  # made anew each time
        assert_same(fit.snapshot.predictor.net.weights(), {k: v * scale if k in TABLES else v for k, v in want.items()})


def test_a_search_that_begins_from_a_model_goes_back_to_its_weights(table, starts):
    start = NET.fit(table, seed=1).model
    starts.clear()
    fit = NET.fit(table, gate=CalibratedOptFS(epochs=2, patience=0), start=start, seed=3)
    assert isinstance(fit.rewound, Kept)
    assert_same(fit.snapshot.predictor.net.weights(), starts[0])


def test_a_search_that_is_over_early_reaches_its_rewind_epoch_first(table, starts, monkeypatch):
    """It is over as soon as it may be, which is after the rewind epoch."""
    from ctrsel.train.search_stop import SearchStop

    monkeypatch.setattr(SearchStop, "over", property(lambda self: True))
    fit = NET.fit(table, gate=CalibratedOptFS(epochs=4, rewind=2), seed=3)
    assert len(starts) == fit.epochs == 3
    assert_same(fit.snapshot.predictor.net.weights(), starts[2])
