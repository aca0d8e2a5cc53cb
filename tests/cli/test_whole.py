"""`ctrsel init` and the dry run of `ctrsel run`: a config that loads, and an estimate that writes nothing."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize("flag", ["-o", "--out"])
def test_init_writes_a_config_that_loads(ctrsel, here, flag):
    from ctrsel.core.config import load_config

    assert ctrsel("init", "clicks.csv", "--label", "click").code == 0
    assert load_config(here / "clicks.yaml").schema.label.name == "click"
    said = ctrsel("init", "clicks.csv", "--label", "click")
    assert said.code == 2
    assert "--force" in said.err
    assert ctrsel("init", "clicks.csv", "--label", "click", "--force").code == 0
    said = ctrsel("init", "clicks.csv", "--label", "click", flag, "-")
    assert said.out == (here / "clicks.yaml").read_text()


def test_init_on_bad_data(ctrsel, here):
    assert ctrsel("init", "no.csv", "--label", "click").code == 3
    assert ctrsel("init", "clicks.csv", "--label", "clik").code == 2
    assert {p.name for p in here.iterdir()} == {"clicks.csv", "clicks.parquet"}


def test_dry_run_writes_nothing(ctrsel, here, small_run):
    before = {p.name for p in here.iterdir()}
    said = ctrsel("run", small_run, "--dry-run")
    assert said.code == 0, said.err
    for word in ("train/net", "retrain/random", "in all", "embedding_rows", "1,200 train"):
        assert word in said.out
    found = ctrsel("run", small_run, "--dry-run", "--json", "-q").json
    assert found["rows"] == {"train": 1200, "valid": 150, "test": 150}
    assert found["seconds"] == pytest.approx(sum(s["seconds"] for s in found["stages"]))
    assert {p.name for p in here.iterdir()} == before
