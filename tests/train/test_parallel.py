"""Several processes: their arithmetic against one process, with real ones started by torchrun."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from ctrsel.core.errors import ConfigError
from ctrsel.models.backbones.deepfm import DeepFM
from ctrsel.models.layout import Layout
from ctrsel.models.network import Net
from ctrsel.testing.tables import tiny_table
from ctrsel.train.parallel import Processes

TORCHRUN = [str(Path(sys.executable).parent / "torchrun"), "--nproc-per-node", "2"]

# One program for one and for two processes; each setting's final weights go to a file.
PROGRAM = """
import os, signal, sys
from dataclasses import dataclass, replace

import numpy as np

import ctrsel
from ctrsel.core.errors import CtrselError, DataError
from ctrsel.models.backbones.deepfm import DeepFM
from ctrsel.models.gates.optfs import OptFS
from ctrsel.testing.tables import sequence_table, tiny_table
from ctrsel.train.net import NetLearner
from ctrsel.train.optimisers.lazy_adagrad import LazyAdagrad
from ctrsel.train.optimisers.lazy_adam import LazyAdam
from ctrsel.train.steps.bce import BCE

NET = NetLearner(
    backbone=DeepFM(hidden=(16, 8), dropout=0.0), width=4, batch_size=64, learning_rate=5e-3, max_epochs=4, patience=9
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failing(BCE):
    how: str
    home: int

    def objective(self, net, inputs, labels, weight):
        if os.getpid() != self.home and self.how == "data":
            raise DataError("day.csv, row 7: a number is needed, got 'x'")
        if os.getpid() != self.home and self.how == "defect":
            raise KeyError("oops")
        if os.getpid() == self.home and self.how == "home":
            raise DataError("rank 0 cannot go on")
        return super(Failing, self).objective(net, inputs, labels, weight)


def settings():
    table, lists = tiny_table(rows=1505).without("test"), sequence_table(rows=900).without("test")
    weight = np.random.default_rng(0).uniform(0.2, 3, table.n_rows)
    rows = table.span("train").stop
    yield "dense", NET, table, {}
    yield "weights", NET, replace(table, weight=weight), {}
    yield "lists", NET, lists, {}
    yield "blocks", replace(NET, rows="blocks", other_share=0.1), table, {}
    yield "gate", NET, table, {"gate": OptFS(epochs=6, rewind=1)}
    yield "lazy_adam", replace(NET, optimiser=LazyAdam()), lists, {}
    yield "lazy_adagrad", replace(NET, optimiser=LazyAdagrad()), table, {}
    no_norm = DeepFM(hidden=(16,), dropout=0.0, batch_norm=False)
    for name, optimiser in (("one_row", NET.optimiser), ("one_row_lazy", LazyAdam())):
        # The last batch has one row, so one of two processes has none.
        yield name, replace(NET, backbone=no_norm, batch_size=rows - 1, optimiser=optimiser), table, {}
    table.save("table")
    yield "mapped", replace(NET, max_epochs=1), type(table).load("table"), {}


def main():
    out, facts = {}, {}
    for name, net, table, given in settings():
        fit = net.fit(table, seed=3, **given)
        out |= {f"{name}/{k}": v.numpy() for k, v in fit.model.predictor.net.weights().items()}
        out |= {f"{name}/scores/{k}": v for k, v in (fit.scores or {}).items()}
        out |= {f"{name}/loss": np.array([h["loss"] for h in fit.history]), f"{name}/auc": np.array(fit.valid["auc"])}
    np.savez(sys.argv[1], **out)
    if sys.argv[1] == "one.npz":
        return
    table = tiny_table(rows=300).without("test")
    for how in ("data", "defect", "home"):
        try:
            replace(NET, step=Failing(how=how, home=os.getpid())).fit(table, seed=1)
        except Exception as error:
            print(f"{how}: {type(error).__name__}: {error}", flush=True)
    try:
        replace(NET, learning_rate=1e30, backbone=DeepFM(hidden=(4,), batch_norm=False)).fit(table, seed=1)
    except CtrselError as error:
        print(f"number: {error}")
    dropped = replace(NET, backbone=DeepFM(hidden=(16,), dropout=0.5), max_epochs=2)
    same = [dropped.fit(table, seed=1).model.digest for _ in range(2)]
    print("repeats:", same[0] == same[1], "after errors:", NET.fit(table, seed=1).epochs, flush=True)


if __name__ == "__main__":
    ctrsel.together(main)
"""


def run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=500)


def effective(file: Path, name: str) -> dict[str, np.ndarray]:
    """Weights of a setting, a bias in front of a batch norm together with the mean that takes it out again.

    Such a bias has no gradient but rounding errors, which Adam makes into steps; no output depends on it.
    """
    with np.load(file) as held:
        found = {k.partition("/")[2]: held[k].astype(float) for k in held.files if k.startswith(f"{name}/")}
    for key in list(found):
        norm = re.fullmatch(r"(backbone\..*\.)(\d+)\.running_mean", key)
        if norm:
            found[key] = found[key] - found.pop(f"{norm[1]}{int(norm[2]) - 1}.bias")
    return found


@pytest.mark.slow
def test_two_processes_are_one_and_an_error_in_one_is_that_of_all(tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM)
    one = run([sys.executable, "program.py", "one.npz"], tmp_path)
    assert one.returncode == 0, one.stderr
    two = run([*TORCHRUN, "program.py", "two.npz"], tmp_path)
    assert two.returncode == 0, two.stderr
    with np.load(tmp_path / "one.npz") as held:
        names = list(dict.fromkeys(k.split("/")[0] for k in held.files))
    assert len(names) == 10
    for name in names:
        ours, theirs = effective(tmp_path / "two.npz", name), effective(tmp_path / "one.npz", name)
        for key in theirs:
            np.testing.assert_allclose(ours[key], theirs[key], atol=1e-5, rtol=1e-5, err_msg=f"{name}: {key}")
    said = two.stdout.splitlines()
    assert said[0] == "data: DataError: day.csv, row 7: a number is needed, got 'x'"
    assert said[1] == "defect: RuntimeError: process 1 of 2: KeyError: 'oops'"
    assert "in objective" in two.stderr  # where the defect is
    assert said[2] == "home: DataError: rank 0 cannot go on"
    assert said[3].startswith("number: net: the loss is no number after epoch 1")
    assert said[4] == "repeats: True after errors: 4"
    assert len(said) == 5


@pytest.mark.slow
def test_the_program_runs_once_and_says_one_message(tmp_path):
    from ctrsel.testing.tables import tiny_frame

    tiny_frame(rows=600).write_parquet(tmp_path / "clicks.parquet")
    done = run(
        [*TORCHRUN, "-m", "ctrsel", "train", "clicks.parquet", "--label", "click", "--out", "m", "--json"], tmp_path
    )
    assert done.returncode == 0, done.stderr
    [line] = done.stdout.splitlines()
    assert json.loads(line)["models"][0]["learner"] == "net"
    assert (tmp_path / "m" / "manifest.json").is_file()
    assert done.stderr.count("train/net ...") == 1
    failed = run([*TORCHRUN, "-m", "ctrsel", "train", "clicks.parquet", "--label", "clack"], tmp_path)
    assert failed.returncode == 1  # torchrun's own; the program's is in its table
    assert failed.stderr.count("error: ") == 1
    assert "unknown column 'clack'" in failed.stderr
    assert re.search(r"exitcode +: 2 ", failed.stderr)


def test_one_process_exchanges_nothing():
    alone, table = Processes(), tiny_table(rows=200)
    net = Net(DeepFM(hidden=(4,)), Layout.of(table.encoder, history=False), width=2, labels=1)
    alone.begin(net)
    loss = torch.tensor(2.0)
    assert alone.joined(loss, loss=loss, rows=5, net=net) is loss
    assert (alone.told, alone.rows, alone.part) == (10.0, 5, (0, 1))
    assert alone.agreed({"a": 1}) == {"a": 1}
    state = torch.random.get_rng_state()
    alone.noise(1, 2)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert not torch.distributed.is_initialized()


def test_a_foreign_batch_norm_or_a_compiled_net_is_refused():
    table = tiny_table(rows=200)
    net = Net(DeepFM(hidden=(4,)), Layout.of(table.encoder, history=False), width=2, labels=1)
    net.backbone.add_module("foreign", torch.nn.BatchNorm1d(2))
    with pytest.raises(ConfigError, match="ctrsel's own, got BatchNorm1d"):
        Processes(size=2).begin(net)
    net = Net(DeepFM(hidden=(4,)), Layout.of(table.encoder, history=False), width=2, labels=1)
    net.backbone._compiled_call_impl = net.backbone.forward
    with pytest.raises(ConfigError, match=r"net\.compiled"):
        Processes(size=2).begin(net)
