"""The nightly flow: arguments, folders by day, exit codes."""

from __future__ import annotations

import datetime
import json
import os

import pytest

import pipelines.nightly as module
from ctrsel.testing.tables import tiny_frame

CONFIG = """
name: night
data: {train: "logs/$DAY.parquet"}
schema: {label: {name: click}, ignore: [id]}
rank: [{use: mutual_information}]
learners:
  boosted: {use: boosted, rounds: 10}
  net: {use: net, batch_size: 32, max_epochs: 1, width: 4, backbone: {use: deepfm, hidden: [8]}}
select: {size: 0.8, selectors: [{use: gated, gate: {use: optfs, epochs: 3}}]}
explain: {max_rows: 40, net_rows: 8, background: 4}
register: {enabled: false, max_auc_loss: 1}
"""


@pytest.fixture
def calls(monkeypatch):
    seen = []
    monkeypatch.setattr(module, "ctrsel", lambda argv: seen.append(argv) or 0)
    monkeypatch.setenv("DAY", "before")
    return seen


def test_without_a_day(calls):
    assert module.main(["a.yaml"]) == 0
    assert calls == [["run", "a.yaml", "--json", "--log-json", "--set", "register.require_promotion=true"]]
    assert os.environ["DAY"] == "before"


def test_each_day_has_a_folder(calls):
    module.nightly("configs/clicks.yaml", day=datetime.date(2026, 1, 31))
    assert calls[0][-2:] == ["--out", "runs/clicks/2026-01-31"]
    assert os.environ["DAY"] == "2026-01-31"
    module.main(["a.yaml", "--day", "2026-02-01", "--out", "/srv/runs"])
    assert calls[1][-2:] == ["--out", "/srv/runs/2026-02-01"]


def test_names_of_days(calls):
    today = datetime.datetime.now(tz=datetime.UTC).date()
    module.main(["a.yaml", "--day", "yesterday"])
    assert calls[0][-1] == f"runs/a/{today - datetime.timedelta(days=1)}"


def test_bad_day_is_wrong_usage(calls):
    with pytest.raises(SystemExit) as stop:
        module.main(["a.yaml", "--day", "someday"])
    assert stop.value.code == 2
    assert calls == []


def test_missing_config_is_2(capsys):
    assert module.main(["nothing.yaml"]) == 2
    assert json.loads(capsys.readouterr().out)["exit_code"] == 2


@pytest.mark.slow
def test_a_night(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DAY", "")
    (tmp_path / "logs").mkdir()
    tiny_frame(rows=1500).write_parquet("logs/2026-01-31.parquet")
    (tmp_path / "night.yaml").write_text(CONFIG)
    code = module.main(["night.yaml", "--day", "2026-01-31"])
    said = capsys.readouterr()
    found = json.loads(said.out)
    assert code == (0 if found["verdict"]["promoted"] else 4)
    assert (tmp_path / "runs/night/2026-01-31/report.html").is_file()
    assert module.main(["night.yaml", "--day", "2026-02-01"]) == 3
    assert "2026-02-01.parquet" in capsys.readouterr().out
