import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

from ctrsel.core.config import FieldConfig, LabelConfig, SchemaConfig
from ctrsel.data.audit import CATALOG, AuditView, view
from ctrsel.data.ingest import ingest
from ctrsel.data.table import Ragged
from ctrsel.testing.tables import sequence_table, tiny_table


def test_counts_are_those_of_the_rows() -> None:
    table = tiny_table()
    shown = AuditView(table=table)
    for split in table.splits:
        rows = table.span(split)
        for name in table.code_fields:
            counts = shown.counts(name, split)
            for code in range(table.encoder.size(name)):
                at = table.columns[name][rows] == code
                assert counts.totals[code] == at.sum()
                assert counts.positives[code] == table.label()[rows][at].sum()


def test_list_counts_are_of_rows_that_hold_the_value() -> None:
    table = sequence_table()
    counts = AuditView(table=table).counts("history", "valid")
    rows, column = table.span("valid"), table.columns["history"]
    assert isinstance(column, Ragged)
    held = [set(column.codes[column.offsets[i] : column.offsets[i + 1]].tolist()) for i in range(rows.start, rows.stop)]
    for code in range(table.encoder.size("history")):
        expected = sum(code in h for h in held) if code else sum(not h for h in held)
        assert counts.totals[code] == expected


def test_held_out_auc_is_that_of_smoothed_training_rates() -> None:
    table = tiny_table(rows=2000)
    train, valid = table.part("train"), table.part("valid")
    base = (train.label().sum() + 0.5) / (train.n_rows + 1)
    rates = {}
    for code in np.unique(train.columns["ad"]):
        at = train.columns["ad"] == code
        rates[code] = (train.label()[at].sum() + 10 * base) / (at.sum() + 10)
    scores = [rates.get(c, base) for c in valid.columns["ad"]]
    found = AuditView(table=table).auc("ad")
    assert found == pytest.approx(roc_auc_score(valid.label(), scores))


def test_shares_and_drift_by_hand() -> None:
    train = pl.DataFrame({"y": [0, 1] * 200, "a": ["x", "x", "z", None] * 100, "f": [1.0, None] * 200})
    valid = pl.DataFrame({"y": [0, 1] * 50, "a": ["x", "new", "z", "x"] * 25, "f": [1.0] * 100})
    schema = SchemaConfig(label=LabelConfig(name="y"), fields={"f": FieldConfig(kind="numeric", bucket="none")})
    shown = AuditView(table=ingest({"train": train, "valid": valid, "test": valid}, schema=schema))
    assert shown.missing_share("a", "train") == 0.25
    assert shown.missing_share("f", "train") == 0.5
    assert shown.unseen_share("a", "valid") == 0.25
    assert shown.unseen_share("f", "valid") == 0.0
    # Cells missing, x, z, rest: 100, 200, 100, 0 of 400 rows against 0, 50, 25, 25 of 100; half a row is added to each.
    a = np.array([100, 200, 100, 0]) + 0.5
    b = np.array([0, 50, 25, 25]) + 0.5
    a, b = a / a.sum(), b / b.sum()
    assert shown.drift("a", "valid") == (pytest.approx(((a - b) * np.log(a / b)).sum()), 4)


def test_each_column_is_counted_once_per_split(monkeypatch) -> None:
    calls = 0
    original = view.label_counts

    def counted(*args, **more):
        nonlocal calls
        calls += 1
        return original(*args, **more)

    monkeypatch.setattr(view, "label_counts", counted)
    table = tiny_table()
    shown = AuditView(table=table)
    for name in CATALOG.names():
        CATALOG.create(name).check(shown)
    for name in table.schema.names:
        shown.facts(name)
    assert calls == len(table.schema.names) * len(table.splits)


def test_shown_names_no_rare_and_no_sensitive_value() -> None:
    frame = pl.DataFrame({"y": [0, 1] * 200, "a": ["often"] * 390 + ["rare"] * 10, "f": np.arange(400.0)}).sample(
        fraction=1, shuffle=True, seed=0
    )
    fields = {"f": FieldConfig(bucket="none")}
    shown = AuditView(table=ingest(frame, schema=SchemaConfig(label=LabelConfig(name="y"), fields=fields)))
    assert [shown.shown("a", c) for c in (0, 3, 4)] == ["a missing value", "the value 'often'", "a value of few rows"]
    assert shown.shown("f", 5) == "a range of its values"
    fields["a"] = FieldConfig(sensitive=True)
    secret = AuditView(table=ingest(frame, schema=SchemaConfig(label=LabelConfig(name="y"), fields=fields))).shown(
        "a", 3
    )
    assert secret.startswith("the value #")
    assert len(secret) == len("the value #") + 8
