"""`ctrsel deliver` that is killed by SIGKILL all along its way: one version, one entry in the log, an empty outbox."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from ctrsel.api.outbox import waiting
from ctrsel.register.promotion import promotion_log
from ctrsel.register.store import quiet_mlflow
from ctrsel.testing.registry import SmallRegistry

from .test_registry_down import Between, Case

pytestmark = [pytest.mark.slow, pytest.mark.system, pytest.mark.timeout(2400)]

ROOT = Path(__file__).parents[2]
# Where the process is killed, one after the other: at which request of which kind, before the server hears of it or after.
KILLS = [
    ("GET", "mlflow-artifacts", 10, "before"),  # while the champion is fetched
    ("PUT", "mlflow-artifacts", 40, "before"),  # the run is there, and some of its files
    ("POST", "model-versions/create", 1, "after"),  # the version is there, and nothing is decided
    ("POST", "model-versions/set-tag", 1, "after"),  # it is decided, and no alias has moved
    ("POST", "registered-models/alias", 1, "after"),  # one has
    ("POST", "registered-models/alias", 2, "before"),
    ("POST", "runs/update", 1, "after"),  # the log's entry is closed
    ("POST", "runs/update", 1, "after"),  # all is done, and the entry still waits
]
NOWHERE = ("", "", 0, "")


class Watched(Between):
    """Hands requests on, and kills the process that asks at the one that it is told."""

    last = False

    def _any(self):
        method, path, number, when = self.server.at
        with self.server.counting:
            fits = self.command == method and path in self.path
            self.server.seen += fits
            self.last = fits and self.server.seen == number
        if self.last and when == "before":
            self.server.kill()
            self.close_connection = True
            return
        with contextlib.suppress(ConnectionError):  # who asked may be gone by now
            super()._any()

    def send_response(self, *answer):
        if self.last:  # done, and nobody hears of it
            self.server.kill()
            raise ConnectionAbortedError
        super().send_response(*answer)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _any  # noqa: N815  # names of the library's


@pytest.fixture
def watched(tracker):
    """A way to the server on which requests are seen."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Watched)
    server.behind, server.rules, server.counting = tracker.port, [], threading.Lock()
    server.seen, server.at = 0, NOWHERE
    server.handle_error = lambda *_: None
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def deliver(folder: Path, server, at=NOWHERE) -> int:
    """Run the command, kill it at that request, and return its exit code, -9 of a killed one."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "MLFLOW_"))}
    env |= {"PYTHONPATH": str(ROOT), "TMPDIR": str(folder), "OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"}
    server.seen, server.at = 0, at
    with (folder / "deliver.log").open("wb") as log:
        command = [sys.executable, "-m", "ctrsel", "deliver", "--out", str(folder)]
        process = subprocess.Popen(command, cwd=folder, env=env, stdout=log, stderr=log)
    server.kill = process.kill
    try:
        code = process.wait(timeout=600)
    finally:
        process.kill()
    assert code in (0, -signal.SIGKILL), (folder / "deliver.log").read_text()[-4000:]
    return code


def test_killed_all_along_the_way(tmp_path, tracker, watched) -> None:
    registry = SmallRegistry.make(tmp_path / "rows")
    good, poor = registry.good(), registry.poor()
    case = Case((registry, good, poor), tmp_path, f"http://127.0.0.1:{watched.server_address[1]}", "clicks", "60s")
    case.register(poor, 1)
    entry = case.keep(good, 2)
    for at in KILLS:
        began = time.monotonic()
        assert deliver(tmp_path, watched, at) == -signal.SIGKILL, f"not killed at {at}"
        print(f"{at}: {time.monotonic() - began:.1f} s")
        assert waiting(tmp_path) == (entry,)
    assert deliver(tmp_path, watched) == 0

    assert waiting(tmp_path) == ()
    assert list((tmp_path / "outbox").iterdir()) == []
    found = case.found(tracker.client())
    [first, second] = found["versions"]
    assert found == {
        "versions": [first, second],
        "aliases": {"challenger": second, "champion": second},
        "done": 2,
        "going on": 0,
        "log": 2,
        "models": 2,
    }
    digest = case.run(good, 2).digest
    with quiet_mlflow(tracker.address):
        client = tracker.client()
        versions = [v for v in client.search_model_versions("name='clicks'") if v.tags["run_digest"] == digest]
        runs = client.search_runs([client.get_experiment_by_name("clicks").experiment_id])
    assert [int(v.version) for v in versions] == [second]
    assert [r.info.run_id for r in runs if r.info.status == "FINISHED"].count(versions[0].run_id) == 1
    log = promotion_log("clicks", config=case.config.register, out=tmp_path)
    assert [(e["decision"], e["from"], e["to"]) for e in log] == [
        ("promoted", None, first),
        ("promoted", first, second),
    ]
    assert (log[1]["run_digest"], json.loads(versions[0].tags["promotion"])) == (digest, log[1])
