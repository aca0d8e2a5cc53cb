"""Settings that every test needs: few threads, no network talk, and MLflow far from the working folder."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

# How long an example takes says how busy the machine is, and nothing of what is tested.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("repeatable", settings.get_profile("unhurried"), derandomize=True)  # the same ones each time
settings.load_profile(os.environ.get("CTRSEL_TEST_EXAMPLES", "unhurried"))


@pytest.fixture(autouse=True)
def _mlflow_elsewhere(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path_factory.getbasetemp()}/stray/mlflow.db")


@pytest.fixture(autouse=True)
def _log_as_before() -> Iterator[None]:
    """The command line sends the log to the standard error of its test, which is closed when the test is over."""
    log = logging.getLogger("ctrsel")
    before = (list(log.handlers), log.level, log.propagate)
    yield
    log.handlers[:], log.propagate = before[0], before[2]
    log.setLevel(before[1])
