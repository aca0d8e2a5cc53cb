"""A week of nights on seven days of a real table, read back with MLflow's own client."""

from __future__ import annotations

import datetime
import json
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from ctrsel.data.paths import dataset_files
from ctrsel.register.store import quiet_mlflow

pytestmark = [pytest.mark.slow, pytest.mark.system, pytest.mark.timeout(2400)]

MONDAY = datetime.date(2026, 3, 2)
ROWS = 3000  # a day
ROOT = Path(__file__).parents[2]
CONFIG = """
name: income
data: {store: store}
schema: {label: {name: label, positive: "1"}, time: day}
split: {use: hash, valid: 0.15, test: 0.3}
rank: [mutual_information]
learners:
  net: {use: net, width: 4, batch_size: 256, learning_rate: 0.005, embedding_l2: 1.0e-4, max_epochs: 4, threads: 1,
        backbone: {use: deepfm, hidden: [32]}}
select: {size: 0.5, selectors: [{use: ranking, ranking: mutual_information}], always_keep: [education]}
explain: {max_rows: 60, net_rows: 10, background: 4}
register:
  max_auc_loss: 0.05
  require_promotion: true
  check: {auc_margin: 0.05, latency_factor: 1000, min_calibration: 0.7, max_calibration: 1.4}
pipelines:
  ingest_daily: {source: "logs/{day}.parquet", first: 2026-03-02}
  score_batch: {source: "asked/{day}.parquet", out: "scores/{day}.parquet", keep: [id]}
  monitor: {days: 1, max_calibration: 2, min_calibration: 0.5, max_auc_loss: 0.1}
  metrics: metrics
"""


def date(i: int) -> str:
    return (MONDAY + datetime.timedelta(days=i)).isoformat()


class Site:
    """A folder with a config and a week of logs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "logs").mkdir()
        (folder / "asked").mkdir()
        (folder / "income.yaml").write_text(CONFIG)
        whole = pl.read_parquet(dataset_files("census_income")["train"]).drop("instance_weight").head(7 * ROWS)
        self.days = [whole.slice(ROWS * i, ROWS).with_columns(day=pl.lit(date(i))) for i in range(7)]

    def arrive(self, i: int, rows: pl.DataFrame | None = None) -> None:
        rows = self.days[i] if rows is None else rows
        rows.write_parquet(self.folder / "logs" / f"{date(i)}.parquet")
        self.days[i].drop("label", "day").head(200).with_row_index("id").write_parquet(
            self.folder / "asked" / f"{date(i)}.parquet"
        )

    def call(self, *words: str) -> tuple[int, str, str]:
        env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "2"}
        env.pop("MLFLOW_TRACKING_URI", None)
        done = subprocess.run(
            [sys.executable, "-m", *words], cwd=self.folder, env=env, capture_output=True, text=True, check=False
        )
        return done.returncode, done.stdout, done.stderr

    def night(self, i: int, *words: str) -> tuple[int, dict]:
        code, out, err = self.call("pipelines.nightly", "income.yaml", "--as-of", date(i), *words)
        assert all(json.loads(line)["event"] for line in err.splitlines() if line.startswith("{")), err[-2000:]
        result = json.loads(out)
        assert code == result["exit_code"], err[-4000:]
        assert code != 1, err[-6000:]
        return code, result


def test_a_week(tmp_path) -> None:
    site = Site(tmp_path)

    site.arrive(0)
    code, monday = site.night(0)
    assert code == 0, monday
    assert monday["parts"]["select_and_train"]["version"] == 1
    assert monday["parts"]["select_and_train"]["promoted"] is True
    assert monday["parts"]["monitor"] == {"watched": False}
    assert pl.read_parquet(tmp_path / "scores" / f"{date(0)}.parquet").columns[0] == "id"

    site.arrive(1)
    code, tuesday = site.night(1)
    assert code == 0, tuesday
    assert tuesday["parts"]["select_and_train"]["promoted"] is True, tuesday["parts"]["select_and_train"]["why_not"]
    assert tuesday["parts"]["monitor"]["version"] == 1
    assert tuesday["parts"]["monitor"]["rows"] == ROWS
    assert tuesday["parts"]["monitor"]["notes"] == () or tuesday["parts"]["monitor"]["notes"] == []

    # Wednesday's file is cut off: the day is set aside, nothing else changes, and no version is made of the same rows again.
    site.arrive(2)
    broken = tmp_path / "logs" / f"{date(2)}.parquet"
    broken.write_bytes(broken.read_bytes()[:20_000])
    code, wednesday = site.night(2)
    assert code == 3
    assert wednesday["parts"]["ingest_daily"]["newly_refused"] == [date(2)]
    assert date(2) in wednesday["error"]
    assert wednesday["parts"]["select_and_train"]["version"] == 2
    train = wednesday["parts"]["select_and_train"]
    assert train["reused_stages"] >= train["stages"] - 1  # all but what looks at the registry

    # It is mended on Thursday, whose night takes both days.
    site.arrive(2)
    site.arrive(3)
    code, thursday = site.night(3)
    assert thursday["parts"]["ingest_daily"]["added"] == {date(2): ROWS, date(3): ROWS}
    assert thursday["parts"]["ingest_daily"]["total_rows"] == 4 * ROWS
    assert code == 0, thursday
    assert thursday["parts"]["select_and_train"]["version"] == 3

    # On Friday a field says something else than ever before.
    site.arrive(4, site.days[4].with_columns(education=pl.lit("Doctorate degree(PhD EdD)")))
    code, friday = site.night(4)
    assert code == 6, friday
    assert "'education'" in friday["error"]
    assert friday["parts"]["monitor"]["alarms"] >= 1
    assert friday["parts"]["monitor"]["shift_by_field"]["education"] > 0.5
    champion = friday["parts"]["score_batch"]["version"]

    # On Saturday somebody has broken the training: the version is refused, the champion goes on.
    site.arrive(5)
    code, saturday = site.night(5, "--set", "learners.net.learning_rate=1e-7")
    assert code == 4
    refused = saturday["parts"]["select_and_train"]
    assert refused["promoted"] is False
    assert "FAILED" in refused["why_not"]
    assert saturday["parts"]["score_batch"]["version"] == champion

    site.arrive(6)
    code, sunday = site.night(6)
    better = sunday["parts"]["select_and_train"]
    assert better["promoted"] is True, better["why_not"]
    assert code == 0, sunday["error"]
    assert sunday["parts"]["score_batch"]["version"] == better["version"] == refused["version"] + 1
    assert sunday["parts"]["ingest_daily"]["total_rows"] == 7 * ROWS

    # The same night again changes nothing.
    again_code, again = site.night(6)
    assert again_code == 0
    assert again["parts"]["ingest_daily"]["rows"] == 0
    assert again["parts"]["select_and_train"]["version"] == better["version"]
    assert again["parts"]["score_batch"]["reused"] is True

    code, _, err = site.call(
        "ctrsel", "rollback", "income", "--store", "runs/income", "--reason", "complaints on Sunday"
    )
    assert code == 0, err
    code, ranked, err = site.call("pipelines.rank_weekly", "income.yaml", "--as-of", date(6))
    assert code == 0, err
    assert json.loads(ranked)["rankings"]["mutual_information"]["best"]
    read_back(tmp_path, champion=champion, better=better["version"], refused=refused["version"])
    prometheus(tmp_path, version=better["version"])


def read_back(folder: Path, *, champion: int, better: int, refused: int) -> None:
    from mlflow import MlflowClient

    uri = f"sqlite:///{folder / 'runs' / 'income' / 'mlflow.db'}"
    with quiet_mlflow(uri):  # its SQL brings warnings of its own
        client = MlflowClient(tracking_uri=uri, registry_uri=uri)
        versions = {int(v.version): v for v in client.search_model_versions("name='income'")}
        versions = {k: client.get_model_version("income", str(k)) for k in versions}
        aliases = {k: int(v) for k, v in client.get_registered_model("income").aliases.items()}
        runs = {k: client.get_run(v.run_id) for k, v in versions.items()}
        watched = client.get_metric_history(versions[champion].run_id, "monitor/auc")
    assert sorted(versions) == list(range(1, better + 1))
    assert aliases == {"champion": champion, "challenger": better}
    assert versions[refused].tags["check_verdict"] == "failed"
    assert versions[better].tags["check_verdict"] == "passed"
    for number, version in versions.items():
        assert runs[number].info.status == "FINISHED"
        assert len(version.description) <= 4500
        assert json.loads(version.tags["promotion"])["candidate"] == number
    # Friday's champion was watched on Saturday, on its own page.
    assert (MONDAY + datetime.timedelta(days=5) - datetime.date(1970, 1, 1)).days in [m.step for m in watched]
    log = _log(folder)
    assert [e["decision"] for e in log][-2:] == ["promoted", "rollback"]
    assert log[-1]["why"] == ["complaints on Sunday"]
    assert (log[-1]["from"], log[-1]["to"]) == (better, champion)


def _log(folder: Path) -> list[dict]:
    from ctrsel.register.promotion import promotion_log
    from ctrsel.register.versions import open_store

    config, out = open_store(folder / "runs" / "income")
    return promotion_log("income", config=config, out=out)


def prometheus(folder: Path, *, version: int) -> None:
    from prometheus_client.parser import text_string_to_metric_families

    text = (folder / "metrics" / "ctrsel_income_nightly.prom").read_text()
    found = {s.name: s.value for family in text_string_to_metric_families(text) for s in family.samples}
    assert found["ctrsel_job_exit_code"] == 0
    assert found["ctrsel_select_and_train_version"] == version
    assert found["ctrsel_ingest_daily_total_rows"] == 7 * ROWS
    assert found["ctrsel_monitor_auc"] > 0.8
