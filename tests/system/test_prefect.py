"""Deployments of a real Prefect server: by hand, by the clock, with a job that fails, and with the real jobs on real rows."""

from __future__ import annotations

import datetime
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ctrsel.data.table import Table

from .conftest import free_port, stop

pytestmark = [
    pytest.mark.slow,
    pytest.mark.system,
    pytest.mark.timeout(2400),
    pytest.mark.skipif(
        importlib.util.find_spec("prefect") is None, reason="needs the extra: pip install 'ctrsel[prefect]'"
    ),
]

ROOT = Path(__file__).parents[2]
FLOWS = ROOT / "pipelines" / "prefect_flows.py"
NIGHT = ["ingest_daily", "monitor", "select_and_train", "score_batch"]
# Stands for a job: says what it was called with, and ends with the exit code that a file names.
JOB = """
import json, sys
from pathlib import Path
name = Path(__file__).stem
with open("calls.jsonl", "a") as file:
    file.write(json.dumps([name, *sys.argv[1:]]) + "\\n")
sys.exit(json.loads(Path("codes.json").read_text()).get(name, 0))
"""
CONFIG = """
name: clicks
data: {store: store}
schema: {label: {name: click}}
pipelines:
  ingest_daily: {source: "logs/{day}.parquet", first: 2026-01-01}
  score_batch: {source: "logs/{day}.parquet", out: "scores/{day}.parquet"}
"""
# The real jobs on rows that are few.
ROWS = 400  # a day
REAL = """
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
  monitor: {days: 1, max_auc_loss: null, min_calibration: null, max_calibration: null, max_score_shift: null, max_field_shift: null}
"""


class Prefect:
    """A server and what serves the flows, in a folder of their own."""

    def __init__(self, folder):
        port = free_port()
        self.folder, self.port, self.api, self.started = folder, port, f"http://127.0.0.1:{port}/api", []
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "PYTHON"))} | {
            "PREFECT_HOME": str(folder / "home"),
            "PREFECT_API_URL": self.api,
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": "1",
        }

    def start(self, name, *arguments):
        with (self.folder / f"{name}.txt").open("wb") as log:
            command = [sys.executable, "-m", *arguments]
            process = subprocess.Popen(
                command, cwd=self.folder, env=self.environment, stdout=log, stderr=log, start_new_session=True
            )
        self.started.append(process)

    def ask(self, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.api + path, data, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.load(answer)

    def until(self, what, seconds):
        """Wait for an answer that is not empty."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                if found := what():
                    return found
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                pass
            time.sleep(1)
        logs = "\n".join(f.read_text(errors="replace")[-3000:] for f in self.folder.glob("*.txt"))
        pytest.fail(f"not within {seconds} s:\n{logs}")

    def serve(self):
        """Start the server, and wait until it answers."""
        self.start("server", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(self.port))
        self.until(lambda: self.ask("/health"), 500)

    def run(self, *arguments, seconds=600):
        """Start a deployment by hand, and return the exit code and the lines of the command that waits for its end."""
        command = [
            sys.executable,
            "-m",
            "prefect",
            "deployment",
            "run",
            *arguments,
            "--watch",
            "--watch-timeout",
            str(seconds),
        ]
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=seconds + 60,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    def runs(self, deployment, *states):
        wanted = {
            "flow_runs": {"state": {"type": {"any_": list(states)}}},
            "flows": {"name": {"any_": [deployment]}},
        }
        return self.ask("/flow_runs/filter", wanted)

    def results(self, run):
        """Return what the jobs of a run said at their ends, by their names."""
        told = self.ask("/logs/filter", {"logs": {"flow_run_id": {"any_": [run["id"]]}}})
        found = [json.loads(line["message"]) for line in told if line["message"].startswith('{"pipeline"')]
        return {job["pipeline"]: job for job in found}

    def calls(self, *arguments):
        """The jobs of a night that were called with these arguments behind the config."""
        found = [json.loads(line) for line in (self.folder / "calls.jsonl").read_text().splitlines()]
        return [name for name, _, *more in found if name in NIGHT and more == list(arguments)]


@pytest.fixture
def bare(tmp_path):
    made = Prefect(tmp_path)
    yield made
    for process in reversed(made.started):
        stop(process)


@pytest.fixture
def prefect(bare, tmp_path):
    """With a stand-in for each job."""
    jobs = tmp_path / "pipelines"
    jobs.mkdir()
    shutil.copy(FLOWS, jobs)
    shutil.copy(FLOWS.with_name("prefect_job.py"), jobs)
    (jobs / "__init__.py").touch()
    for name in [*NIGHT, "rank_weekly"]:
        assert (FLOWS.parent / f"{name}.py").is_file(), "a job that is not there cannot be scheduled"
        (jobs / f"{name}.py").write_text(JOB)
    (tmp_path / "clicks.yaml").write_text(CONFIG)
    (tmp_path / "codes.json").write_text("{}")
    return bare


def test_by_hand_and_by_the_clock(prefect, tmp_path):
    prefect.serve()
    soon = datetime.datetime.now(tz=datetime.UTC) + datetime.timedelta(minutes=4)
    prefect.start("flows", "pipelines.prefect_flows", "clicks.yaml", "--time", f"{soon:%H:%M}")
    for flow in ("nightly", "weekly"):
        [planned, *_] = prefect.until(lambda flow=flow: prefect.runs(flow, "SCHEDULED"), 230)
        assert planned["auto_scheduled"]
        assert f"T{soon:%H:%M}:00" in planned["expected_start_time"]

    code, said = prefect.run("nightly/clicks", "--param", "as_of=2026-01-31")
    assert code == 0, said
    assert prefect.calls("--as-of", "2026-01-31") == NIGHT

    prefect.until(lambda: [r for r in prefect.runs("nightly", "COMPLETED") if r["auto_scheduled"]], 800)
    assert prefect.calls() == NIGHT

    # A refused promotion does not keep the rows from being scored, but the run has failed.
    (tmp_path / "codes.json").write_text('{"select_and_train": 4}')
    code, said = prefect.run("nightly/clicks", "--param", "as_of=2026-02-01")
    assert code == 1, said
    assert "Failed" in said
    assert prefect.calls("--as-of", "2026-02-01") == NIGHT


def write_day(folder, i):
    rng = np.random.default_rng(i)
    ad, page = rng.integers(0, 12, (2, ROWS))
    click = rng.random(ROWS) < 1 / (1 + np.exp(3 - ad / 2))
    columns = {"day": [f"2026-01-{i:02d}"] * ROWS, "ad": [f"ad{a}" for a in ad], "page": page, "click": click}
    pl.DataFrame(columns).cast({"click": pl.Int8}).write_csv(folder / "logs" / f"2026-01-{i:02d}.csv")


@pytest.mark.timeout(3000)
def test_real_jobs_on_real_rows(bare, tmp_path):
    (tmp_path / "logs").mkdir()
    (tmp_path / "clicks.yaml").write_text(REAL)
    bare.environment |= {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"}
    bare.serve()
    never = datetime.datetime.now(tz=datetime.UTC) + datetime.timedelta(hours=12)  # by hand only
    bare.start("flows", "pipelines.prefect_flows", "clicks.yaml", "--time", f"{never:%H:%M}")
    bare.until(lambda: bare.runs("nightly", "SCHEDULED"), 500)
    seen = set()

    def night(day):
        code, said = bare.run("nightly/clicks", "--param", f"as_of=2026-01-{day:02d}", seconds=600)
        runs = [r for r in bare.runs("nightly", "COMPLETED", "FAILED", "CRASHED") if r["id"] not in seen]
        assert code == 0, f"{said}\n{[bare.results(r) for r in runs]}"
        [run] = runs
        seen.add(run["id"])
        assert run["state_type"] == "COMPLETED"
        bare.until(lambda: len(bare.results(run)) == 3, 300)  # a log comes some seconds late
        return bare.results(run)

    for day in (1, 2):
        write_day(tmp_path, day)
    first = night(2)
    assert list(first) == ["ingest_daily", "monitor", "select_and_train"]
    assert first["ingest_daily"]["added"] == {"2026-01-01": ROWS, "2026-01-02": ROWS}
    table = Table.load(tmp_path / "store")
    assert table.n_rows == 2 * ROWS
    assert first["monitor"]["watched"] is False
    assert (first["select_and_train"]["version"], first["select_and_train"]["promoted"]) == (1, True)

    # Nothing new: the run completes all the same, and nothing has changed.
    again = night(2)
    assert (again["ingest_daily"]["rows"], again["ingest_daily"]["added"]) == (0, {})
    assert Table.load(tmp_path / "store").digest == table.digest
    assert again["monitor"]["version"] == again["select_and_train"]["version"] == 1


def test_without_a_server_nothing_is_served(prefect, tmp_path):
    environment = {k: v for k, v in prefect.environment.items() if k != "PREFECT_API_URL"}
    command = [sys.executable, "-m", "pipelines.prefect_flows", "clicks.yaml"]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=500, check=False
    )
    assert done.returncode == 2
    assert "PREFECT_API_URL must be set" in done.stderr
