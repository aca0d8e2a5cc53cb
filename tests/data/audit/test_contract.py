"""Every check found in the catalogue meets the contract on tables of every kind."""

import re

import numpy as np
import polars as pl
import pytest

from ctrsel.core.catalog import describe
from ctrsel.core.config import FieldConfig, LabelConfig, SchemaConfig
from ctrsel.data.audit import CATALOG, AuditView, audit
from ctrsel.data.ingest import ingest
from ctrsel.data.table import Table
from ctrsel.records.audit import Finding
from ctrsel.testing.tables import sequence_table, tiny_table


def troubled_table() -> Table:
    """A table in which every check finds something."""
    rng = np.random.default_rng(3)
    n = 4000
    y = rng.random(n) < 0.3
    strong = np.where(rng.random(n) < 0.93, y, ~y)
    frame = pl.DataFrame(
        {
            "y": y.astype(int),
            "constant": ["x"] * n,
            "site": [f"s{i}" for i in rng.integers(0, 6, n)],
            "ad": [f"a{i}" for i in rng.integers(0, 9, n)],
            "id": [f"u{i}" for i in range(n)],
            "counter": np.arange(n),
            "copy": y.astype(int) * 2,
            "strong": strong.astype(int),
            "filled": [("z" if (p and u < 0.8) or u < 0.1 else None) for p, u in zip(y, rng.random(n), strict=True)],
            "new": [f"n{i}" for i in np.where(rng.random(n) < 0.4, np.arange(n), rng.integers(0, 5, n))],
            "load": rng.normal(size=n),
            "after": rng.integers(0, 3, n),
        }
    ).with_columns(site2=pl.col("site") + "!")
    moved = frame.head(1000).with_columns(ad=pl.lit("a0"))
    schema = SchemaConfig(
        label=LabelConfig(name="y"),
        fields={
            "load": FieldConfig(kind="numeric", bucket="none"),
            "counter": FieldConfig(kind="numeric", bucket="quantile", bins=16),
            "after": FieldConfig(available_at="after"),
            "id": FieldConfig(sensitive=True),
        },
    )
    return ingest({"train": frame, "test": moved}, schema=schema)


TABLES = {"tiny": tiny_table, "sequence": sequence_table, "troubled": troubled_table}


@pytest.fixture(scope="module")
def views() -> dict[str, AuditView]:
    return {name: AuditView(table=make()) for name, make in TABLES.items()}


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("name", CATALOG.names())
def test_check_keeps_the_contract(name: str, table: str, views: dict[str, AuditView]) -> None:
    check = CATALOG.create(name)
    assert CATALOG.create(describe(check)) == check
    found = check.check(views[table])
    assert found == check.check(AuditView(table=TABLES[table]()))
    for f in found:
        assert isinstance(f, Finding)
        assert f.rule == name
        assert f.field is None or f.field in views[table].table.schema.names
        assert f.severity in ("note", "warn", "stop")
        assert not f.accepted
        assert f.evidence.endswith(".")
        assert f.advice.endswith(".")
        assert f.number is None or np.isfinite(f.number)
        assert f.number is None or re.search(r"\d", f.evidence)


def test_a_clean_table_has_no_stop_and_no_false_alarm() -> None:
    table = tiny_table(rows=4000)
    found = audit(table)
    assert found.stops == ()
    assert {(f.rule, f.field) for f in found.findings} == {("row_id", "id"), ("unseen", "id")}
