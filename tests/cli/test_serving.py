"""Scoring files and serving from the command line; the server itself is tried in tests/system."""

from __future__ import annotations

import socket

import polars as pl
import pytest

from ctrsel.testing.runs import tiny_net
from ctrsel.testing.tables import tiny_table

_THREADED = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "POLARS_MAX_THREADS")


@pytest.fixture
def saved(here, monkeypatch):
    for name in _THREADED:
        monkeypatch.setenv(name, "1")  # 'serve' sets them for the process, which here is the tests'
    tiny_net(tiny_table()).save(here / "m")
    return here


@pytest.mark.parametrize("command", ["score", "predict"])
def test_files_are_scored_under_both_names(ctrsel, saved, command):
    said = ctrsel(command, "m", "clicks.csv", "--out", "s.ndjson.gz", "--keep", "ad", "--json", "-q")
    assert said.code == 0, said.err
    assert said.json["rows"] == 1500
    scores = pl.read_ndjson(saved / "s.ndjson.gz")
    assert scores.columns == ["ad", "probability"]
    assert scores.height == 1500


def test_a_registered_version_needs_a_registry(ctrsel, saved, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    for line in (("score", "models:/clicks@champion", "clicks.csv", "--out", "s.csv"), ("serve", "models:/clicks/1")):
        said = ctrsel(*line)
        assert said.code == 2
        assert "MLFLOW_TRACKING_URI says, which is not set" in said.err


def test_a_version_that_is_not_there_is_refused(ctrsel, saved):
    said = ctrsel("serve", "models:/clicks@champion", "--port", "0")
    assert said.code == 2
    assert "models:/clicks@champion" in said.err
    assert said.err.count("\n") == 1


def test_what_cannot_be_served_is_refused_in_one_sentence(ctrsel, saved):
    said = ctrsel("serve", "nothing", "--port", "0")
    assert (said.code, said.err) == (3, "error: nothing: holds no saved model\n")
    with socket.create_server(("127.0.0.1", 0)) as other:
        said = ctrsel("serve", "m", "--port", str(other.getsockname()[1]))
    assert said.code == 2
    assert "cannot listen there" in said.err
    assert ctrsel("serve", "m", "--host", "no.such.host.invalid", "--port", "0").code == 2
    assert ctrsel("serve", "m", "--port", "70000").code == 2
