"""The first config: it loads, it says what was seen, it decides nothing that it cannot know."""

from __future__ import annotations

import polars as pl
import pytest

from ctrsel.api.plan import plan
from ctrsel.api.sample import sample_source
from ctrsel.api.starter import starter_config
from ctrsel.core.config import load_config
from ctrsel.core.errors import ConfigError, DataError
from ctrsel.data.ingest import ingest
from ctrsel.testing.tables import sequence_frame, tiny_frame


def load(tmp_path, text):
    path = tmp_path / "starter.yaml"
    path.write_text(text)
    return load_config(path)


def line(text: str, key: str) -> str:
    return next(x for x in text.splitlines() if x.strip().startswith(f"{key}:"))


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_loads_plans_and_ingests(tmp_path, suffix):
    path = tmp_path / f"clicks.{suffix}"
    frame = tiny_frame(rows=2000)
    frame.write_csv(path) if suffix == "csv" else frame.write_parquet(path)
    config = load(tmp_path, starter_config(str(path), "click"))
    assert config.name == "clicks"
    assert plan(config).learner is not None
    table = ingest(config.data, schema=config.schema, split=config.split, settings=config.ingest, seed=config.seed)
    assert {f.name: f.kind for f in table.schema.fields} == {
        "site": "categorical",
        "ad": "categorical",
        "noise": "categorical",
        "id": "categorical",
        "hour": "numeric",
        "load": "numeric",
    }


def test_facts_are_in_comments(tmp_path):
    path = tmp_path / "clicks.parquet"
    frame = tiny_frame(rows=2000)
    frame.write_parquet(path)
    text = starter_config(str(path), "click")
    missing = frame["site"].null_count() / 2000
    assert f"4 distinct values, {missing:.1%} missing" in line(text, "site")
    assert "12 distinct values, none missing" in line(text, "ad")
    after = text.splitlines()[text.splitlines().index(line(text, "id")) + 1]
    assert "sensitive: true" in after
    assert after.strip().startswith("#")
    assert f"{frame['click'].mean():.2%}" in text


def test_roles_are_suggested_in_comments_only(tmp_path):
    n = 400
    frame = pl.DataFrame(
        {
            "y": [0, 1] * (n // 2),
            "event_time": list(range(n)),
            "user_id": [f"u{i % 40}" for i in range(n)],
            "row_weight": [1.0, 2.0] * (n // 2),
            "same": ["x"] * n,
        }
    )
    frame.write_parquet(tmp_path / "log.parquet")
    text = starter_config(str(tmp_path / "log.parquet"), "y")
    for role, column in (("time", "event_time"), ("group", "user_id"), ("weight", "row_weight")):
        assert any(x.startswith(f"  # {role}: {column}") for x in text.splitlines())
    config = load(tmp_path, text)
    assert (config.schema.time, config.schema.group, config.schema.weight) == (None, None, None)
    assert "constant" in text


def test_lists(tmp_path):
    sequence_frame(rows=300).write_parquet(tmp_path / "seq.parquet")
    text = starter_config(str(tmp_path / "seq.parquet"), "click")
    assert "kind: multivalued" in line(text, "history")
    assert "vocabulary: item" in text
    assert load(tmp_path, text).schema.fields["history"].kind == "multivalued"


def test_awkward_names_survive(tmp_path):
    names = ["no", "a: b", "x#y", "ünï", "1", 'say "hi"', "null", "- dash"]
    frame = pl.DataFrame({"click": [0, 1] * 50, **{n: ["a", "b"] * 50 for n in names}})
    path = tmp_path / "odd name: #1.parquet"
    frame.write_parquet(path)
    config = load(tmp_path, starter_config(str(path), "click"))
    assert list(config.schema.fields) == names
    assert config.data.train == str(path)


def test_positive_and_files(tmp_path):
    frame = pl.DataFrame({"y": ["hot", "cold"] * 50, "ad": ["a", "b"] * 50})
    frame.write_csv(tmp_path / "a.csv")
    with pytest.raises(ConfigError, match="positive"):
        starter_config(str(tmp_path / "a.csv"), "y")
    config = load(tmp_path, starter_config(str(tmp_path / "a.csv"), "y", positive="hot", valid="v.csv", test="t.csv"))
    assert config.schema.label.positive == "hot"
    assert (config.data.valid, config.data.test) == ("v.csv", "t.csv")


def test_rows_sorted_by_label(tmp_path, monkeypatch):
    frame = pl.DataFrame({"y": [0] * 500 + [1] * 500, "ad": ["a", "b"] * 500})
    frame.write_parquet(tmp_path / "a.parquet")
    monkeypatch.setattr("ctrsel.api.sample.SAMPLE_ROWS", 100)
    defaults = {**sample_source.__kwdefaults__, "limit": 100}
    monkeypatch.setattr("ctrsel.api.sample.sample_source.__kwdefaults__", defaults)
    assert "# 50.00% of the rows seen" in starter_config(str(tmp_path / "a.parquet"), "y")


def test_bad_data(tmp_path):
    (tmp_path / "a.csv").write_text("click,ad\n1,a\n1,b\n")
    with pytest.raises(DataError, match="two values"):
        starter_config(str(tmp_path / "a.csv"), "click")


@pytest.mark.slow
def test_a_run_of_it_works(tmp_path, monkeypatch):
    from ctrsel.api.run import run

    monkeypatch.chdir(tmp_path)
    tiny_frame(rows=3000).write_csv("clicks.csv")
    (tmp_path / "clicks.yaml").write_text(starter_config("clicks.csv", "click"))
    result = run(load_config("clicks.yaml", overrides={"register.enabled": False, "learners.net.max_epochs": 3}))
    assert result.report.is_file()
    assert result.run.chosen.values <= 0.5 * result.run.table.values


def test_whole_numbers_that_are_called_ids_are_pointed_out(tmp_path):
    pl.DataFrame(
        {"item_id": [i % 50 for i in range(400)], "paid": [i % 40 for i in range(400)], "click": [0, 1] * 200}
    ).write_parquet(tmp_path / "rows.parquet")
    lines = starter_config(str(tmp_path / "rows.parquet"), "click").splitlines()
    advice = [lines[i - 1].strip().split(":")[0] for i, line in enumerate(lines) if "an id?" in line]
    assert advice == ["item_id"]
