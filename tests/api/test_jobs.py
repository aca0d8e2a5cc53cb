"""Jobs: lock, journal, resuming, tries again, metrics."""

from __future__ import annotations

import datetime
import json
import time
from dataclasses import replace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from ctrsel.api.jobs import Job, Journal, at_work, metrics_text, read_journal, write_metrics
from ctrsel.core.config import DataConfig, LabelConfig, RunConfig, SchemaConfig
from ctrsel.core.errors import ConfigError, UnreachableError
from ctrsel.core.pipelines_config import PipelinesConfig

DAY = datetime.date(2026, 1, 31)


@pytest.fixture
def config(tmp_path):
    return RunConfig(
        name="clicks",
        data=DataConfig(),
        schema=SchemaConfig(label=LabelConfig(name="click")),
        out=str(tmp_path / "run"),
    )


def test_yesterday_is_the_day_that_nobody_names(config) -> None:
    with at_work("ingest_daily", config) as course:
        assert course.job.as_of == datetime.datetime.now(tz=datetime.UTC).date() - datetime.timedelta(days=1)
        assert not course.job.backfill
    with at_work("ingest_daily", config, as_of=DAY) as course:
        assert (course.job.as_of, course.job.backfill) == (DAY, True)


def test_work_under_one_lock_does_not_overlap(config) -> None:
    with at_work("ingest_daily", config, lock="store"):
        told = pytest.raises(ConfigError, match=r"a job of 'clicks' is at work .* --wait SECONDS")
        with told, at_work("select_and_train", config, lock="store"):
            pass
        with at_work("score_batch", config) as other:
            assert other is not None
    with at_work("select_and_train", config, lock="store") as course:
        assert course is not None


def test_the_journal_says_how_it_ended(config, tmp_path) -> None:
    file = tmp_path / "run" / "jobs" / "monitor.json"
    with at_work("monitor", config, as_of=DAY) as course:
        assert read_journal(file).ended is None
        course.exit_code = 0
    first = read_journal(file)
    assert (first.as_of, first.exit_code, first.succeeded) == ("2026-01-31", 0, first.ended)
    with pytest.raises(ValueError, match="broken"), at_work("monitor", config, as_of=DAY):
        raise ValueError("broken")
    second = read_journal(file)
    assert second.exit_code == 1
    assert second.succeeded == first.succeeded
    file.write_text("{")
    assert read_journal(file) is None


def test_only_what_was_cut_off_is_resumed(config, tmp_path) -> None:
    with at_work("monitor", config, resume=True) as course:
        assert course is None
    with at_work("monitor", config, as_of=DAY) as course:
        course.exit_code = 0
    with at_work("monitor", config, resume=True) as course:
        assert course is None
    file = tmp_path / "run" / "jobs" / "monitor.json"
    cut_off = replace(read_journal(file), ended=None, exit_code=None)
    file.write_text(json.dumps({k: getattr(cut_off, k) for k in Journal.__dataclass_fields__}))
    with at_work("monitor", config, resume=True) as course:
        assert (course.job.as_of, course.job.backfill) == (DAY, True)
        course.exit_code = UnreachableError.exit_code
    with at_work("monitor", config, resume=True) as course:
        assert course.job.as_of == DAY
        course.exit_code = 3
    with at_work("monitor", config, resume=True) as course:  # a refused day is not mended by doing it again
        assert course is None


def test_what_cannot_be_reached_is_tried_again(config, monkeypatch) -> None:
    waits = []
    monkeypatch.setattr(time, "sleep", waits.append)
    job = Job(name="monitor", config=config, as_of=DAY, backfill=False, out=None)
    tries = []

    def work() -> int:
        tries.append(1)
        if len(tries) < 3:
            raise UnreachableError("http://mlflow:5000: connection refused")
        return len(tries)

    assert job.attempt(work) == 3
    assert 2 <= waits[0] <= 3 < waits[1] <= 5.1  # doubling, with up to a second of jitter
    never = replace(job, config=replace(config, pipelines=PipelinesConfig(retries=1)))
    calls = []

    def away() -> None:
        calls.append(1)
        raise UnreachableError("gone")

    with pytest.raises(UnreachableError, match="gone"):
        never.attempt(away)
    assert len(calls) == 2
    with pytest.raises(ConfigError):
        job.attempt(lambda: (_ for _ in ()).throw(ConfigError("wrong")))


def test_metrics_are_what_prometheus_reads(tmp_path) -> None:
    journal = Journal(as_of="2026-01-31", backfill=False, started=10.0, ended=12.5, exit_code=3, succeeded=5.0)
    result = {
        "rows": 120,
        "promoted": True,
        "why": 'a "quoted" reason',
        "missing": {"2026-01-30": "no file"},
        "shift_by_field": {'odd "field"\n': 0.5, "ad": None},
        "parts": {"monitor": {"auc": 0.75}},
    }
    text = metrics_text(pipeline="nightly", model='cl"icks', journal=journal, result=result)
    found = {s.name: s for family in text_string_to_metric_families(text) for s in family.samples}
    assert {name: s.value for name, s in found.items()} == {
        "ctrsel_job_exit_code": 3,
        "ctrsel_job_seconds": 2.5,
        "ctrsel_job_ended_timestamp_seconds": 12.5,
        "ctrsel_job_as_of_timestamp_seconds": 1769817600,
        "ctrsel_job_succeeded_timestamp_seconds": 5,
        "ctrsel_nightly_rows": 120,
        "ctrsel_nightly_promoted": 1,
        "ctrsel_nightly_shift_by_field": 0.5,
        "ctrsel_monitor_auc": 0.75,
    }
    assert found["ctrsel_nightly_rows"].labels == {"model": 'cl"icks'}
    assert found["ctrsel_nightly_shift_by_field"].labels["field"] == 'odd "field"\n'
    file = write_metrics(tmp_path / "new", pipeline="nightly", model="a b/c", journal=journal, result=result)
    assert file.name == "ctrsel_a_b_c_nightly.prom"
    assert [p.name for p in file.parent.iterdir()] == [file.name]
