"""A run whose registry refuses access at its very end: nothing of the night is lost, and rights bring it there once."""

from __future__ import annotations

import http.server
import threading
import time

import pytest

from ctrsel.register.store import quiet_mlflow

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


class Forbids(http.server.BaseHTTPRequestHandler):
    """A registry whose token has run out."""

    def _any(self):
        self.server.calls.append(time.monotonic())
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b'{"message": "The incoming token has expired"}'
        self.send_response(self.server.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _any  # noqa: N815  # names of the library's

    def log_message(self, *_):
        pass


@pytest.fixture
def forbids():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Forbids)
    server.calls, server.status = [], 401
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_finished_run_waits_and_is_delivered_once(ctrsel, here, small_run, forbids, monkeypatch):
    address = f"http://127.0.0.1:{forbids.server_address[1]}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    patient = ("--set", "register.patience=1h")
    said = ctrsel("run", small_run, "-q", "--json", *patient)
    assert said.code == 2, said.err
    [entry] = (here / "runs/small/outbox").iterdir()
    sentence = f"small: finished, but not registered: register.tracking_uri: {address} refuses access: "
    assert said.json["error"].startswith(sentence)
    assert said.json["error"].endswith(
        f"; it waits in {entry.relative_to(here)}, and 'ctrsel deliver' or the next run there registers it once access is given"
    )
    assert (said.json["exit_code"], said.json["waiting"]) == (2, str(entry.relative_to(here)))
    assert said.json["registration"] is None
    assert (here / "runs/small/report.html").is_file()
    assert (here / "runs/small/model").is_dir()
    assert forbids.calls[-1] - forbids.calls[0] < 600  # nothing is tried for an hour

    forbids.status = 403
    said = ctrsel("deliver", small_run, "-q")
    assert said.code == 2
    assert "stays in the outbox, since register.tracking_uri" in said.err
    said = ctrsel("run", small_run, "-q", *patient)  # the next night meets the same
    assert said.code == 2
    assert "finished, but not registered" in said.err
    assert [*(here / "runs/small/outbox").iterdir()] == [entry]

    store = f"sqlite:///{here / 'registry.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)  # rights are back
    said = ctrsel("deliver", small_run, "-q", "--json")
    assert said.code == 0, said.err
    assert [(r["model_name"], r["version"]) for r in said.json["delivered"]] == [("small", 1)]
    assert [*(here / "runs/small/outbox").iterdir()] == []
    assert ctrsel("deliver", small_run, "-q", "--json").json["delivered"] == []
    assert ctrsel("run", small_run, "-q", "--json").json["registration"]["version"] == 1
    with quiet_mlflow(store):
        from mlflow import MlflowClient

        assert len(MlflowClient(store, store).search_model_versions("name='small'")) == 1
