"""A real MLflow server that is killed in the middle of a registration: nothing is lost, and nothing is there twice."""

from __future__ import annotations

import contextlib
import http.client
import http.server
import json
import os
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.request
from dataclasses import replace

import pytest

from ctrsel.api.outbox import deliver, keep, waiting
from ctrsel.api.registering import register_reviewed
from ctrsel.api.reviewing import promote, review_version, rollback
from ctrsel.core.errors import ConfigError, UnreachableError
from ctrsel.records.audit import Audit
from ctrsel.records.evidence import Evidence
from ctrsel.records.feature_set import FeatureSet
from ctrsel.register import find_registration, versions
from ctrsel.register.store import quiet_mlflow
from ctrsel.testing.postgresql import PostgreSQL
from ctrsel.testing.postgresql import missing as postgresql_missing
from ctrsel.testing.registry import SmallRegistry
from ctrsel.testing.runs import tiny_run

pytestmark = [pytest.mark.slow, pytest.mark.system, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """Rows, their table, a model that knows what there is to know, and one that knows nothing."""
    made = SmallRegistry.make(tmp_path_factory.mktemp("rows"))
    return made, made.good(), made.poor()


class Case:
    """One registered model of its own name, and what is there of it."""

    def __init__(self, rows, folder, address, name, patience="2s"):
        self.registry, self.good, self.poor = rows
        self.out, self.name, self.address = folder, name, address
        register = replace(self.registry.config.register, tracking_uri=address, patience=patience)
        self.config = replace(self.registry.config, name=name, register=register)

    def run(self, model, day):
        made = tiny_run(self.registry.table, model, name=self.name, seed=day)
        return replace(made, config={"name": self.name}, created=f"2026-03-{day:02d}T04:00:00+00:00")

    def given(self, model):
        encoder = self.registry.table.encoder
        keep_all = {n: v.counts >= 0 for n, v in encoder.vocabularies.items()}
        return {
            "config": self.config,
            "model": model,
            "table": self.registry.table,
            "evidence": Evidence(
                audit=Audit(findings=()),
                feature_set=FeatureSet.from_keep(
                    keep_all, fields=encoder.schema.names, method="all", params={}, encoder=encoder.digest
                ),
            ),
            "logits": model.logits(self.registry.table.part("test"))[:, 0],
            "out": self.out,
        }

    def register(self, model, day):
        return register_reviewed(
            self.run(model, day), **self.given(model), report=self.out / "report.html", proof=False
        )

    def keep(self, model, day):
        return keep(self.run(model, day), **self.given(model))

    def found(self, client):
        """Return numbers of versions, aliases, statuses of runs, and the promotion log, as MLflow itself tells them."""
        with quiet_mlflow(self.address):
            there = client.search_model_versions(f"name='{self.name}'")
            held = dict(client.get_registered_model(self.name).aliases) if there else {}
            runs = []
            for title in (self.name, f"{self.name}: promotions"):
                experiment = client.get_experiment_by_name(title)
                found = [] if experiment is None else client.search_runs([experiment.experiment_id])
                runs.append(sorted(r.info.status for r in found))
            models = client.search_logged_models([client.get_experiment_by_name(self.name).experiment_id])
        return {
            "versions": sorted(int(v.version) for v in there),
            "aliases": {k: int(v) for k, v in held.items()},
            "done": runs[0].count("FINISHED"),
            "going on": runs[0].count("RUNNING") + runs[1].count("RUNNING"),
            "log": runs[1].count("FINISHED"),
            "models": len(models),
        }


@pytest.fixture
def case(rows, tmp_path, tracker, request):
    if tracker.process is None:
        tracker.start()
    return Case(rows, tmp_path, tracker.address, f"m{abs(hash(request.node.name))}")


@pytest.fixture(autouse=True)
def _unproven(monkeypatch):
    """A fresh process a version is another test's."""
    from ctrsel.api import registering

    whole = registering.register_run
    monkeypatch.setattr(registering, "register_run", lambda run, **more: whole(run, **{**more, "proof": False}))
    monkeypatch.setattr(versions, "prove_version", lambda *_args, **_more: 0.0)


def killing(monkeypatch, tracker, name, *, when):
    """Kill the server before or after a call of MLflow's client."""
    from mlflow import MlflowClient

    whole, seen = getattr(MlflowClient, name), []

    def call(self, *args, **more):
        seen.append(name)
        if when == "before" and len(seen) == 1:
            tracker.kill()
        found = whole(self, *args, **more)
        if when == "after" and len(seen) == 1:
            tracker.kill()
        return found

    monkeypatch.setattr(MlflowClient, name, call)


POINTS = [
    ("create_experiment", "before"),
    ("log_model_artifacts", "before"),
    ("create_model_version", "after"),
    ("set_model_version_tag", "after"),
    ("set_registered_model_alias", "after"),
]


@pytest.mark.parametrize("point", POINTS, ids=[f"{w} {n}" for n, w in POINTS])
def test_a_server_that_is_killed_loses_nothing_and_nothing_is_there_twice(case, tracker, monkeypatch, point):
    name, when = point
    with monkeypatch.context() as patch:
        killing(patch, tracker, name, when=when)
        started = time.monotonic()
        with pytest.raises(UnreachableError, match=rf"{tracker.address} cannot be reached"):
            case.register(case.good, 1)
        print(f"{name}: given up after {time.monotonic() - started:.1f} s")
    assert tracker.process is None
    entry = case.keep(case.good, 1)
    assert case.keep(case.good, 1) == entry
    with pytest.raises(UnreachableError, match=r"1 finished run\(s\) wait in"):
        deliver(case.config, out=case.out)
    assert waiting(case.out) == (entry,)

    tracker.start()
    [made] = deliver(case.config, out=case.out)
    assert waiting(case.out) == ()
    found = case.found(tracker.client())
    assert found == {
        "versions": [made.version],
        "aliases": {"challenger": made.version, "champion": made.version},
        "done": 1,
        "going on": 0,
        "log": 1,
        "models": 1,
    }
    assert deliver(case.config, out=case.out) == ()
    again = find_registration(case.run(case.good, 1), config=case.config.register, out=case.out)
    assert again == made


def test_a_server_that_comes_back_in_time_is_waited_for(case, tracker, monkeypatch):
    case.config = replace(case.config, register=replace(case.config.register, patience="5min"))
    backs = []

    class Short:
        """Kills the server, which comes back some seconds later."""

        @staticmethod
        def kill():
            tracker.kill()
            backs.append(threading.Timer(3.0, tracker.start))
            backs[0].start()

    killing(monkeypatch, Short, "log_model_artifacts", when="before")
    made = case.register(case.good, 1)
    [back] = backs
    back.join()
    found = case.found(tracker.client())
    assert (found["versions"], found["done"], found["log"]) == ([made.version], 1, 1)


class Between(http.server.BaseHTTPRequestHandler):
    """Hands requests on to a server, and loses answers or refuses requests as it is told."""

    protocol_version = "HTTP/1.1"
    taking = threading.Lock()  # requests come side by side

    def _any(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with self.taking:
            rule = next((r for r in self.server.rules if r["path"] in self.path and r["times"] > 0), None)
            if rule is not None:
                rule["times"] -= 1
        if rule is not None and rule["status"]:
            self.send_response(rule["status"])
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        link = http.client.HTTPConnection("127.0.0.1", self.server.behind, timeout=120)
        headers = {k: v for k, v in self.headers.items() if k.lower() not in ("host", "connection", "accept-encoding")}
        link.request(self.command, self.path, body, {**headers, "Host": f"127.0.0.1:{self.server.behind}"})
        answer = link.getresponse()
        said = answer.read()
        link.close()
        if rule is not None:  # done, but nobody hears of it
            self.close_connection = True
            self.connection.close()
            return
        self.send_response(answer.status)
        for k, v in answer.getheaders():
            if k.lower() not in ("content-length", "transfer-encoding", "connection"):
                self.send_header(k, v)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _any  # noqa: N815  # names of the library's

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def between(tracker, *rules):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Between)
    server.behind, server.rules = tracker.port, [{"times": 1, "status": None, **r} for r in rules]
    server.handle_error = lambda *_: None
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", server.rules
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


LOST = {
    "the version": [{"path": "model-versions/create"}],
    "the model": [{"path": "registered-models/create"}],
    "the decision": [{"path": "model-versions/set-tag"}],
    "the alias": [{"path": "registered-models/alias"}],
    "too many": [{"path": "/api/2.0/mlflow-artifacts", "status": 429, "times": 3}],
    "overloaded": [{"path": "runs/create", "status": 503}, {"path": "logged-models", "status": 502}],
}


@pytest.mark.parametrize("rules", LOST.values(), ids=LOST)
def test_an_answer_that_is_lost_makes_no_second_version(rows, case, tracker, rules):
    with between(tracker, *rules) as (address, left):
        config = replace(case.config, register=replace(case.config.register, tracking_uri=address, patience="60s"))
        case.config = config
        case.keep(case.good, 1)
        [made] = deliver(config, out=case.out)
        assert all(r["times"] == 0 for r in left)
    found = case.found(tracker.client())
    assert found["versions"] == [made.version]
    assert found["aliases"] == {"challenger": made.version, "champion": made.version}
    assert (found["done"], found["going on"], found["log"], found["models"]) == (1, 0, 1, 1)


def test_a_forbidden_entry_stays_and_the_others_are_delivered(case, tracker):
    first = case.keep(case.good, 1)
    name = case.name
    case.name, case.config = "a/b", replace(case.config, name="a/b")
    bad = case.keep(case.good, 2)
    case.name, case.config = name, replace(case.config, name=name)
    case.keep(case.poor, 3)
    assert waiting(case.out)[0] == first
    with pytest.raises(ConfigError, match=rf"{bad}: stays in the outbox, since name: "):
        deliver(case.config, out=case.out)
    assert waiting(case.out) == (bad,)
    assert case.found(tracker.client())["versions"] == [1, 2]
    with between(tracker, {"path": "/api", "status": 403, "times": 99}) as (address, _):
        case.config = replace(case.config, register=replace(case.config.register, tracking_uri=address))
        with pytest.raises(ConfigError, match="refuses access"):
            case.register(case.good, 4)


def test_an_older_run_does_not_take_the_place_of_a_newer_one(case, tracker):
    case.keep(case.good, 1)
    newer = case.register(case.poor, 2)
    assert newer.version == 1
    [late] = deliver(case.config, out=case.out)
    found = case.found(tracker.client())
    assert found["aliases"] == {"challenger": 1, "champion": 1}
    assert found["versions"] == [1, late.version]
    facts, review, log = review_version(f"{case.name}/{late.version}", store=tracker.address)
    assert facts.tags["check_verdict"] == "failed"
    assert log[-1]["decision"] == "refused"
    assert "a newer run has been registered since" in log[-1]["why"][0]
    assert review.comparison.metrics["auc"].difference.low > 0  # it is the better one, so a person may promote it
    promote(f"{case.name}/{late.version}", reason="better all the same", force=True, store=tracker.address)
    assert case.found(tracker.client())["aliases"]["champion"] == late.version


LOCKER = """
import sqlite3, sys, time
link = sqlite3.connect(sys.argv[1], isolation_level=None)
link.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
time.sleep(float(sys.argv[2]))
link.execute("ROLLBACK")
"""


@contextlib.contextmanager
def locked(file, seconds):
    with subprocess.Popen([sys.executable, "-c", LOCKER, str(file), str(seconds)], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"locked\n"
        yield
        process.kill()


def test_a_locked_file_is_waited_for_and_then_told(rows, tmp_path):
    file = tmp_path / "mlflow.db"
    case = Case(rows, tmp_path, f"sqlite:///{file}", "locked", patience="1s")
    case.register(case.good, 1)
    with locked(file, 600):
        started = time.monotonic()
        with pytest.raises(UnreachableError, match=r"mlflow\.db cannot be reached: database is locked"):
            case.register(case.poor, 2)
        print(f"locked: given up after {time.monotonic() - started:.1f} s")
        entry = case.keep(case.poor, 2)
    case.config = replace(case.config, register=replace(case.config.register, patience="5min"))
    with locked(file, 25):  # MLflow itself waits 20 seconds
        [made] = deliver(case.config, out=case.out)
    assert not entry.exists()
    with contextlib.closing(sqlite3.connect(file)) as link:
        assert link.execute("select count(*) from model_versions").fetchone() == (2,)
    assert made.version == 2


@pytest.mark.skipif(postgresql_missing() is not None, reason=str(postgresql_missing()))
def test_postgresql_behind_a_server(rows, tmp_path, tracker_of):
    pytest.importorskip("psycopg", reason="the extra 'postgresql' is not installed")
    with PostgreSQL.running() as database:
        tracker = tracker_of(tmp_path, database.uri)
        case = Case(rows, tmp_path, tracker.address, "clicks", patience="3s")
        assert case.register(case.good, 1).version == 1
        assert case.register(case.poor, 2).version == 2

        facts, review, log = review_version("clicks", store=tracker.address)
        assert (facts.version, facts.champion, review.champion) == (2, 1, 1)
        assert [e["decision"] for e in log] == ["promoted", "refused"]
        assert promote("clicks/2", reason="a try", force=True, store=tracker.address)["to"] == 2
        assert rollback("clicks", reason="worse", store=tracker.address)["to"] == 1

        database.stop()
        for address in (tracker.address, database.uri):
            register = replace(case.config.register, tracking_uri=address)
            started = time.monotonic()
            with pytest.raises(UnreachableError, match="cannot be reached"):
                find_registration(case.run(case.good, 3), config=register, out=tmp_path)
            print(f"{address[:10]}: given up after {time.monotonic() - started:.1f} s")
        case.keep(case.poor, 3)
        database.start()
        patient = replace(case.config, register=replace(case.config.register, patience="5min"))
        [made] = deliver(patient, out=tmp_path)  # the server has first to notice that its connections are gone
        found = case.found(tracker.client())
        assert found["versions"] == [1, 2, made.version]
        assert found["aliases"] == {"challenger": made.version, "champion": 1}
        assert (found["done"], found["going on"], found["log"]) == (3, 0, 5)


def test_a_serving_process_follows_the_alias_of_a_live_server(case, tracker, tmp_path):
    models = {1: case.good, 2: case.poor}
    for day, model in models.items():
        assert case.register(model, day).version == day
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    with (tmp_path / "serve.log").open("wb") as log:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "ctrsel", "serve", f"models:/{case.name}@champion"),
                *("--port", "0", "--reload", "0.5", "--json"),
            ],
            cwd=tmp_path,
            env={**environment, "MLFLOW_TRACKING_URI": tracker.address},
            stdout=subprocess.PIPE,
            stderr=log,
        )
        try:
            said = process.stdout.readline()
            assert said, (tmp_path / "serve.log").read_text()
            address = json.loads(said)["address"]

            def now():
                with urllib.request.urlopen(f"{address}/model", timeout=60) as answer:
                    return json.load(answer)

            def follows(version):
                until = time.monotonic() + 180
                while now()["digest"] != models[version].digest:
                    assert time.monotonic() < until, (tmp_path / "serve.log").read_text()
                    time.sleep(0.2)

            assert now()["digest"] == case.good.digest
            promote(f"{case.name}/2", reason="a try", force=True, store=tracker.address)
            follows(2)
            tracker.kill()
            time.sleep(3)
            assert now()["digest"] == case.poor.digest  # nobody notices
            tracker.start()
            rollback(case.name, reason="it was one", store=tracker.address)
            follows(1)
        finally:
            process.terminate()
            code = process.wait(timeout=120)
            process.stdout.close()
    assert code == 0, (tmp_path / "serve.log").read_text()
