"""Every rule of the catalogue catches its planted fault and is silent on the same table without it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
import pytest

from ctrsel.core.config import FieldConfig, LabelConfig, SchemaConfig, SplitConfig
from ctrsel.data.audit import CATALOG, AuditView, audit
from ctrsel.data.ingest import ingest
from ctrsel.records.audit import Finding

N = 6000


def clean(*, seed: int = 0, rows: int = N) -> pl.DataFrame:
    """Honest rows: two weak fields, one of noise, a number, 400 users who come back, and a time in file order."""
    rng = np.random.default_rng(seed)
    site, ad = rng.integers(0, 5, rows), rng.integers(0, 30, rows)
    logit = -1 + 0.5 * (site - 2) / 2 + 0.5 * rng.normal(size=30)[ad]
    return pl.DataFrame(
        {
            "y": (rng.random(rows) < 1 / (1 + np.exp(-logit))).astype(int),
            "site": [f"s{i}" for i in site],
            "ad": [f"a{i}" for i in ad],
            "noise": rng.integers(0, 50, rows).astype(str),
            "load": rng.integers(0, 2000, rows) / 7,
            "user": [f"u{i}" for i in rng.integers(0, 400, rows)],
            "at": np.arange(rows) * 60,
        }
    )


@dataclass(frozen=True, kw_only=True)
class Planted:
    """A fault: how it is put into clean rows, and which fields must be named (None = the table)."""

    plant: Callable[[pl.DataFrame], Any]
    fields: frozenset[str | None]
    severity: str = "warn"
    schema: dict[str, Any] = field(default_factory=dict)
    split: SplitConfig = field(default_factory=lambda: SplitConfig(use="hash"))
    healthy: Callable[[pl.DataFrame], Any] = lambda frame: frame


def thirds(frame: pl.DataFrame) -> dict[str, pl.DataFrame]:
    return {"train": frame.head(4000), "valid": frame.slice(4000, 1000), "test": frame.slice(5000, 1000)}


def flipped(frame: pl.DataFrame, share: float) -> pl.Series:
    wrong = np.random.default_rng(9).random(len(frame)) < share
    return pl.Series(np.where(wrong, 1 - frame["y"].to_numpy(), frame["y"].to_numpy()).astype(str))


def filled_by_label(frame: pl.DataFrame) -> pl.DataFrame:
    u = pl.Series(np.random.default_rng(9).random(len(frame)))
    return frame.with_columns(filled=pl.when(u < pl.when(pl.col("y") == 1).then(0.9).otherwise(0.4)).then(pl.lit("x")))


def new_values(frame: pl.DataFrame) -> dict[str, pl.DataFrame]:
    parts = thirds(frame)
    new = pl.when(pl.int_range(pl.len()) % 3 == 0).then(pl.lit("new")).otherwise(pl.col("site"))
    return parts | {"test": parts["test"].with_columns(site=new)}


def moved_values(frame: pl.DataFrame) -> dict[str, pl.DataFrame]:
    parts = thirds(frame)
    return parts | {"test": parts["test"].with_columns(site=pl.lit("s0"))}


def few_positives(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(y=pl.when(pl.int_range(pl.len()) % 200 == 0).then(1).otherwise(0))


def near_copy(frame: pl.DataFrame) -> pl.DataFrame:
    other = pl.when(pl.int_range(pl.len()) % 100 == 0).then(pl.lit("?")).otherwise("z" + pl.col("ad"))
    return frame.with_columns(ad2=other)


def hierarchy(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(country=pl.col("ad").str.tail(1))


def logged_twice(frame: pl.DataFrame) -> pl.DataFrame:
    """Every fourth positive row has a twin without its outcome."""
    positive = frame.filter(pl.col("y") == 1)
    return pl.concat([frame, positive.gather_every(4).with_columns(y=pl.lit(0, dtype=pl.Int64))])


def written_twice(frame: pl.DataFrame) -> pl.DataFrame:
    return pl.concat([frame, frame.gather_every(5)])


def rate_moves(frame: pl.DataFrame) -> pl.DataFrame:
    late = pl.int_range(pl.len()) >= N // 2
    return frame.with_columns(y=pl.when(late & (pl.int_range(pl.len()) % 4 == 0)).then(1).otherwise(pl.col("y")))


def field_moves(frame: pl.DataFrame) -> pl.DataFrame:
    share = pl.int_range(pl.len()) / N
    moved = pl.Series(np.random.default_rng(9).random(len(frame))) < share
    return frame.with_columns(site=pl.when(moved).then(pl.lit("s0")).otherwise(pl.col("site")))


WITH_TIME = {"time": "at"}
BY_TIME = SplitConfig(use="time")
NO_ROLE = {"ignore": ("at", "user")}

PLANTED: dict[str, Planted] = {
    "constant": Planted(plant=lambda f: f.with_columns(same=pl.lit("x")), fields=frozenset({"same"}), schema=NO_ROLE),
    "dependency": Planted(plant=hierarchy, fields=frozenset({"country"}), severity="note", schema=NO_ROLE),
    "drift": Planted(plant=moved_values, fields=frozenset({"site"}), schema=NO_ROLE, healthy=thirds),
    "duplicate": Planted(
        plant=lambda f: f.with_columns(ad2="z" + pl.col("ad")), fields=frozenset({"ad2"}), schema=NO_ROLE
    ),
    "field_over_time": Planted(
        plant=field_moves, fields=frozenset({"site"}), schema={**WITH_TIME, "ignore": ("user",)}, split=BY_TIME
    ),
    "fill_rate": Planted(plant=filled_by_label, fields=frozenset({"filled"}), schema=NO_ROLE),
    "group_overlap": Planted(
        plant=lambda f: f,
        fields=frozenset({None}),
        schema={"group": "user", "ignore": ("at",)},
        healthy=lambda f: f.with_columns(user="u" + pl.int_range(pl.len()).cast(pl.String)),
    ),
    "label": Planted(plant=few_positives, fields=frozenset({None}), schema=NO_ROLE),
    "label_noise": Planted(plant=logged_twice, fields=frozenset({None}), schema=NO_ROLE),
    "label_over_time": Planted(
        plant=rate_moves, fields=frozenset({None}), schema={**WITH_TIME, "ignore": ("user",)}, split=BY_TIME
    ),
    "leak": Planted(
        plant=lambda f: f.with_columns(paid=flipped(f, 0)), fields=frozenset({"paid"}), severity="stop", schema=NO_ROLE
    ),
    "lone_gain": Planted(
        plant=lambda f: f.with_columns(after=flipped(f, 0.15)), fields=frozenset({"after"}), schema=NO_ROLE
    ),
    "near_duplicate": Planted(plant=near_copy, fields=frozenset({"ad2"}), schema=NO_ROLE),
    "row_copies": Planted(plant=written_twice, fields=frozenset({None}), schema=NO_ROLE),
    "row_id": Planted(
        plant=lambda f: f.with_columns(id="r" + pl.int_range(pl.len()).cast(pl.String)),
        fields=frozenset({"id"}),
        schema=NO_ROLE,
    ),
    "strong_field": Planted(
        plant=lambda f: f.with_columns(after=flipped(f, 0.04)), fields=frozenset({"after"}), schema=NO_ROLE
    ),
    "time_order": Planted(
        plant=lambda f: f.with_columns(at=pl.col("at").shuffle(seed=1)),
        fields=frozenset({None}),
        schema=WITH_TIME,
        healthy=thirds,
    ),
    "unseen": Planted(plant=new_values, fields=frozenset({"site"}), schema=NO_ROLE, healthy=thirds),
}


def view(data: Any, fault: Planted) -> AuditView:
    kinds = {"load": FieldConfig(kind="numeric", bucket="none")}
    schema = SchemaConfig(label=LabelConfig(name="y"), fields=kinds, **fault.schema)
    return AuditView(table=ingest(data, schema=schema, split=fault.split, seed=3))


def test_every_rule_has_a_planted_fault() -> None:
    assert sorted(PLANTED) == CATALOG.names(), "a new rule needs a planted fault here"


@pytest.mark.parametrize("name", CATALOG.names())
def test_rule_catches_its_planted_fault(name: str) -> None:
    fault = PLANTED[name]
    found: list[Finding] = CATALOG.create(name).check(view(fault.plant(clean()), fault))
    assert {f.field for f in found} == fault.fields
    assert {f.severity for f in found} == {fault.severity}
    for f in found:
        assert f.rule == name
        assert f.number is not None
        assert np.isfinite(f.number)
        assert re.search(r"\d", f.evidence)
        assert f.evidence.endswith(".")
        assert f.advice.endswith(".")
        assert "\n" not in f.evidence + f.advice


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("name", CATALOG.names())
def test_rule_is_silent_without_the_fault(name: str, seed: int) -> None:
    fault = PLANTED[name]
    assert CATALOG.create(name).check(view(fault.healthy(clean(seed=seed)), fault)) == []


@pytest.mark.parametrize("split", [SplitConfig(use="hash"), SplitConfig(use="stratified"), BY_TIME])
@pytest.mark.parametrize("seed", range(2))
def test_the_whole_audit_is_silent_on_clean_rows(split: SplitConfig, seed: int) -> None:
    schema = SchemaConfig(label=LabelConfig(name="y"), **(WITH_TIME if split == BY_TIME else NO_ROLE))
    assert audit(ingest(clean(seed=seed), schema=schema, split=split, seed=seed)).findings == ()
