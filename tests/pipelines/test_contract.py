"""What every pipeline keeps, found by itself: short, over public functions, one JSON object, exit codes, help."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import json
import re
from pathlib import Path

import pytest

import pipelines
from ctrsel.cli.unattended import main

FOLDER = Path(pipelines.__file__).parent
FILES = sorted(f for f in FOLDER.glob("*.py") if f.stem != "__init__")
FLOWS = [f.stem for f in FILES if not f.stem.startswith("prefect_")]
CONFIG = """
name: clicks
data: {store: store}
schema: {label: {name: click}}
"""


@pytest.fixture
def site(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / "clicks.yaml").write_text(CONFIG)
    return tmp_path


def flow(name):
    return getattr(importlib.import_module(f"pipelines.{name}"), name)


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.stem)
def test_short_and_over_public_functions(file):
    text = file.read_text()
    assert len(text.splitlines()) <= 60
    tree = ast.parse(text)
    assert ast.get_docstring(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert not [n.name for n in node.names if n.name.startswith("_")]
        if isinstance(node, ast.Attribute):
            assert not node.attr.startswith("_") or node.attr == "__name__"


@pytest.mark.parametrize("name", FLOWS)
def test_says_what_it_is(name, capsys):
    with pytest.raises(SystemExit) as stop:
        main(flow(name), ["--help"])
    assert stop.value.code == 0
    said = capsys.readouterr().out
    assert f"python -m pipelines.{name}" in said
    for word in ("--as-of", "--resume", "--wait", "--metrics", "exit codes:\n  0    done"):
        assert word in said
    cron = re.search(rf"-m pipelines\.{name} \S+\.yaml", (FOLDER / f"{name}.py").read_text())
    assert cron, "the docstring shows its crontab line"


@pytest.mark.parametrize("name", FLOWS)
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nobody.yaml"], "nobody.yaml: no such config file"),
        (["clicks.yaml", "--as-of", "soon"], "--as-of: must be a date such as 2026-01-31, got 'soon'"),
        (["clicks.yaml", "--wait", "-1"], "--wait: must be at least 0 seconds, got -1"),
        (["clicks.yaml", "--set", "pipelines.monitor.day=1"], "unknown key 'day'; did you mean 'days'"),
    ],
)
def test_wrong_usage_is_one_sentence(site, capsys, name, words, message):
    assert main(flow(name), words) == 2
    told = json.loads(capsys.readouterr().out)
    assert told["pipeline"] == name
    assert told["exit_code"] == 2
    assert message in told["error"]
    assert not (site / "store").exists()


@pytest.mark.parametrize("name", FLOWS)
def test_nothing_is_resumed_where_nothing_was_cut_off(site, capsys, name):
    assert main(flow(name), ["clicks.yaml", "--resume"]) == 0
    assert json.loads(capsys.readouterr().out) == {"pipeline": name, "resumed": False, "exit_code": 0}


@pytest.mark.parametrize(
    ("name", "code", "message"),
    [
        ("ingest_daily", 2, "pipelines.ingest_daily: name the source of each day's rows and the first day"),
        ("score_batch", 2, "pipelines.score_batch: name the source of each day's rows and where the scores go"),
        ("promote", 2, "clicks"),
        ("monitor", 0, None),
    ],
)
def test_what_the_config_lacks_is_said_with_metrics(site, capsys, name, code, message):
    assert main(flow(name), ["clicks.yaml", "--metrics", "metrics", "--as-of", "2026-01-31"]) == code
    out = capsys.readouterr()
    told = json.loads(out.out)
    assert told["as_of"] == "2026-01-31"
    assert message is None or message in told["error"]
    assert all(json.loads(line)["event"] for line in out.err.splitlines())
    text = (site / "metrics" / f"ctrsel_clicks_{name}.prom").read_text()
    assert f'ctrsel_job_exit_code{{model="clicks",pipeline="{name}"}} {float(code)}' in text


def test_a_defect_is_told_as_such(site, capsys):
    def broken(job):
        raise ZeroDivisionError("a bug")

    assert main(broken, ["clicks.yaml"]) == 1
    out = capsys.readouterr()
    assert "a defect of ctrsel" in json.loads(out.out)["error"]
    assert "ZeroDivisionError" in [json.loads(line) for line in out.err.splitlines()][-1]["error"]


def test_prefect_is_asked_for_by_name():
    if importlib.util.find_spec("prefect") is not None:
        pytest.skip("prefect is installed here")
    with pytest.raises(ModuleNotFoundError, match="prefect"):
        importlib.import_module("pipelines.prefect_flows")
