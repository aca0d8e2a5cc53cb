"""All tables for people that the commands write of a hostile table: no cell of them is a formula to a spreadsheet."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ctrsel.cli.comparing import read_saved

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
HOSTILE = ["=cmd()|' /C calc'!A0", "@SUM(A1)", "+1+1", "-2+3|x", "\t=1+1", "\r=1+1", "a;=1+1"]
NAMES = ["=site|' /C calc'!A0", "@ad", "+hour", "-day"]
CONFIG = """
name: small
data: {train: hostile.parquet}
schema: {label: {name: click}}
split: {use: hash}
rank: [{use: mutual_information}, {use: value_log_odds}]
learners:
  "=boosted": {use: boosted, rounds: 10}
  "@net": {use: net, batch_size: 64, max_epochs: 2, width: 4, backbone: {use: deepfm, hidden: [8]}}
select: {learner: "@net", size: 0.6, selectors: [{use: ranking, ranking: mutual_information}]}
explain: {max_rows: 50, net_rows: 10, background: 4}
"""


def formulas(folder):
    """Return the tables below a folder, and the cells that a spreadsheet would compute."""
    files = [p for p in folder.rglob("*") if p.suffix in (".csv", ".tsv")]
    found = []
    for path in files:
        separator = "\t" if path.suffix == ".tsv" else ","
        with path.open(newline="", encoding="utf-8") as file:
            cells = [c for row in csv.reader(file, delimiter=separator) for c in row]
        found += [(path, c) for c in cells if c.startswith(tuple("=+-@\t\r\n")) and not NUMBER.fullmatch(c)]
    return {p.name for p in files}, found


@pytest.fixture
def hostile(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    rng = np.random.default_rng(5)
    codes = {name: rng.integers(0, len(HOSTILE), 1200) for name in NAMES}
    score = sum(np.linspace(-1.5, 1.5, len(HOSTILE))[c] for c in codes.values())
    frame = pl.DataFrame({name: [HOSTILE[i] for i in c] for name, c in codes.items()})
    frame = frame.with_columns(click=(rng.random(1200) < 1 / (1 + np.exp(-score))).astype(np.int8))
    frame.write_parquet("hostile.parquet")
    (tmp_path / "small.yaml").write_text(CONFIG)
    return tmp_path


def test_rankings_as_files_and_as_they_are_read_again(ctrsel, hostile):
    (hostile / "out").mkdir()
    both = ("--by", "mutual_information", "--by", "value_log_odds")
    for by, out in ((both, "both.csv"), (both[:2], "one.tsv")):
        said = ctrsel("rank", "hostile.parquet", "--label", "click", *by, "--out", f"out/{out}", "-q")
        assert said.code == 0, said.err
    assert formulas(hostile / "out") == ({"both.csv", "one.tsv"}, [])
    assert sorted(pl.read_csv("out/one.tsv", separator="\t")["field"]) == sorted("'" + n for n in NAMES)
    again = read_saved([Path("out/one.tsv"), Path("out/both.csv")])
    assert [sorted(set(r.frame["field"])) for r in again.values()] == [sorted(NAMES)] * 3
    assert set(again["out/both.csv (value_log_odds)"].frame["value"].drop_nulls()) >= set(HOSTILE)


def test_a_run_a_selection_and_a_registered_version(ctrsel, hostile):
    said = ctrsel("run", "small.yaml", "-q")
    assert said.code == 0, said.err
    assert ctrsel("select", "small.yaml", "--out", "chosen", "-q").code == 0
    names, found = formulas(hostile)
    assert found == []
    assert names == {"fields.csv", "contenders.csv"}
    contenders = next(hostile.rglob("contenders.csv"))
    assert "'@net" in contenders.read_text()
    fields = pl.read_csv(hostile / "runs/small/account/fields.csv")
    assert sorted(fields["name"]) == sorted("'" + n for n in NAMES)
    # What programs read holds the texts themselves.
    said = ctrsel("score", "runs/small/model", "hostile.parquet", "--keep", "@ad", "--out", "scores.csv", "-q")
    assert said.code == 0, said.err
    assert pl.read_csv("scores.csv")["@ad"].equals(pl.read_parquet("hostile.parquet")["@ad"])
    assert ctrsel("export", "runs/small", "--to", "columns", "--out", "kept.csv", "-q").code == 0
    assert set(pl.read_csv("kept.csv")["field"]) <= set(NAMES)
