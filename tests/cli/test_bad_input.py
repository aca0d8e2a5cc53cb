"""Each bad input ends with 2 or 3 and one sentence with file, column, row or key, rule and value, and leaves nothing."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest


def files(folder: Path) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*")}


def check(said, code: int, *words: str) -> None:
    assert said.code == code, said.err
    assert said.out == ""
    lines = [line for line in said.err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, said.err
    assert "Traceback" not in said.err
    for word in words:
        assert word in lines[0]


@pytest.mark.parametrize("command", ["ingest", "audit", "rank", "train", "select", "explain"])
def test_missing_file(ctrsel, here, command):
    before = files(here)
    check(ctrsel(command, "nothing.csv", "--label", "click", "-q"), 3, "nothing.csv", "no such file")
    assert files(here) == before


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", ["the file is empty"]),
        (b"click,ad\n", ["no rows"]),
        (b"click,ad\n1,a\n0\n", ["line 3", "2 cells", "1"]),
        (b"click,ad\n1,a\n0,b,c\n", ["line 3", "2 cells", "3"]),
        (b"click,ad\n1,a\n0,caf\xe9\n", ["line 3", "UTF-8", "0xe9"]),
        (b"click,ad,ad\n1,a,a\n0,b,b\n", ["'ad'", "twice"]),
    ],
    ids=["empty", "header", "short", "long", "encoding", "twice"],
)
def test_bad_text_files(ctrsel, here, content, words):
    (here / "bad.csv").write_bytes(content)
    before = files(here)
    check(ctrsel("ingest", "bad.csv", "--label", "click", "--out", "table", "-q"), 3, "bad.csv", *words)
    assert files(here) == before


def test_damaged_parquet(ctrsel, here):
    (here / "bad.parquet").write_bytes((here / "clicks.parquet").read_bytes()[:500])
    check(ctrsel("rank", "bad.parquet", "--label", "click", "-q"), 3, "bad.parquet", "parquet")


def test_no_label_column(ctrsel, here):
    check(ctrsel("rank", "clicks.csv", "--label", "clck", "-q"), 2, "clck", "'click'")


def test_label_not_named(ctrsel, here):
    check(ctrsel("rank", "clicks.csv", "-q"), 2, "clicks.csv", "--label")


@pytest.mark.parametrize(("values", "words"), [([0, 1, 2], ["3", "two values"]), ([1, 1, 1], ["1", "two values"])])
def test_label_of_other_than_two_values(ctrsel, here, values, words):
    pl.DataFrame({"click": values * 30, "ad": ["a", "b", "c"] * 30}).write_parquet("odd.parquet")
    check(ctrsel("train", "odd.parquet", "--label", "click", "--out", "m", "-q"), 3, "'click'", *words)
    assert not (here / "m").exists()


def test_label_missing_in_a_row(ctrsel, here):
    pl.DataFrame({"click": [0, 1, None] * 30, "ad": ["a", "b", "c"] * 30}).write_parquet("odd.parquet")
    check(ctrsel("rank", "odd.parquet", "--label", "click", "-q"), 3, "'click'", "row 3")


def test_positive_value_unclear(ctrsel, here):
    pl.DataFrame({"y": ["hot", "cold"] * 50, "ad": ["a", "b"] * 50}).write_parquet("odd.parquet")
    check(ctrsel("rank", "odd.parquet", "--label", "y", "-q"), 2, "positive", "'hot'", "'cold'")
    assert ctrsel("rank", "odd.parquet", "--label", "y", "--positive", "hot", "-q").code == 0


def test_column_type_changes_between_shards(ctrsel, here):
    pl.DataFrame({"click": [0, 1] * 50, "ad": list(range(100))}).write_parquet("day-1.parquet")
    pl.DataFrame({"click": ["0", "1"] * 50, "ad": ["x"] * 100}).write_parquet("day-2.parquet")
    assert ctrsel("rank", "day-*.parquet", "--label", "click", "-q").code == 0  # one text form reads both
    pl.DataFrame({"click": [0, 1] * 50, "ad": [["x"]] * 100}).write_parquet("day-2.parquet")
    check(ctrsel("rank", "day-*.parquet", "--label", "click", "-q"), 3, "day-2.parquet", "'ad'", "must hold lists")


def test_column_missing_in_a_shard(ctrsel, here):
    pl.DataFrame({"click": [0, 1] * 50, "ad": ["x"] * 100}).write_parquet("day-1.parquet")
    pl.DataFrame({"click": [0, 1] * 50}).write_parquet("day-2.parquet")
    check(ctrsel("rank", "day-*.parquet", "--label", "click", "-q"), 3, "day-2.parquet", "'ad'")


@pytest.mark.parametrize(
    ("yaml", "words"),
    [
        ("name: a\ndata: {trian: clicks.csv}\nschema: {label: {name: click}}", ["'trian'", "'train'"]),
        ("name: a\ndata: {train: clicks.csv}\nschema: {label: {name: click}}\nsede: 1", ["'sede'", "'seed'"]),
        (
            "name: a\ndata: {train: clicks.csv}\nschema: {label: {name: click}}\nlearners: {net: {use: net, widht: 3}}",
            ["learners.net", "'widht'", "'width'"],
        ),
        (
            "name: a\ndata: {train: clicks.csv}\nschema: {label: {name: click}}\nrank: [{use: mutual_informatoin}]",
            ["rank[0]", "'mutual_information'"],
        ),
        ("name: a\ndata: {train: clicks.csv}\nschema: {label: {name: click}}\nseed: soon", ["seed", "'soon'"]),
        ("name: a\ndata: {train: clicks.csv}", ["'schema'", "required"]),
        ("name: [", ["not valid YAML"]),
        ("- a", ["keys and values"]),
    ],
    ids=["data", "top", "parameter", "component", "type", "absent", "yaml", "list"],
)
@pytest.mark.parametrize("how", [(), ("--dry-run",)])
def test_bad_config(ctrsel, here, yaml, words, how):
    (here / "bad.yaml").write_text(yaml)
    before = files(here)
    check(ctrsel("run", "bad.yaml", "-q", *how), 2, *words)
    assert files(here) == before


def test_missing_config(ctrsel, here):
    check(ctrsel("run", "no.yaml"), 2, "no.yaml", "no such config")


def test_bad_settings(ctrsel, small_run):
    check(ctrsel("run", small_run, "--set", "seed"), 2, "--set", "'seed'")
    check(ctrsel("run", small_run, "--set", "select.sise=0.3"), 2, "'sise'", "'size'")
    check(ctrsel("run", small_run, "--set", "select.size=3"), 2, "select.size", "3")
    check(ctrsel("run", small_run, "--set", "rank.7.use=x"), 2, "rank.7.use", "'7'")


def test_unset_variable_in_a_path(ctrsel, here, monkeypatch):
    monkeypatch.delenv("CTRSEL_NOWHERE", raising=False)
    check(ctrsel("rank", "$CTRSEL_NOWHERE/a.csv", "--label", "click", "-q"), 2, "CTRSEL_NOWHERE", "not set")


def test_leak_stops_until_it_is_accepted(ctrsel, here, clicks):
    leaky = clicks.with_columns((pl.col("click") * 10 + 1).alias("revenue"))
    leaky.write_parquet("leaky.parquet")
    check(ctrsel("train", "leaky.parquet", "-l", "click", "--learner", "boosted", "-q"), 3, "'revenue'")
    said = ctrsel("audit", "leaky.parquet", "-l", "click", "-q", "--json")
    assert said.code == 3
    assert said.json["stops"] == 1
    assert said.json["exit_code"] == 3
    assert ctrsel("audit", "leaky.parquet", "-l", "click", "-q", "--accept", "revenue").code == 0


def test_bad_output_name_is_refused_before_any_work(ctrsel, here):
    check(ctrsel("rank", "nothing.csv", "-l", "click", "--out", "ranking.xls"), 2, "ranking.xls", ".parquet")


def test_both_or_neither_source(ctrsel, small_run):
    check(ctrsel("rank", "--label", "click"), 2, "neither")
    check(ctrsel("rank", "clicks.csv", "--config", small_run), 2, "both")


def test_model_folder_that_is_none(ctrsel, here):
    check(ctrsel("predict", ".", "clicks.csv", "--out", "s.csv"), 3, "manifest.json")
    assert not (here / "s.csv").exists()


def test_run_folder_that_is_none(ctrsel, here):
    check(ctrsel("report", "."), 3, "manifest.json")


def test_error_with_json_is_one_object(ctrsel, here):
    said = ctrsel("rank", "nothing.csv", "--label", "click", "--json")
    assert said.json == {"error": "nothing.csv: no such file", "exit_code": 3}
    assert said.code == 3
