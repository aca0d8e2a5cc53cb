"""The program as a whole: help, version, usage, what it loads and how long that takes."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest
import typer

from ctrsel.cli.app import app
from ctrsel.cli.failure import EXIT_CODES

COMMANDS = (
    "init",
    "run",
    "tune",
    "ingest",
    "audit",
    "rank",
    "train",
    "select",
    "explain",
    "progressive",
    "report",
    "predict",
    "score",
    "serve",
    "review",
    "compare",
    "promote",
    "rollback",
    "deliver",
    "list",
    "export",
    "diff",
    "explain-selection",
)
HEAVY = ("polars", "pandas", "torch", "lightgbm", "mlflow", "shap", "optuna", "sklearn", "numpy", "scipy")


def test_every_command_is_there():
    assert {c.name for c in app.registered_commands} == set(COMMANDS)


def test_help_names_commands_and_exit_codes(ctrsel):
    said = ctrsel("--help")
    assert said.code == 0
    text = " ".join(said.out.split())
    for command in COMMANDS:
        assert f" {command} " in text
    for code in EXIT_CODES:
        assert re.search(rf"\b{code} ", text)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_each_command_has_summary_examples_and_options(ctrsel, command):
    said = ctrsel(command, "--help")
    assert said.code == 0
    assert f"ctrsel {command}" in said.out
    assert "Examples:" in said.out
    assert "--json" in said.out
    assert "--quiet" in said.out
    assert "[bold]" not in said.out


def test_no_command_shows_help(ctrsel):
    assert "Usage: ctrsel" in ctrsel().out


def test_version(ctrsel):
    said = ctrsel("--version")
    assert (said.code, said.out) == (0, "ctrsel 0.1.0\n")


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("rnak",), ["rnak", "rank"]),
        (("rank", "x.csv", "--labell", "y"), ["--labell", "--label"]),
        (("rank", "x.csv", "--rows", "many"), ["many", "integer"]),
        (("predict", "model", "x.csv"), ["--out"]),
    ],
)
def test_wrong_usage_is_one_sentence_and_2(ctrsel, argv, words):
    said = ctrsel(*argv)
    assert said.code == 2
    assert said.out == ""
    assert said.err.startswith("error: ")
    assert said.err.count("\n") == 1
    for word in words:
        assert word in said.err


def test_wrong_usage_with_json_is_an_object(ctrsel):
    said = ctrsel("rank", "x.csv", "--wrong", "--json")
    assert said.json["exit_code"] == said.code == 2


def test_help_loads_nothing_heavy():
    code = (
        "import sys, json\n"
        "from ctrsel.cli import main\n"
        "main(['rank', '--help'])\n"
        f"print(json.dumps([m for m in {HEAVY!r} if m in sys.modules]), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stderr) == []


def test_entry_point_is_installed():
    done = subprocess.run(
        [sys.executable, "-c", "from ctrsel.cli import main; raise SystemExit(main())", "nonsense"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_usage_errors_have_the_class_we_catch():
    assert issubclass(typer.BadParameter, typer.BadParameter.__bases__[0])
    assert issubclass(typer.BadParameter.__bases__[0], Exception)
