"""Access that is refused: known at once whoever says it and how, and whatever it cuts off, there is one version later."""

from __future__ import annotations

import contextlib
import http.server
import json
import threading
import time
from dataclasses import replace

import mlflow
import pytest
from mlflow.exceptions import MlflowException, RestException
from mlflow.protos.databricks_pb2 import PERMISSION_DENIED

from ctrsel.core.errors import RefusedError
from ctrsel.register import find_registration, register_run
from ctrsel.register.promotion import promotion_log
from ctrsel.register.reaching import refused
from ctrsel.register.store import Store, quiet_mlflow


@contextlib.contextmanager
def gateway(status, body, kind):
    """A server that answers everything alike."""

    class Answers(http.server.BaseHTTPRequestHandler):
        def _any(self):
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _any  # noqa: N815  # names of the library's

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


BODIES = {
    "nothing": b"",
    "a page": b"<html>You are not authenticated</html>",
    "MLflow": json.dumps({"error_code": "PERMISSION_DENIED", "message": "Permission denied"}).encode(),
    "a gateway": json.dumps({"message": "The incoming token has expired"}).encode(),
    "a gateway's number": json.dumps({"error_code": 403, "message": "Invalid access token"}).encode(),
}


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_it_is_known_at_once_whoever_says_it(given, status, body):
    with gateway(status, body, "application/json" if body.startswith(b"{") else "text/html") as address:
        config = replace(given.arguments["config"], tracking_uri=address, patience="10min")
        started = time.monotonic()
        with pytest.raises(RefusedError, match=rf"^register\.tracking_uri: {address} refuses access: "):
            find_registration(given.run, config=config, out=given.out)
        with pytest.raises(RefusedError, match="refuses access"):
            register_run(given.run, **{**given.arguments, "config": config})
        assert time.monotonic() - started < 300  # of ten minutes


class ClientError(Exception):
    """Looks like botocore's."""

    def __init__(self, status, code):
        super().__init__(code)
        self.response = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}


def below(error):
    """Wrap an error as boto3 does with that of an upload."""
    told = OSError("Failed to upload a to b/c")
    told.__context__ = error
    return told


DOWNLOAD = "The following failures occurred while downloading one or more artifacts: {}"


@pytest.mark.parametrize(
    ("error", "is_refused"),
    [
        (ClientError(403, "AccessDenied"), True),
        (below(ClientError(403, "AccessDenied")), True),
        (below(ClientError(400, "ExpiredToken")), True),
        (ClientError(404, "NoSuchKey"), False),
        (ClientError(400, "InvalidArgument"), False),
        (MlflowException(DOWNLOAD.format("HTTPError('403 Client Error: FORBIDDEN for url')")), True),
        (MlflowException(DOWNLOAD.format("An error occurred (403) when calling HeadObject: Forbidden")), True),
        (MlflowException(DOWNLOAD.format("404 Client Error")), False),
        (MlflowException("API request failed with error code 403 in a text of ours"), False),
        (RestException({"message": "The incoming token has expired"}), False),  # nobody knows with which status
    ],
    ids=str,
)
def test_what_stores_of_files_say(error, is_refused):
    assert refused(error) == is_refused


class Denying:
    """MLflow's client, which is denied some calls, or all from one on."""

    def __init__(self, client, calls, state):
        self._client, self._calls, self._state = client, calls, state

    def __getattr__(self, name):
        found = getattr(self._client, name)
        if not callable(found):
            return found

        def call(*args, **more):
            if name in self._calls:
                self._state["since"] = True
            if name in self._calls or (self._state["whole"] and self._state["since"]):
                raise MlflowException("Permission denied", error_code=PERMISSION_DENIED)
            return found(*args, **more)

        return call


def denied(monkeypatch, *calls, whole):
    state, made = {"since": False, "whole": whole}, mlflow.MlflowClient
    monkeypatch.setattr(mlflow, "MlflowClient", lambda *a, **k: Denying(made(*a, **k), calls, state))


POINTS = [
    ("create_experiment",),
    ("create_run",),
    ("log_model_artifacts",),
    ("create_model_version",),
    ("log_text",),
    ("set_model_version_tag",),
    ("set_registered_model_alias",),
    ("set_terminated",),
    # Who may write but not delete, and not move aliases either: the version stays decided, so its entry and its model stay.
    (
        "set_registered_model_alias",
        *(
            f"delete_{what}"
            for what in ("registered_model_alias", "model_version_tag", "model_version", "registered_model")
        ),
    ),
]


@pytest.mark.parametrize("whole", [True, False], ids=["all from then on", "no other"])
@pytest.mark.parametrize("calls", POINTS, ids=[", ".join(p)[:60] for p in POINTS])
def test_wherever_it_cuts_off_a_registration_there_is_one_version_later(given, light, monkeypatch, calls, whole):
    config, out = given.arguments["config"], given.out
    with monkeypatch.context() as patch:
        denied(patch, *calls, whole=whole)
        with pytest.raises(RefusedError, match=r"refuses access: .*Permission denied"):
            register_run(given.run, **given.arguments)
    made = find_registration(given.run, config=config, out=out) or register_run(given.run, **given.arguments)
    assert find_registration(given.run, config=config, out=out) == made
    store = Store.of(config, out=out)
    with quiet_mlflow(store.uri):
        client = store.client()
        [version] = client.search_model_versions("name='tiny'")
        assert int(version.version) == made.version
        held = client.get_registered_model("tiny").aliases
        assert {k: int(v) for k, v in held.items()} == {"challenger": made.version, "champion": made.version}
        experiment = client.get_experiment_by_name(given.run.name).experiment_id
        assert len(client.search_logged_models([experiment])) == 1
        runs = [r.info.status for r in client.search_runs([experiment])]
    assert runs.count("FINISHED") == 1
    assert "RUNNING" not in runs
    [entry] = promotion_log("tiny", config=config, out=out)
    assert (entry["candidate"], entry["to"]) == (made.version, made.version)
