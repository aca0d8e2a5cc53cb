"""Windows of time, what moves over them, and splits that mix the times or the groups."""

import numpy as np
import polars as pl
import pytest

from ctrsel.core.config import FieldConfig, LabelConfig, SchemaConfig, SplitConfig
from ctrsel.data.audit import CATALOG, AuditView, _windows
from ctrsel.data.audit.field_over_time import FieldOverTime
from ctrsel.data.audit.group_overlap import GroupOverlap
from ctrsel.data.audit.label_over_time import LabelOverTime
from ctrsel.data.audit.time_order import TimeOrder
from ctrsel.data.ingest import ingest
from ctrsel.testing.tables import tiny_table

BY_TIME = SplitConfig(use="time")


def frame(n: int = 12_000, seed: int = 0, rate: float | np.ndarray = 0.2) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "y": (rng.random(n) < rate).astype(int),
            "a": rng.integers(0, 9, n).astype(str),
            "many": rng.integers(0, 4000, n).astype(str),
            "x": rng.normal(size=n),
            "tags": pl.Series([[f"t{j}" for j in rng.integers(0, 5, k)] for k in rng.integers(0, 4, n)]),
            "user": [f"u{i}" for i in rng.integers(0, 300, n)],
            "at": np.arange(n),
        }
    )


def view(data, *, split: SplitConfig | None = BY_TIME, **roles) -> AuditView:
    roles = {"time": "at", "ignore": ("user",)} | roles
    fields = {"x": FieldConfig(kind="numeric", bucket="none")}
    return AuditView(
        table=ingest(
            data, schema=SchemaConfig(label=LabelConfig(name="y"), fields=fields, **roles), split=split, seed=1
        )
    )


def test_windows_hold_all_training_and_validation_rows() -> None:
    shown = view(frame())
    cut = shown.windows
    assert cut is not None
    assert cut.count == 10
    assert cut.rows.sum() == shown.rows("train") + shown.rows("valid")
    assert cut.rows.min() > 0.9 * cut.rows.max()
    assert cut.positives.sum() == shown.positives("train") + shown.positives("valid")
    train = shown.table.time[: shown.rows("train") + shown.rows("valid")]
    assert [len(w) for w in np.array_split(np.sort(train), 10)] == pytest.approx(cut.rows.tolist(), abs=1)


def test_a_moment_is_in_one_window() -> None:
    days = frame().with_columns(at=pl.col("at") // 3000)
    cut = view(days, split=None).windows
    assert cut is not None
    assert cut.count == 4
    at_once = frame().with_columns(at=pl.lit(7))
    assert view(at_once, split=None).windows is None
    assert view(frame(1200), split=None).windows.count == 2  # type: ignore[union-attr]
    assert view(frame(900), split=None).windows is None


def test_cells_by_hand(monkeypatch) -> None:
    shown = view(frame())
    cut = shown.windows
    assert cut is not None
    column, rows = shown.table.columns["a"], shown.rows("train") + shown.rows("valid")
    assert len(cut.sample) == rows
    cells = cut.cells(shown, "a")
    expected = np.array([[(column[:rows][cut.of == w] == v).sum() for v in range(3, 12)] for w in range(10)])
    assert (cells[:, cells.sum(axis=0) > 0] == expected).all()
    tags = shown.table.columns["tags"]
    held = cut.cells(shown, "tags")
    assert held.sum() == np.maximum(np.diff(tags.offsets[: rows + 1]), 1).sum()  # an empty list counts once
    monkeypatch.setattr(_windows, "FIELD_ROWS", 2000)
    few = _windows.windows(shown)
    assert few is not None
    assert abs(len(few.sample) - 2000) <= 1
    assert few.cells(shown, "many").shape[1] <= 1002


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("split", [BY_TIME, SplitConfig(use="hash")])
def test_still_rows_do_not_drift(seed: int, split: SplitConfig) -> None:
    shown = view(frame(seed=seed, rate=0.03), split=split)
    assert LabelOverTime().check(shown) == []
    assert FieldOverTime().check(shown) == []


def test_a_small_move_of_many_rows_is_no_drift() -> None:
    shown, rates = view(frame()), np.linspace(0.195, 0.205, 10)
    for move, rules in ((1.0, 0), (10.0, 1)):  # both are beyond all luck on 100M rows
        positives = ((0.2 + move * (rates - 0.2)) * 10_000_000).astype(np.int64)
        shown.__dict__["windows"] = _windows.Windows(
            count=10,
            rows=np.full(10, 10_000_000),
            positives=positives,
            sample=np.zeros(0, dtype=np.int64),
            of=np.zeros(0, dtype=np.uint8),
        )
        assert len(LabelOverTime().check(shown)) == rules


def test_the_rate_that_stays_moved_and_the_rate_that_comes_back() -> None:
    n = 40_000

    def rows(rate: np.ndarray) -> pl.DataFrame:
        return pl.DataFrame(
            {
                "y": (np.random.default_rng(0).random(n) < rate).astype(int),
                "x": np.arange(n) % 7,
                "user": 0,
                "at": np.arange(n),
            }
        )

    rising = LabelOverTime().check(view(rows(np.linspace(0.1, 0.3, n))))
    assert [f.severity for f in rising] == ["warn"]
    # Ten windows of a rate that rises from .1 to .28 (test is not read): .18 / sqrt(12) * sqrt(1.1) / .19.
    assert rising[0].number == pytest.approx(0.287, abs=0.03)
    daily = 0.2 + 0.08 * np.sin(np.arange(n) / n * 8 * np.pi)
    back = LabelOverTime().check(view(rows(daily), split=SplitConfig(use="hash")))
    assert [f.severity for f in back] == ["note"]
    common = LabelOverTime().check(view(rows(np.linspace(0.9, 0.7, n))))
    assert [f.severity for f in common] == ["warn"]  # the rarer label is what moves


def test_target_drift_reads_no_test_label() -> None:
    f = frame()
    parts = {"train": f.head(8000), "valid": f.slice(8000, 2000), "test": f.tail(2000)}
    other = parts | {"test": parts["test"].with_columns(y=(pl.int_range(2000) % 2))}
    assert LabelOverTime().check(view(parts)) == LabelOverTime().check(view(other))


def test_a_clock_a_broken_window_and_a_field_that_left() -> None:
    n = 24_000
    at = pl.int_range(n)
    f = frame(n).with_columns(
        hour=(at // 540 % 6).cast(pl.String),
        broken=pl.when((at > 8000) & (at < 10_000)).then(None).otherwise(pl.col("a")),
        left=pl.when(at < n // 2).then(pl.col("a")).otherwise(pl.lit("new")),
        tags=pl.when(at < n // 2).then(pl.col("tags")).otherwise(pl.lit(["t0", "t0", "t9"])),
    )
    found = FieldOverTime().check(view(f, split=SplitConfig(use="hash")))
    assert {(x.field, x.severity) for x in found} == {
        ("hour", "note"),
        ("broken", "note"),
        ("left", "warn"),
        ("tags", "warn"),
    }
    assert "window 4" in next(x.evidence for x in found if x.field == "broken")


def test_without_a_time_or_a_group_column_all_is_silent() -> None:
    shown = AuditView(table=tiny_table(rows=3000))
    assert shown.windows is None
    for name in ("label_over_time", "field_over_time", "time_order", "group_overlap"):
        assert CATALOG.create(name).check(shown) == []


@pytest.mark.parametrize(("use", "severity"), [("time", None), ("hash", "warn"), ("stratified", "warn")])
def test_splits_that_mix_the_times(use: str, severity: str | None) -> None:
    found = TimeOrder().check(view(frame(), split=SplitConfig(use=use)))  # type: ignore[arg-type]
    assert [f.severity for f in found] == ([] if severity is None else [severity])
    if found:
        assert found[0].number == pytest.approx(0.5, abs=0.02)
        assert found[0].advice.startswith("Choose split.use: time")


def test_a_few_late_training_rows_are_a_note() -> None:
    f = frame()
    late = f.slice(9990, 5).with_columns(at=pl.lit(50_000, dtype=pl.Int64))
    parts = {"train": pl.concat([f.head(8000), late]), "valid": f.slice(8000, 2000), "test": f.tail(2000)}
    found = TimeOrder().check(view(parts))
    assert [(x.severity, round(x.number or 0, 4)) for x in found] == [("note", 0.0006)]
    assert "100.0% of the valid rows" in found[0].evidence
    assert TimeOrder(rows=100).check(view(parts))[0].number == pytest.approx(0.0006, abs=0.01)


def test_groups_on_both_sides() -> None:
    roles = {"group": "user", "ignore": ()}
    random = GroupOverlap().check(view(frame(), split=SplitConfig(use="hash"), **roles))
    assert [(f.severity, round(f.number or 0, 2)) for f in random] == [("warn", 1.0)]
    assert "split.use: group" in random[0].advice
    ordered = GroupOverlap().check(view(frame(), **roles))
    assert [f.severity for f in ordered] == ["note"]
    assert GroupOverlap().check(view(frame(), split=SplitConfig(use="group"), **roles)) == []
    # Groups are kept apart when validation is carved out, but the test file shares them.
    f = frame()
    file = GroupOverlap().check(
        view({"train": f.head(10_000), "test": f.tail(2000)}, split=SplitConfig(use="group"), **roles)
    )
    assert [x.severity for x in file] == ["warn"]
    assert "0.0% of the valid rows" in file[0].evidence
    assert "meant to be by group" in file[0].evidence
