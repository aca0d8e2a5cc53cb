"""A registered version in a store of its own, servers that are always stopped, and a browser without a window."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from ctrsel.core.config import RegisterConfig
from ctrsel.data.example import example_rows
from ctrsel.records.feature_set import FeatureSet
from ctrsel.records.ranking import Ranking
from ctrsel.register import register_run
from ctrsel.register.store import quiet_mlflow
from ctrsel.testing.runs import tiny_net, tiny_run
from ctrsel.testing.tables import tiny_table

CHROMIUM, DRIVER = "/usr/bin/chromium", "/usr/bin/chromedriver"
LOAD = 300  # seconds for a page
REPORT = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>tiny run</title>
<style>body{font-family:sans-serif;margin:2em}</style></head>
<body><h1>A tiny report</h1><p>The small net keeps half of the values.</p></body></html>"""
CARD = """## The small net keeps half of the values

| contender | test AUC | values |
| --- | ---: | ---: |
| net, all values | 0.7510 | 74 |
| **net, toy gates** | **0.7500** | **37** |
"""


def free_port():
    """Return a port that nobody is given by chance until a server takes it, or takes it again: none of the system's choice."""
    low = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    while True:
        port = random.SystemRandom().randrange(11_000, low) if low > 12_000 else 0
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return probe.getsockname()[1]


@pytest.fixture(scope="session")
def registered(tmp_path_factory):
    """Register the tiny run twice, a promoted and a refused version."""
    out = tmp_path_factory.mktemp("run")
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    table = tiny_table(rows=600)
    keep = {n: np.arange(v.size) % 2 == 1 for n, v in table.encoder.vocabularies.items()}
    features = FeatureSet.from_keep(
        keep, fields=table.schema.names, method="gated", params={"use": "gated"}, encoder=table.encoder.digest
    )
    model = tiny_net(table).narrow(features)
    report = out / "report.html"
    report.write_text(REPORT)
    ranking = Ranking(
        method="mutual_information",
        params={},
        unit="nats",
        null=None,
        frame=pl.DataFrame({"field": ["ad", "site"], "score": [0.2, 0.1], "rank": [1, 2]}),
    )
    more = {
        "model": model,
        "feature_set": features,
        "report": report,
        "rankings": (ranking,),
        "config": RegisterConfig(),
        "out": out,
        "example": example_rows(model.encoder, 5, seed=1),
        "card": CARD,
        "proof": False,
    }
    made = register_run(tiny_run(table, model), **more)
    register_run(tiny_run(table, model, promoted=False, seed=2), **more)
    import mlflow

    with quiet_mlflow(made.tracking_uri):
        folder = mlflow.artifacts.download_artifacts(artifact_uri=made.model_uri, dst_path=str(out / "downloaded"))
    return SimpleNamespace(made=made, model=model, out=out, folder=folder)


@pytest.fixture
def serve(tmp_path):
    """Start `python -m mlflow <arguments>` on a free port and wait until an address answers; stopped afterwards."""
    with contextlib.ExitStack() as stack:

        def start(*arguments, health, uri, timeout=400):
            port = free_port()
            log = stack.enter_context((tmp_path / "server.log").open("wb"))
            environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")} | {
                "MLFLOW_TRACKING_URI": uri,
                "MLFLOW_DISABLE_TELEMETRY": "true",
                "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
                "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            }
            server = subprocess.Popen(
                [sys.executable, "-m", "mlflow", *arguments, "--host", "127.0.0.1", "--port", str(port)],
                cwd=tmp_path,
                env=environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
            stack.callback(stop, server)
            address = f"http://127.0.0.1:{port}"
            until = time.monotonic() + timeout
            while time.monotonic() < until:
                with (
                    contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError),
                    urllib.request.urlopen(address + health, timeout=30) as answer,
                ):
                    if answer.status == 200:
                        return address
                if server.poll() is not None:
                    break
                time.sleep(0.3)
            pytest.fail(f"the server did not answer:\n{(tmp_path / 'server.log').read_text()[-3000:]}")

        yield start


@pytest.fixture
def browser(tmp_path):
    if not (shutil.which(CHROMIUM) and shutil.which(DRIVER)):
        pytest.skip(f"needs {CHROMIUM} and {DRIVER} (Debian: apt-get install chromium chromium-driver)")
    selenium = pytest.importorskip("selenium.webdriver", reason="needs selenium (pip install selenium)")
    options = selenium.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (
        "headless",
        "no-sandbox",
        "disable-gpu",
        "disable-quic",
        "no-first-run",
        "disable-background-networking",
        "disable-component-update",
        "disable-sync",
        "disable-dev-shm-usage",
        "window-size=1600,1400",
        f"user-data-dir={tmp_path / 'profile'}",
    ):
        options.add_argument(f"--{flag}")
    driver = selenium.Chrome(options=options, service=selenium.ChromeService(DRIVER))
    driver.command_executor.client_config.timeout = 2 * LOAD  # of one command, such as a long script
    driver.set_page_load_timeout(LOAD)
    driver.set_script_timeout(LOAD)
    try:
        yield driver
    finally:
        with contextlib.suppress(Exception):
            driver.quit()


@pytest.fixture
def shots(tmp_path):
    folder = Path(os.environ.get("CTRSEL_SCREENSHOTS", tmp_path / "screenshots"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def stop(server):
    for sent, patience in ((signal.SIGTERM, 15), (signal.SIGKILL, 15)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, sent)
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(timeout=patience)
            break
    with contextlib.suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGKILL)  # workers that outlived their parent


class Tracker:
    """An MLflow server on one port, that can be killed and started again."""

    def __init__(self, folder, backend=None):
        self.folder = folder
        self.backend = backend or f"sqlite:///{folder / 'tracker.db'}"
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self.process = None

    def start(self, timeout=300):
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "MLFLOW_"))}
        environment |= {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        with (self.folder / "tracker.log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port)),
                    *("--backend-store-uri", self.backend, "--workers", "1"),
                    *("--artifacts-destination", (self.folder / "artifacts").as_uri()),
                ],
                cwd=self.folder,
                env=environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        until = time.monotonic() + timeout
        while time.monotonic() < until and self.process.poll() is None:
            with (
                contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError),
                urllib.request.urlopen(self.address + "/health", timeout=30) as answer,
            ):
                if answer.status == 200:
                    return self
            time.sleep(0.2)
        return pytest.fail(f"the server did not answer:\n{(self.folder / 'tracker.log').read_text()[-3000:]}")

    def kill(self):
        """End it and its workers at once, as a power cut does."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(timeout=120)
            self.process = None

    def client(self):
        """Return MLflow's own client."""
        from mlflow import MlflowClient

        return MlflowClient(tracking_uri=self.address, registry_uri=self.address)


@pytest.fixture(scope="module")
def tracker(tmp_path_factory):
    """A server that is always stopped; its database lies in a file."""
    made = Tracker(tmp_path_factory.mktemp("tracker")).start()
    yield made
    made.kill()


@pytest.fixture(scope="module")
def tracker_of():
    """Make servers on other databases."""
    with contextlib.ExitStack() as stack:

        def make(folder, backend):
            server = Tracker(folder, backend)
            stack.callback(server.kill)
            return server.start()

        yield make
