"""A search with gates on fields: where its gradients come from, killed and gone on with, and in two processes."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from ctrsel.core.errors import ConfigError
from ctrsel.models.backbones.deepfm import DeepFM
from ctrsel.models.embedding import to_inputs
from ctrsel.models.gates import CATALOG
from ctrsel.models.gates.autofield import AutoField
from ctrsel.testing.tables import tiny_table
from ctrsel.train.net import NetLearner
from ctrsel.train.net_search import NetSearch
from ctrsel.train.steps.bce import BCE

NET = NetLearner(
    backbone=DeepFM(hidden=(16,), dropout=0.3), width=4, batch_size=64, learning_rate=2e-2, checkpoint_minutes=0.0002
)
QUICK = {
    "autofield": {"every": 2, "gate_lr": 0.05},
    "lpfs_fields": {"gate_lr": 0.3},
    "sequential_attention": {"picks": 3},
    "adafs": {},
    "mvfs": {},
}
NAMES = [name for name in CATALOG.names() if CATALOG.load(name).site == "field"]


class KilledError(Exception):
    """Stands for a kill."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fragile(BCE):
    """Ends the fit at its n-th call."""

    left: list[int] = field(default_factory=lambda: [10**9], compare=False)

    def objective(self, net, inputs, labels, weight):
        self.left[0] -= 1
        if self.left[0] < 0:
            raise KilledError
        return super(Fragile, self).objective(net, inputs, labels, weight)


@pytest.fixture(scope="module")
def table():
    return tiny_table(rows=1200).without("test")


def made(name, **given):
    return CATALOG.load(name)(**{"epochs": 3, **QUICK[name], **given})


@pytest.mark.parametrize("name", NAMES)
def test_a_search_that_was_ended_goes_on_to_the_same_scores(table, tmp_path, monkeypatch, name):
    import ctrsel.train.net as module

    gate = made(name)
    whole = NET.fit(table, gate=gate, seed=3)
    step = Fragile()
    monkeypatch.setattr(module, "describe", lambda part: type(part).__name__)
    fragile = replace(NET, step=step)
    for n in (31, 9):
        step.left[0] = n
        with pytest.raises(KilledError):
            fragile.fit(table, gate=gate, work=tmp_path, seed=3)
    step.left[0] = 10**9
    resumed = fragile.fit(table, gate=gate, work=tmp_path, seed=3)
    assert resumed.field_scores == whole.field_scores
    assert resumed.kept_fields == whole.kept_fields
    assert resumed.field_errors == whole.field_errors
    assert resumed.model.digest == whole.model.digest
    assert (resumed.field_errors is None) == (name not in ("adafs", "mvfs"))


def test_architecture_learns_from_validation_batches_only(table, monkeypatch):
    """What moves the logits is the gradient of a validation batch's loss at the present weights, after so many steps."""
    learner = replace(NET, backbone=DeepFM(hidden=(8,), dropout=0.0))
    seen, batches, validation = [], [], table.span("valid")
    held_out = NetSearch._held_out_batch

    def noted(self, turn):
        batches.append((self, held_out(self, turn)))
        return batches[-1][1]

    from ctrsel.models.gates.autofield import _AutoField

    moves = _AutoField.update

    def checked(self, exchange):
        run, batch = batches[-1]
        got = self.logits.grad.clone()
        loss = learner.step.objective(run.net, to_inputs(batch), torch.from_numpy(batch.labels), None)
        (want,) = torch.autograd.grad(loss, [self.logits])
        torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-8)
        seen.append(run.steps)
        moves(self, exchange)

    monkeypatch.setattr(NetSearch, "_held_out_batch", noted)
    monkeypatch.setattr(_AutoField, "update", checked)
    learner.fit(table, gate=AutoField(epochs=3, every=5, gate_lr=0.05), seed=3)
    steps = 3 * -(-table.span("train").stop // 64)
    assert seen == list(range(5, steps + 1, 5))
    rows = [batch.rows for _, batch in batches]
    per_epoch = -(-(validation.stop - validation.start) // 64)
    once = np.concatenate(rows[:per_epoch])
    assert len(np.unique(once)) == len(once) == validation.stop - validation.start


@pytest.mark.parametrize("name", NAMES)
def test_every_epoch_tells_what_hardening_would_cost(table, name):
    """A gate that only puts fields in order by the better half of them; others by what they keep."""
    gate = made(name)
    history = replace(NET, backbone=DeepFM(hidden=(8,)), max_epochs=3).fit(table, gate=gate, seed=2).history
    assert all(h["gap"] == pytest.approx(h["valid_auc"] - h["hard_auc"], abs=1e-12) for h in history)
    assert all({"jaccard", "kendall"} <= h.keys() for h in history[1:])
    if not gate.decides:
        assert max(abs(h["gap"]) for h in history) > 1e-4  # half of the fields are gone


def test_a_search_over_fields_may_end_before_its_epochs(table):
    """Logits that are held choose nothing better, while the net learns its rows by heart: two worse epochs are enough."""
    gate = AutoField(epochs=8, every=2, warmup=0.9, patience=2)
    losses = [h["hard_log_loss"] for h in NET.fit(table, gate=gate, seed=2).history]
    assert len(losses) < 8
    assert min(losses[-2:]) > min(losses[:-2])
    with pytest.raises(ConfigError, match=r"autofield\.patience: must be at least 0, got -1"):
        AutoField(patience=-1)


def test_the_net_is_handed_back_without_its_gate(table):
    fit = NET.fit(table, gate=made("sequential_attention"), seed=3)
    assert fit.kept is None
    assert len(fit.kept_fields) == 3
    assert set(fit.field_scores) == set(table.schema.names)
    assert fit.model.predictor.net.gate is None


PROGRAM = """
import json, sys
from dataclasses import replace
import ctrsel
from ctrsel.models.backbones.deepfm import DeepFM
from ctrsel.models.gates import CATALOG
from ctrsel.testing.tables import tiny_table
from ctrsel.train.net import NetLearner

def main():
    net = NetLearner(backbone=DeepFM(hidden=(16,), dropout=0.0), width=4, batch_size=64, learning_rate=5e-3)
    table, found = tiny_table(rows=1505).without("test"), {}
    for name, given in json.loads(sys.argv[2]).items():
        fit = net.fit(table, gate=CATALOG.load(name)(epochs=3, **given), seed=3)
        found[name] = [dict(fit.field_scores), sorted(fit.kept_fields)]
    with open(sys.argv[1], "w") as out:
        json.dump(found, out)

if __name__ == "__main__":
    ctrsel.together(main)
"""


@pytest.mark.slow
def test_two_processes_are_one(tmp_path):
    import json

    (tmp_path / "program.py").write_text(PROGRAM)
    torchrun = [str(Path(sys.executable).parent / "torchrun"), "--nproc-per-node", "2"]
    for command, out in (([sys.executable], "one.json"), (torchrun, "two.json")):
        done = subprocess.run(
            [*command, "program.py", out, json.dumps(QUICK)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=500,
        )
        assert done.returncode == 0, done.stderr
    one, two = (json.loads((tmp_path / name).read_text()) for name in ("one.json", "two.json"))
    assert set(one) == set(NAMES)
    for name, (scores, kept) in one.items():
        assert two[name][1] == kept, name
        got = [two[name][0][k] for k in scores]
        np.testing.assert_allclose(got, list(scores.values()), rtol=1e-3, atol=1e-4, err_msg=name)
