from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from ctrsel.models.backbones.deepfm import DeepFM
from ctrsel.models.gates.optfs import OptFS
from ctrsel.testing.tables import tiny_table
from ctrsel.train.checkpoint import Checkpoint, Saved
from ctrsel.train.net import NetLearner
from ctrsel.train.optimisers import CATALOG as OPTIMISERS
from ctrsel.train.steps.bce import BCE

# Dropout draws noise, and two epochs fail, so that a resumed fit must have noise, moments, rate and best weights right.
QUICK = NetLearner(
    backbone=DeepFM(hidden=(16,), dropout=0.3),
    width=4,
    batch_size=256,
    learning_rate=5e-2,
    max_epochs=5,
    checkpoint_minutes=0.0,
)
STEPS = 4  # of an epoch


class KilledError(Exception):
    """Stands for a kill."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fragile(BCE):
    """A step that ends the fit at its n-th call; the count is not a parameter, so the fit's key stays the same."""

    left: list[int] = field(default_factory=lambda: [10**9], compare=False)

    def objective(self, net, inputs, labels, weight):
        self.left[0] -= 1
        if self.left[0] < 0:
            raise KilledError
        return super(Fragile, self).objective(net, inputs, labels, weight)


@pytest.fixture(scope="module")
def table():
    return tiny_table(rows=1200).without("test")


def weights(fit):
    return {k: v.numpy() for k, v in fit.model.predictor.net.weights().items()}


def assert_same(one, other):
    assert one.model.digest == other.model.digest
    assert [{**h, "rows_per_second": 0} for h in one.history] == [{**h, "rows_per_second": 0} for h in other.history]
    assert one.valid == other.valid


def interrupted(learner, table, work, *, after, monkeypatch, **given):
    """Fit until the n-th step raises, as often as needed."""
    import ctrsel.train.net as module

    step = Fragile()
    learner = replace(learner, step=step)
    monkeypatch.setattr(module, "describe", lambda part: type(part).__name__)
    for n in after:
        step.left[0] = n
        with pytest.raises(KilledError):
            learner.fit(table, work=work, **given)
    step.left[0] = 10**9
    return learner.fit(table, work=work, **given)


@pytest.mark.parametrize("after", [(1,), (STEPS,), (STEPS + 1, 1, 6)], ids=["first step", "epoch's end", "three times"])
def test_a_fit_that_was_ended_anywhere_goes_on_to_the_same_weights(table, tmp_path, monkeypatch, after):
    whole = QUICK.fit(table, seed=3)
    assert_same(interrupted(QUICK, table, tmp_path, after=after, monkeypatch=monkeypatch, seed=3), whole)


@pytest.mark.parametrize("name", OPTIMISERS.names())
def test_every_optimiser_goes_on_exactly(table, tmp_path, monkeypatch, name):
    learner = replace(QUICK, optimiser=OPTIMISERS.create(name), max_epochs=2)
    whole = learner.fit(table, seed=3)
    assert_same(interrupted(learner, table, tmp_path, after=(STEPS + 2,), monkeypatch=monkeypatch, seed=3), whole)


@pytest.mark.parametrize("rewind", [0, 1, 2])
def test_a_search_goes_on_with_its_gates_and_its_rewind_point(table, tmp_path, monkeypatch, rewind):
    gate, small = OptFS(epochs=3, rewind=rewind), replace(QUICK, batch_size=64, checkpoint_minutes=0.0002)
    whole = small.fit(table, gate=gate, seed=3)
    resumed = interrupted(small, table, tmp_path, after=(24, 9), monkeypatch=monkeypatch, gate=gate, seed=3)
    assert_same(resumed, whole)
    assert resumed.snapshot.digest == whole.snapshot.digest
    assert all(np.array_equal(resumed.scores[k], whole.scores[k]) for k in whole.scores)


def test_rows_in_blocks_go_on_in_blocks(table, tmp_path, monkeypatch):
    blocks = replace(QUICK, rows="blocks")
    whole = blocks.fit(table, seed=3)
    import ctrsel.train.net as module

    opened = module.rows_beside_a_net
    kinds = []
    monkeypatch.setattr(module, "rows_beside_a_net", lambda *a, **k: kinds.append(k["where"]) or opened(*a, **k))
    assert_same(interrupted(blocks, table, tmp_path, after=(2,), monkeypatch=monkeypatch, seed=3), whole)
    assert kinds == ["blocks", "blocks"]


def test_the_state_of_another_fit_is_not_gone_on_from(table, tmp_path):
    QUICK.fit(table, work=tmp_path, seed=3)
    assert_same(QUICK.fit(table, work=tmp_path, seed=4), QUICK.fit(table, seed=4))


def test_a_damaged_state_is_said_and_left(table, tmp_path, caplog):
    first = QUICK.fit(table, work=tmp_path, seed=3)
    (tmp_path / "net" / "tensors.json").write_text("[")
    with caplog.at_level("WARNING", logger="ctrsel"):
        assert_same(QUICK.fit(table, work=tmp_path, seed=3), first)
    assert "starts again" in caplog.text


def test_nothing_is_written_before_it_is_due(table, tmp_path):
    replace(QUICK, checkpoint_minutes=10.0).fit(table, work=tmp_path, seed=3)
    assert not any(tmp_path.iterdir())


def test_saved_tensors_come_back_whatever_their_type(tmp_path):
    tensors = {
        "a/b": torch.arange(6.0).view(2, 3),
        "noise": torch.get_rng_state(),
        "none": torch.zeros(0, 3),
        "one": torch.tensor(2.5, dtype=torch.float64),
    }
    checkpoint = Checkpoint(folder=tmp_path / "c", key="k", minutes=0.0)
    checkpoint.save(Saved(facts={"steps": 3}, tensors=tensors))
    found = checkpoint.load()
    assert found.facts == {"steps": 3}
    assert list(found.tensors) == list(tensors)
    for name, tensor in tensors.items():
        assert found.tensors[name].dtype == tensor.dtype
        assert torch.equal(found.tensors[name], tensor)


_SCRIPT = """
import sys
from pathlib import Path
from dataclasses import replace
from ctrsel.testing.tables import tiny_table
from ctrsel.models.backbones.deepfm import DeepFM
from ctrsel.train.net import NetLearner
learner = NetLearner(backbone=DeepFM(hidden=(16,), dropout=0.3), width=4, batch_size=128, learning_rate=2e-2,
                     max_epochs=12, patience=12, checkpoint_minutes=0.0)
fit = learner.fit(tiny_table(rows=1500).without("test"), work=Path(sys.argv[1]), seed=3)
print(fit.model.digest)
"""


def saved_steps(work: Path) -> int:
    """How many steps the state in a folder has; it may be being replaced."""
    try:
        return int(json.loads((work / "net" / "manifest.json").read_text())["facts"]["steps"])
    except FileNotFoundError:
        return 0


@pytest.mark.slow
def test_kill_9_at_any_moment_leads_to_the_same_weights(tmp_path):
    """Real processes are killed at three moments, each a little later than a state that is newer than the one before."""

    def start(folder: Path) -> subprocess.Popen[str]:
        return subprocess.Popen([sys.executable, "-c", _SCRIPT, str(folder)], stdout=subprocess.PIPE, text=True)

    whole = start(tmp_path / "whole").communicate(timeout=250)[0].split()
    work, generator, seen = tmp_path / "killed", np.random.default_rng(5), [0]
    for _ in range(3):
        process = start(work)
        while process.poll() is None and saved_steps(work) <= seen[-1]:
            time.sleep(0.005)
        time.sleep(float(generator.random()) * 0.05)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=120)
        seen.append(saved_steps(work))
    assert sorted(set(seen)) == seen
    assert start(work).communicate(timeout=250)[0].split() == whole
