"""Runs that wait: what is kept, in which order it is delivered, and that an interruption anywhere leaves one version."""

from __future__ import annotations

import dataclasses
import json
import shutil
import socket
import stat
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ctrsel.api import outbox
from ctrsel.api.cache import exclusive
from ctrsel.api.outbox import deliver, keep, waiting
from ctrsel.api.reviewing import review_version
from ctrsel.api.window import test_window as window_of
from ctrsel.core.errors import ConfigError, DataError, UnreachableError
from ctrsel.records.audit import Audit
from ctrsel.records.evidence import Evidence
from ctrsel.records.feature_set import FeatureSet
from ctrsel.records.review import Review
from ctrsel.records.run import Run
from ctrsel.register.store import quiet_mlflow
from ctrsel.testing.registry import SmallRegistry
from ctrsel.testing.runs import tiny_run


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    registry = SmallRegistry.make(tmp_path_factory.mktemp("rows"))
    return registry, registry.good()


@pytest.fixture(autouse=True)
def _unproven(monkeypatch):
    from ctrsel.api import registering

    whole = registering.register_run
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr(registering, "register_run", lambda run, **more: whole(run, **{**more, "proof": False}))


@pytest.fixture
def put(made, tmp_path):
    """Put the run of a day into an outbox."""
    registry, model = made
    register = replace(registry.config.register, tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}")
    config = replace(registry.config, register=register)

    def run_of(day):
        run = tiny_run(registry.table, model, name="clicks", seed=day)
        return replace(run, config={"name": "clicks"}, created=f"2026-03-{day:02d}T04:00:00+00:00")

    def put(day):
        encoder = registry.table.encoder
        whole = {n: v.counts >= 0 for n, v in encoder.vocabularies.items()}
        return keep(
            run_of(day),
            config=config,
            model=model,
            table=registry.table,
            evidence=Evidence(
                audit=Audit(findings=()),
                feature_set=FeatureSet.from_keep(
                    whole, fields=encoder.schema.names, method="all", params={}, encoder=encoder.digest
                ),
            ),
            logits=model.logits(registry.table.part("test"))[:, 0],
            out=tmp_path,
        )

    put.config, put.run_of = config, run_of
    return put


def versions(folder):
    with quiet_mlflow(f"sqlite:///{folder / 'mlflow.db'}"):
        from mlflow import MlflowClient

        uri = f"sqlite:///{folder / 'mlflow.db'}"
        return sorted(int(v.version) for v in MlflowClient(uri, uri).search_model_versions("name='clicks'"))


def test_an_entry_holds_what_a_delivery_needs(made, put, tmp_path):
    registry, model = made
    entry = put(1)
    assert entry == tmp_path / "outbox" / put.run_of(1).digest
    assert stat.S_IMODE(entry.stat().st_mode) == 0o700  # it holds raw rows
    now = window_of(registry.config, registry.table)
    kept = outbox._load_window(entry, json.loads((entry / "manifest.json").read_text())["window"])
    assert kept.rows.equals(now.rows)
    np.testing.assert_array_equal(kept.labels, now.labels)
    for field in dataclasses.fields(now):
        if field.name not in ("rows", "labels", "weight", "group"):
            assert getattr(kept, field.name) == getattr(now, field.name)
    np.testing.assert_allclose(model.logits(kept.rows), model.logits(registry.table.part("test")), atol=1e-6)


def test_an_equal_run_is_not_put_there_twice_and_the_oldest_comes_first(put, tmp_path):
    newer, older = put(5), put(3)
    before = (newer / "manifest.json").stat().st_mtime_ns
    assert put(5) == newer
    assert (newer / "manifest.json").stat().st_mtime_ns == before
    assert waiting(tmp_path) == (older, newer)
    (tmp_path / "outbox" / ".x.partial-1").mkdir()
    assert waiting(tmp_path) == (older, newer)


def test_each_is_delivered_once_and_compared_with_the_champion_of_now(made, put, tmp_path):
    put.run_of(7).save(tmp_path / "run")
    put(3)
    put(7)
    first, second = deliver(put.config, out=tmp_path)
    assert (first.version, second.version) == (1, 2)
    assert waiting(tmp_path) == ()
    assert Run.load(tmp_path / "run").registration == second
    _, review, log = review_version("clicks/2", store=tmp_path)
    assert (review.champion, review.comparison.rows) == (1, made[0].table.part("test").n_rows)
    assert [e["decision"] for e in log] == ["promoted", "promoted"]
    # The page that travels with the version, and the one in the run's folder, tell how it stands against the champion.
    here = (tmp_path / "report.html").read_text(encoding="utf-8")
    for page in (page_of(second, tmp_path / "down"), here):
        assert "against version 1 on the same" in page
    assert "version <strong>2</strong>" in here
    assert Review.load(tmp_path / "review").champion == 1
    assert "against version" not in page_of(first, tmp_path / "down of 1")
    assert deliver(put.config, out=tmp_path) == ()
    put(3)  # again, whoever does that
    assert deliver(put.config, out=tmp_path) == (first,)
    assert versions(tmp_path) == [1, 2]


def page_of(made, folder):
    with quiet_mlflow(made.tracking_uri):
        import mlflow

        down = mlflow.artifacts.download_artifacts(artifact_uri=made.model_uri, dst_path=str(folder))
    return next(Path(down).rglob("report/index.html")).read_text(encoding="utf-8")


class KilledError(BaseException):
    """Stands for the end of the process: nobody handles it."""


@pytest.mark.parametrize("step", ["_note", "_remove", "rmtree"])
def test_an_end_between_the_version_and_the_entry_makes_no_second_one(put, tmp_path, monkeypatch, step):
    put(3)

    whole = shutil.rmtree

    def ends(path, *args, **more):
        if step != "rmtree" or ".old-" in str(path):
            raise KilledError
        whole(path, *args, **more)

    with monkeypatch.context() as patch:
        patch.setattr(shutil if step == "rmtree" else outbox, step, ends)
        with exclusive(tmp_path), pytest.raises(KilledError):
            outbox._deliver(put.config, out=tmp_path)
    left = len(waiting(tmp_path))
    assert left == (0 if step == "rmtree" else 1)
    assert len(deliver(put.config, out=tmp_path)) == left
    assert versions(tmp_path) == [1]
    with exclusive(tmp_path):
        outbox._deliver(put.config, out=tmp_path)
    assert list((tmp_path / "outbox").iterdir()) == []


def test_a_damaged_entry_stays_and_is_named(put, tmp_path):
    bad = put(1)
    put(2)
    (bad / "rows.parquet").write_bytes(b"half")
    with pytest.raises(DataError, match=rf"^{bad}: stays in the outbox, since .*rows\.parquet: cannot be read"):
        deliver(put.config, out=tmp_path)
    assert waiting(tmp_path) == (bad,)
    assert versions(tmp_path) == [1]


def test_a_folder_at_work_is_left_alone(put, tmp_path):
    put(1)
    with exclusive(tmp_path), pytest.raises(ConfigError, match="another run is at work"):
        deliver(put.config, out=tmp_path)
    assert deliver(put.config, out=tmp_path / "nowhere") == ()
    assert not (tmp_path / "nowhere").exists()


def test_the_source_may_have_gone(made, put, tmp_path, monkeypatch):
    def gone(config, table):
        if config.data.store is None:
            raise DataError("clicks.parquet: no such file")
        return window_of(config, table)

    monkeypatch.setattr(outbox, "test_window", gone)
    entry = put(1)
    assert pl.read_parquet(entry / "rows.parquet").height == made[0].table.part("test").n_rows
    assert json.loads((entry / "manifest.json").read_text())["window"]["notes"]


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_whole_run_waits_and_the_next_one_delivers_it(small_plan, monkeypatch):
    from ctrsel.api.run import run

    config = small_plan(register={"patience": "0s"}).config
    with socket.socket() as probe:  # nobody listens, and nobody else is given the port
        probe.bind(("127.0.0.1", 0))
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{probe.getsockname()[1]}")
        for _ in range(2):  # the second time it is not put there again
            with pytest.raises(UnreachableError, match=r"finished, but not registered: .*connection refused") as told:
                run(config)
            [entry] = waiting(told.value.result["waiting"].rpartition("/outbox")[0])
            assert str(entry) == told.value.result["waiting"]
    out = entry.parent.parent
    assert (out / "report.html").is_file()
    assert Run.load(out / "run").registration is None
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    done = run(config)
    assert waiting(out) == ()
    assert (done.run.registration.version, Run.load(out / "run").registration) == (1, done.run.registration)
    assert done.run.stages[-1] == {"name": "register", "seconds": 0.0, "reused": True}
