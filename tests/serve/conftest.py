"""Real servers on the loopback device, in a thread of the test's process, that are always stopped."""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
import time
from dataclasses import dataclass
from typing import Any

import pytest
import uvicorn

from ctrsel.serve.app import create_app
from ctrsel.serve.holder import FolderSource, Holder
from ctrsel.serve.limits import Limits
from ctrsel.serve.server import listen
from ctrsel.testing.runs import tiny_net
from ctrsel.testing.tables import tiny_table


@dataclass
class Client:
    """One kept connection."""

    port: int
    holder: Holder

    def __post_init__(self) -> None:
        self.link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        if isinstance(body, dict | list):
            body = json.dumps(body).encode()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # what is refused need not be read to its end
            self.link.request(method, path, body, {k.replace("_", "-"): v for k, v in headers.items()})
        answer = self.link.getresponse()
        data = answer.read()
        kind = answer.headers.get("content-type", "")
        if kind.startswith("application/json"):
            return answer.status, json.loads(data)
        return answer.status, data

    def predict(self, rows: Any, **more: Any) -> tuple[int, Any]:
        return self.ask("POST", "/predict", {"rows": rows, **more})


@contextlib.contextmanager
def running(holder, *, limits=None, threads=2):
    at = listen("127.0.0.1", 0)
    settings = uvicorn.Config(
        create_app(holder, limits=limits, threads=threads), log_config=None, lifespan="off", access_log=False, ws="none"
    )
    server = uvicorn.Server(settings)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [at]}, daemon=True)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.005)
        client = Client(port=at.getsockname()[1], holder=holder)
        with contextlib.closing(client.link):
            yield client
    finally:
        server.should_exit = True
        thread.join(timeout=30)
        at.close()


@pytest.fixture(scope="session")
def model():
    return tiny_net(tiny_table())


@pytest.fixture(scope="session")
def folder(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("served") / "model"
    model.save(path)
    return path


@pytest.fixture(scope="session")
def server(folder):
    limits = Limits(rows=50, bytes=20_000, text=200, items=20, reasons=5)
    with running(Holder(FolderSource(path=folder)), limits=limits) as client:
        yield client


@pytest.fixture
def client(server):
    """A connection of the test's own to the one server."""
    made = Client(port=server.port, holder=server.holder)
    yield made
    made.link.close()
