"""A tiny table on disk, and a search over it that takes seconds."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ctrsel.core.log import progress
from ctrsel.testing.tables import tiny_table
from ctrsel.tune.job import Job
from ctrsel.tune.search import Search
from ctrsel.tune.space import Space
from ctrsel.tune.study import Study


@pytest.fixture(scope="session")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tune") / "table"
    tiny_table(rows=600).save(path)
    return path


@pytest.fixture
def job(table: Path) -> Job:
    return Job(table=str(table), never_use=(), learner={}, seed=1)


@pytest.fixture
def mine(monkeypatch: pytest.MonkeyPatch) -> str:
    """The folder of these tests, importable here and in the processes of trials."""
    folder = str(Path(__file__).parent)
    monkeypatch.syspath_prepend(folder)
    return folder


@pytest.fixture
def searched(tmp_path: Path, job: Job) -> Callable[..., tuple[Study, float]]:
    """Search for a time and return the study and the seconds that it took."""

    def search(
        learners: dict[str, Any],
        *,
        seconds: float,
        trials: int | None = None,
        seeds: tuple[int, ...] = (),
        **space: Any,
    ) -> tuple[Study, float]:
        made = Space(learners=learners, **space)
        study = Study("test", journal=tmp_path / "study.journal")
        study.begin(made)
        study.adopt()
        began = time.monotonic()
        loop = Search(
            study=study,
            space=made,
            job=job,
            workers=1,
            began=began,
            deadline=began + seconds,
            logs=tmp_path / "logs",
            seeds=seeds,
        )
        with progress("tune", round(seconds), unit="s") as bar:
            loop.trials(at_most=trials, bar=bar)
            loop.other_seeds(bar=bar)
        return study, time.monotonic() - began

    return search
