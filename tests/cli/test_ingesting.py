"""`ctrsel ingest`: what it prints and saves, and what an increment may not change."""

from __future__ import annotations

import json

import numpy as np
import polars as pl

from ctrsel.data.hashing import stable_hash
from ctrsel.data.table import Table


def test_ingest_names_what_hash_buckets_mix(ctrsel, here):
    frame = pl.DataFrame({"click": [0, 1] * 300, "user": [f"u{i % 12}" for i in range(600)]})
    frame.write_parquet("users.parquet")
    flags = ("users.parquet", "--label", "click", "--set", "schema.fields.user.hash_buckets=5")
    said = ctrsel("ingest", *flags, "-q")
    assert said.code == 0, said.err
    _, sizes = np.unique(stable_hash(frame["user"].unique()) % np.uint64(5), return_counts=True)
    mixed = int(sizes[sizes > 1].sum())
    assert f"user: {mixed} of 12 values share one of 5 hash buckets with another; the heaviest that do: 'u" in said.out
    told = json.loads(ctrsel("ingest", *flags, "--json", "-q").out)["hashed"]["user"]
    assert (told["buckets"], told["values"], told["colliding"]) == (5, 12, mixed)
    assert all(2 <= len(pair) <= 3 for pair in told["heaviest"])
    hidden = ctrsel("ingest", *flags, "--set", "schema.fields.user.sensitive=true", "-q").out
    assert "'u" not in hidden


def test_ingest_saves_a_table_that_other_steps_take(ctrsel, here):
    said = ctrsel("ingest", "clicks.parquet", "-l", "click", "--out", "table", "--json")
    assert said.code == 0
    table = Table.load(here / "table")
    assert said.json["digest"] == table.digest
    assert list(said.json["splits"]) == ["train", "valid", "test"]
    assert sum(s["rows"] for s in said.json["splits"].values()) == 1500
    again = ctrsel("rank", "table", "--json", "-q")
    direct = ctrsel("rank", "clicks.parquet", "-l", "click", "--json", "-q")
    assert again.json == direct.json


def test_an_increment_keeps_what_the_store_was_made_with(ctrsel, here, clicks):
    """What is not said stays; what is said otherwise is refused, not passed over."""
    clicks.head(1000).write_csv("a.csv")
    (here / "b.csv").write_text(clicks.slice(1000).write_csv() + "broken\n")
    made = ctrsel("ingest", "a.csv", "-l", "click", "--min-count", "3", "--split", "hash", "--out", "t", "-q")
    assert made.code == 0
    for flags, why in (
        (("--time", "hour"), "schema.time: the store was made with None and keeps it, got 'hour'"),
        (("--split", "group"), "split.use: the store was made with 'hash' and keeps it, got 'group'"),
        (("--label", "site"), "schema.label.name: the store was made with 'click' and keeps it, got 'site'"),
        (("--ignore", "ad"), "schema.ignore: the store was made with the field 'ad' and keeps it"),
        (("--min-count", "1"), "ingest.min_count: the store was made with 3 and keeps it, got 1"),
        (("--set", "schema.fields.ad.kind=sequence"), "schema.fields.ad.kind: the store was made with 'categorical'"),
    ):
        said = ctrsel("ingest", "b.csv", "--append", "--out", "t", "-q", *flags)
        assert (said.code, why in said.err) == (2, True), said.err
    added = ctrsel("ingest", "b.csv", "--append", "--out", "t", "--tolerance", "0.1", "--split", "hash", "-q", "--json")
    assert (added.code, added.json["rows"], added.json["tally"]["rejected"]) == (0, 1500, 1), added.err


def test_a_config_of_other_columns_appends_nothing(ctrsel, here, small_run):
    assert ctrsel("ingest", small_run, "--out", "t", "-q").code == 0
    again = ctrsel("ingest", small_run, "--append", "--out", "t", "-q")
    assert (again.code, "nothing new for t" in again.out) == (0, True), again.err
    said = ctrsel("ingest", small_run, "--append", "--out", "t", "-q", "--set", "schema.label.delay=7d")
    assert (said.code, "schema.label.delay: the store was made with None and keeps it, got '7d'" in said.err) == (
        2,
        True,
    )


def test_seed_changes_the_split_and_nothing_else_does(ctrsel, here):
    a, b, c = (
        ctrsel("ingest", "clicks.parquet", "-l", "click", "--json", "-q", "--seed", s).json["digest"] for s in (1, 1, 2)
    )
    assert a == b != c
