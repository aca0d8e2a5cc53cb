"""The whole run on 600 rows: its files, its reuse, its promotion rule, and a kill in the middle."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from ctrsel.core.errors import PromotionRefusedError
from ctrsel.models.model import Model
from ctrsel.records.feature_set import FeatureSet
from ctrsel.records.ranking import Ranking
from ctrsel.records.run import Run

pytestmark = pytest.mark.slow


@pytest.fixture
def config(small_plan):
    def make(**changes):
        return small_plan(register={"enabled": False}, **changes).config

    return make


def test_a_run_leaves_its_files_and_a_second_one_reuses_everything(config):
    from ctrsel.api.run import run

    first = run(config())
    record, out = first.run, first.out
    assert {p.name for p in out.iterdir() if not p.name.startswith(".")} == {
        "account",
        "feature_set",
        "model",
        "rankings",
        "report-tables",
        "report.html",
        "run",
        "stages",
    }
    assert Run.load(out / "run").digest == record.digest
    assert Model.load(out / "model").digest == first.model.digest == record.chosen.model
    assert FeatureSet.load(out / "feature_set").digest == first.features.digest == record.chosen.feature_set
    assert [Ranking.load(out / "rankings" / r.method).digest for r in first.rankings] == [
        r.digest for r in first.rankings
    ]
    assert "<html" in (out / "report.html").read_text()

    assert [c.role for c in record.contenders] == ["reference", "full", "selected", "selected", "control", "control"]
    names = [c.name for c in record.contenders]
    assert len(set(names)) == len(names)
    assert set(first.evaluations) == set(names)
    chosen = record.chosen
    assert chosen.role == "selected"
    # Validation chooses; test only judges.
    assert chosen.valid["auc"] == max(c.valid["auc"] for c in record.contenders if c.role == "selected")
    full = next(c for c in record.contenders if c.role == "full")
    assert chosen.values <= 0.5 * full.values
    assert chosen.bytes < full.bytes
    assert record.verdict.delta_auc.value == pytest.approx(
        chosen.metrics["auc"].value - full.metrics["auc"].value, abs=1e-6
    )
    assert {f.name for f in record.fields} == set(first.table.schema.names)
    assert sum(f.values_kept for f in record.fields) == chosen.values

    second = run(config())
    assert all(s["reused"] for s in second.run.stages)
    assert second.run.digest == record.digest


def test_what_must_not_be_used_is_in_no_model(config):
    from ctrsel.api.run import run

    selectors = config().select.selectors
    done = run(
        config(select={"selectors": list(selectors), "never_use": ["ad"], "always_keep": ["noise"], "size": 0.5})
    )
    assert "ad" not in done.model.encoder.schema.names
    assert "noise" in done.model.encoder.schema.names
    assert all(c.fields <= 5 for c in done.run.contenders)
    summary = {f.name: f for f in done.run.fields}
    assert not summary["ad"].kept
    assert summary["ad"].values_kept == 0
    assert summary["ad"].scores, "a reader sees what was left out"


def test_a_refused_promotion_is_an_error_after_everything_is_written(config):
    from ctrsel.api.run import run

    made = config()
    strict = dataclasses.replace(made.register, require_promotion=True, max_auc_loss=-1.0)
    with pytest.raises(PromotionRefusedError, match="registered but not promoted; FAILED: test AUC"):
        run(dataclasses.replace(made, register=strict))
    record = Run.load(Path(made.out) / "run")
    assert not record.verdict.promoted
    assert (Path(made.out) / "report.html").is_file()


def test_a_killed_run_goes_on_from_its_last_finished_stage(config, tmp_path):
    made = config()
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump(_plain(dataclasses.asdict(made))))
    imports = "import sys, time; from ctrsel.api.run import run; from ctrsel.core.config import load_config; "
    call = "run(load_config(sys.argv[1]))"
    stages = Path(made.out) / "stages"
    # However late the kill comes, the run is not over: it lingers behind its net's training, before that is kept.
    lingers = (
        "from functools import wraps; from ctrsel.train.net import NetLearner; fit = NetLearner.fit; "
        "NetLearner.fit = wraps(fit)(lambda *given, **named: (fit(*given, **named), time.sleep(600))[0]); "
    )
    process = subprocess.Popen([sys.executable, "-c", imports + lingers + call, str(file)], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 400
    while not list(stages.glob("train.boosted-*")):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait(120) == -signal.SIGKILL
    finished = {p.name: p.stat().st_mtime_ns for p in stages.iterdir() if not p.name.startswith(".")}
    assert finished
    subprocess.run([sys.executable, "-c", imports + call, str(file)], check=True, stderr=subprocess.DEVNULL)
    record = Run.load(Path(made.out) / "run")
    reused = [s["name"] for s in record.stages if s["reused"]]
    assert len(reused) == len(finished)
    assert "ingest" in reused
    assert {n: (stages / n).stat().st_mtime_ns for n in finished} == finished
    assert not list(Path(made.out).rglob(".*.partial-*"))


def _plain(value):
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, list | tuple) else value
