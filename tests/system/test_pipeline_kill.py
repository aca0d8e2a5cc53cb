"""Nights that are killed: whatever the moment, the next start leaves store, registry and promotion log consistent."""

from __future__ import annotations

import datetime
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ctrsel.api.feed import days_of
from ctrsel.core.config import load_config
from ctrsel.data.table import Table
from ctrsel.register.promotion import promotion_log
from ctrsel.register.store import quiet_mlflow
from ctrsel.register.versions import open_store

pytestmark = [pytest.mark.slow, pytest.mark.system, pytest.mark.timeout(3600)]

FIRST = datetime.date(2026, 1, 1)
KILLS, ROWS = 30, 400
ROOT = Path(__file__).parents[2]
CONFIG = """
name: clicks
data: {store: store}
schema: {label: {name: click}, time: day}
split: {use: hash, valid: 0.2, test: 0.3}
rank: [mutual_information]
learners:
  net: {use: net, width: 4, batch_size: 64, max_epochs: 1, threads: 1, embedding_l2: 0, backbone: {use: deepfm, hidden: [8]}}
select: {size: 0.8, selectors: [{use: ranking, ranking: mutual_information}]}
explain: {max_rows: 40, net_rows: 6, background: 2}
register: {max_auc_loss: 1, check: {auc_margin: 0.2, latency_factor: 1000, min_calibration: 0.2, max_calibration: 5}}
pipelines:
  ingest_daily: {source: "logs/{day}.csv", first: 2026-01-01}
  score_batch: {source: "logs/{day}.csv", out: "scores/{day}.csv"}
  monitor: {days: 1, max_auc_loss: null, min_calibration: null, max_calibration: null, max_score_shift: null, max_field_shift: null}
"""


def date(i: int) -> str:
    return (FIRST + datetime.timedelta(days=i)).isoformat()


def write_day(folder: Path, i: int) -> None:
    rng = np.random.default_rng(i)
    ad = rng.integers(0, 12, ROWS)
    click = rng.random(ROWS) < 1 / (1 + np.exp(3 - ad / 2))
    columns: dict = {"day": [date(i)] * ROWS, "ad": [f"ad{a}" for a in ad], "site": rng.integers(0, 5, ROWS)}
    columns |= {"page": rng.integers(0, 12, ROWS), "click": click}
    pl.DataFrame(columns).cast({"click": pl.Int8}).write_csv(folder / "logs" / f"{date(i)}.csv")


def start(folder: Path, i: int) -> subprocess.Popen:
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"}
    env.pop("MLFLOW_TRACKING_URI", None)
    command = [sys.executable, "-m", "pipelines.nightly", "clicks.yaml", "--as-of", date(i)]
    with (folder / "night.log").open("wb") as log:
        return subprocess.Popen(
            command, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=log, start_new_session=True
        )


def finish(folder: Path, i: int) -> dict:
    done = start(folder, i)
    out, _ = done.communicate()
    assert done.returncode == 0, (folder / "night.log").read_text()[-4000:]
    return json.loads(out)


def test_thirty_kills(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "logs").mkdir()
    (tmp_path / "clicks.yaml").write_text(CONFIG)
    write_day(tmp_path, 0)
    began = time.monotonic()
    finish(tmp_path, 0)
    length = time.monotonic() - began  # of a whole night
    moments = random.Random(7)
    killed = night_number = 0
    while killed < KILLS:
        night_number += 1
        write_day(tmp_path, night_number)
        # What was finished before a kill is not done again, so nights become shorter until one ends before its kill.
        began, before = time.monotonic(), killed
        while kill(tmp_path, night_number, after=moments.uniform(0.1, 1.0) * length) and killed < KILLS:
            killed += 1
        if killed == before:  # a whole night, and shorter than was thought: the machine is less busy now
            length = min(length, time.monotonic() - began)
        result = finish(tmp_path, night_number)
        assert result["parts"]["ingest_daily"]["total_rows"] == ROWS * (night_number + 1)
        consistent(tmp_path, nights=night_number + 1)
        assert night_number < 20, f"only {killed} of {KILLS} kills came in time"


def kill(folder: Path, i: int, *, after: float) -> bool:
    """Start a night and kill it after so many seconds; whether it was still at work."""
    night = start(folder, i)
    try:
        night.communicate(timeout=after)
    except subprocess.TimeoutExpired:
        os.killpg(night.pid, signal.SIGKILL)
        night.communicate()
        return True
    return False


def consistent(folder: Path, *, nights: int) -> None:
    from mlflow import MlflowClient

    config = load_config("clicks.yaml")
    table = Table.load(folder / "store")
    assert table.n_rows == ROWS * nights
    assert len(np.unique(table.row)) == table.n_rows
    assert [d.status for d in days_of(config).values()] == ["stored"] * nights
    assert not [p.name for p in folder.iterdir() if ".partial-" in p.name or ".scratch-" in p.name]
    out = folder / "runs" / "clicks"
    assert not list(out.rglob(".*.partial-*"))

    uri = f"sqlite:///{out / 'mlflow.db'}"
    with quiet_mlflow(uri):  # its SQL brings warnings of its own
        client = MlflowClient(tracking_uri=uri, registry_uri=uri)
        versions = client.search_model_versions("name='clicks'")
        experiments = [e.experiment_id for e in client.search_experiments()]
        runs = client.search_runs(experiments, max_results=1000)
        aliases = {k: int(v) for k, v in client.get_registered_model("clicks").aliases.items()}
    assert all("promotion" in v.tags and v.status == "READY" for v in versions)
    digests = [v.tags["run_digest"] for v in versions]
    assert len(set(digests)) == len(digests) == nights
    assert not [r.info.run_id for r in runs if r.info.status == "RUNNING"]
    numbers = {int(v.version) for v in versions}
    assert set(aliases.values()) <= numbers
    assert aliases["challenger"] == max(numbers)
    register, place = open_store(out)
    log = promotion_log("clicks", config=register, out=place)
    assert {e["candidate"] for e in log} == numbers
    assert log[-1]["to"] == aliases["champion"]
    assert all(a["to"] == b["from"] for a, b in itertools.pairwise(log))
    scores = pl.read_csv(folder / "scores" / f"{date(nights - 1)}.csv")
    assert scores.height == ROWS
    json.loads((folder / "scores" / f"{date(nights - 1)}.csv.json").read_text())
