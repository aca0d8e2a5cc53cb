"""What single steps share: stages of a run, folders that are left alone, and a standard output of their own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ctrsel.data.table import Table

QUICK = ("--set", "learners.boosted.rounds=10")


@pytest.mark.parametrize("command", ["ingest", "audit"])
def test_a_folder_of_other_things_is_not_replaced(ctrsel, here, command):
    mine = here / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years of work")
    for out in (mine, "."):
        said = ctrsel(command, "clicks.parquet", "-l", "click", "--ignore", "id", "--out", out, "-q")
        assert (said.code, said.err.count("\n")) == (2, 1), said.err
    assert (mine / "thesis.txt").read_text() == "years of work"
    assert (here / "clicks.csv").is_file()


def test_steps_share_the_stages_of_a_run(ctrsel, here, small_run):
    assert ctrsel("ingest", small_run, "-q").code == 0
    said = ctrsel("rank", "--config", small_run)
    assert said.code == 0
    assert "ingest  result=reused" in said.err.replace(",", "")
    assert (here / "runs" / "small" / "stages").is_dir()


def test_bare_data_leave_nothing_behind(ctrsel, here):
    before = {p.name for p in here.iterdir()}
    assert ctrsel("train", "clicks.parquet", "-l", "click", "--learner", "boosted", "-q", *QUICK).code == 0
    assert {p.name for p in here.iterdir()} == before


def test_logs_are_on_standard_error_as_json_if_wanted(ctrsel, here):
    said = ctrsel("ingest", "clicks.parquet", "-l", "click", "--json", "--log-json")
    assert isinstance(said.json, dict)
    lines = [json.loads(line) for line in said.err.splitlines()]
    assert {"time", "level", "event"} <= set(lines[0])
    assert ctrsel("ingest", "clicks.parquet", "-l", "click", "-q").err == ""


def test_library_prints_do_not_reach_standard_output(ctrsel, here, monkeypatch):
    from ctrsel.cli.work import Work

    def noisy(self):
        print("a library speaks")
        return Table.load(Path("table"))

    assert ctrsel("ingest", "clicks.parquet", "-l", "click", "--out", "table", "-q").code == 0
    monkeypatch.setattr(Work, "table", property(noisy))
    said = ctrsel("rank", "table", "--json", "-q")
    assert said.json["rankings"]
    assert "a library speaks" in said.err


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (
            ("--ignore", "ad"),
            "--ignore: tab is a saved table, whose columns, splits and values were settled by 'ctrsel ingest'",
        ),
        (("--label", "site"), "--label: tab is a saved table"),
        (("--min-count", "50"), "--min-count: tab is a saved table"),
        (("--rows", "100"), "--rows: tab is a saved table"),
        (("--set", "ingest.bins=3"), "--set ingest.bins: tab is a saved table"),
    ],
)
def test_what_a_saved_table_has_settled_is_not_said_again(ctrsel, here, flags, said):
    assert ctrsel("ingest", "clicks.parquet", "--label", "click", "--out", "tab").code == 0
    ended = ctrsel("rank", "tab", *flags)
    assert (ended.code, said in ended.err) == (2, True), ended.err
    assert ctrsel("rank", "tab", "--label", "click", "--seed", "4").code == 0


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ("ignore: [ad]", "data.store: tab: 'ad' is a field of it, but stands in schema.ignore"),
        ("fields: {ad: {sensitive: true}}", "schema.fields.ad.sensitive is False there, but the config says True"),
        ("fields: {hour: {bucket: none}}", "schema.fields.hour.bucket is "),
        ("ignore: [id]", ""),
        ("fields: {ad: {kind: categorical, sensitive: false}}", ""),
    ],
)
def test_a_config_that_says_otherwise_than_its_store_is_refused(ctrsel, here, schema, said):
    assert ctrsel("ingest", "clicks.parquet", "--label", "click", "--ignore", "id", "--out", "tab").code == 0
    Path("c.yaml").write_text(
        f"name: c\ndata: {{store: tab}}\nschema: {{label: {{name: click}}, {schema}}}\nlearners: {{boosted: {{use: boosted}}}}\n"
        "select: {learner: boosted}\nrank: [{use: mutual_information}]\n"
    )
    ended = ctrsel("rank", "c.yaml")
    assert ended.code == (2 if said else 0), ended.err
    assert said in ended.err
