"""`ctrsel progressive`: a table on the terminal, one object as JSON, and finished days that are not done again."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

CONFIG = """
name: days
data: {train: days.csv}
schema: {label: {name: click}, time: day}
learners: {trees: {use: boosted, rounds: 5}}
select: {learner: trees}
"""


@pytest.fixture
def days(here):
    rng = np.random.default_rng(0)
    ad, n = rng.integers(0, 6, 600), 600
    click = (rng.random(n) < 0.2 + 0.1 * ad).astype(int)
    pl.DataFrame({"day": np.arange(n) // 200, "ad": [f"a{i}" for i in ad], "click": click}).write_csv("days.csv")
    (here / "days.yaml").write_text(CONFIG)
    return here / "days.yaml"


def test_a_table_and_the_same_again_as_json(ctrsel, days):
    shown = ctrsel("progressive", days, "-q")
    assert shown.code == 0, shown.err
    lines = shown.out.splitlines()
    assert lines[0].split()[:3] == ["day", "train", "test"]
    assert [line.split()[0] for line in lines[1:]] == ["1", "2", "mean"]
    found = ctrsel("progressive", days, "--json")
    assert found.err.count("reused") == 3  # the rows and two days
    assert [d["day"] for d in found.json["days"]] == ["1", "2"]
    assert found.json["mean"]["auc"]["value"] > 0.55
    last = ctrsel("progressive", days, "--json", "--days", "1", "--window", "1", "-q").json
    assert [d["rows"]["train"] for d in last["days"]] == [180]


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--warm"], "cannot go on from a model"),
        (["--by", "1d"], "a number in the time column's own unit"),
        (["--learner", "nets"], "unknown learner 'nets'"),
        (["--set", "data.valid=days.csv"], "data.valid: days divide the rows here"),
        (["--set", "schema.time=null"], "schema.time: name the column of time"),
        (["--set", "crosses={top: 3}"], "crosses.top"),
    ],
)
def test_what_cannot_be_ends_with_a_sentence(ctrsel, days, flags, sentence):
    ended = ctrsel("progressive", days, "-q", *flags)
    assert ended.code == 2, ended.err
    assert sentence in ended.err
