"""Planted leaks stop, strong honest fields do not."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctrsel.core.config import FieldConfig, LabelConfig, SchemaConfig
from ctrsel.data.audit import AuditView, audit
from ctrsel.data.audit.leak import Leak
from ctrsel.data.ingest import ingest

DATA = Path(__file__).parents[4] / "shared" / "data"
N = 12_000


def frame(seed: int = 0, rate: float = 0.3, rows: int = N) -> tuple[pl.DataFrame, np.ndarray, np.random.Generator]:
    rng = np.random.default_rng(seed)
    y = rng.random(rows) < rate
    a = np.where(rng.random(rows) < 0.3, y, rng.integers(0, 6, rows))
    return pl.DataFrame({"y": y.astype(int), "a": a, "b": rng.integers(0, 9, rows)}), y, rng


def stops(f: pl.DataFrame, **fields: FieldConfig) -> list[str | None]:
    schema = SchemaConfig(label=LabelConfig(name="y"), fields=fields)
    return [x.field for x in Leak().check(AuditView(table=ingest(f, schema=schema))) if x.severity == "stop"]


@pytest.mark.parametrize("rate", [0.02, 0.3, 0.6])
def test_label_copy_in_any_form(rate: float) -> None:
    f, y, rng = frame(rate=rate)
    assert stops(f.with_columns(leak=pl.Series(np.where(y, "buy", "no")))) == ["leak"]
    paid = np.where(y, 5 + rng.random(N), 0.0)
    assert stops(f.with_columns(leak=pl.Series(paid))) == ["leak"]
    assert stops(f.with_columns(leak=pl.Series(y * 7.5 + rng.random(N) * 0.1))) == (["leak"] if rate > 0.1 else [])
    assert stops(f.with_columns(leak=pl.Series(y * 7.5)), leak=FieldConfig(kind="numeric", bucket="none")) == ["leak"]
    assert stops(f.with_columns(leak=pl.Series([["p", "q"] if v else ["p"] for v in y]))) == ["leak"]


def test_noisy_copy() -> None:
    f, y, rng = frame()
    noisy = np.where(rng.random(N) < 0.001, ~y, y)
    assert stops(f.with_columns(leak=pl.Series(noisy.astype(int)))) == ["leak"]


def test_missingness() -> None:
    f, y, rng = frame()
    value = rng.integers(0, 1000, N)
    some = y & (rng.random(N) < 0.3)
    filled_for_positives = [f"v{v}" if p else None for v, p in zip(value, y, strict=True)]
    filled_for_some = [f"v{v}" if p else None for v, p in zip(value, some, strict=True)]
    missing_for_some = [None if p else f"v{v}" for v, p in zip(value, some, strict=True)]
    for values in (filled_for_positives, filled_for_some, missing_for_some):
        assert stops(f.with_columns(leak=pl.Series(values))) == ["leak"]
    lists = [[v] if v else None for v in filled_for_some]
    assert stops(f.with_columns(leak=pl.Series(lists, dtype=pl.List(pl.String)))) == ["leak"]


@pytest.mark.parametrize(("rate", "rows"), [(0.06, 60_000), (0.3, 15_000), (0.5, 15_000)])
def test_value_of_two_percent_of_the_positives(rate: float, rows: int) -> None:
    f, y, rng = frame(rate=rate, rows=rows)
    value = rng.integers(0, 20, len(y)).astype(str).astype(object)
    value[y & (rng.random(len(y)) < 0.02)] = "refund"
    assert stops(f.with_columns(leak=pl.Series(value.tolist()))) == ["leak"]


def test_known_only_after_the_outcome() -> None:
    f, _, _ = frame()
    assert stops(f, b=FieldConfig(available_at="after")) == ["b"]


def test_a_few_lucky_rows_do_not_stop() -> None:
    """A value of 12 rows, all positive, holds 1 % of the positives of a small table."""
    f, y, rng = frame(rows=1500, rate=0.2)
    value = rng.integers(0, 20, len(y)).astype(str).astype(object)
    value[np.flatnonzero(y)[:12]] = "lucky"
    table = ingest(f.with_columns(rare=pl.Series(value.tolist())), label="y")
    found = [x for x in Leak().check(AuditView(table=table)) if x.field == "rare"]
    assert all(x.severity == "warn" for x in found)


def test_popular_values_under_drawn_negatives_do_not_stop() -> None:
    """Negatives drawn uniformly over items leave popular items almost purely positive: honest popularity, no leak."""
    rng = np.random.default_rng(5)
    items, positives = 2000, 40_000
    share = 1 / np.arange(1, items + 1)
    clicked = rng.choice(items, positives, p=share / share.sum())
    drawn = rng.integers(0, items, 2 * positives)
    f = pl.DataFrame(
        {
            "y": np.repeat([1, 0], [positives, 2 * positives]),
            "item": np.concatenate([clicked, drawn]),
            "a": rng.integers(0, 5, 3 * positives),
        }
    ).sample(fraction=1, shuffle=True, seed=1)
    view = AuditView(
        table=ingest(
            f, schema=SchemaConfig(label=LabelConfig(name="y"), fields={"item": FieldConfig(kind="categorical")})
        )
    )
    top = view.counts("item", "valid")
    assert (top.positives / np.maximum(top.totals, 1) >= 0.99).any()  # the trap is there
    assert not [x for x in Leak().check(view) if x.severity == "stop"]


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    rate=st.sampled_from([0.01, 0.05, 0.3, 0.5, 0.9]),
    rows=st.sampled_from([300, 1000, 4000]),
)
def test_chance_never_stops(seed: int, rate: float, rows: int) -> None:
    rng = np.random.default_rng(seed)
    y = rng.random(rows) < rate
    y[:40:2], y[1:40:2] = True, False
    f = pl.DataFrame(
        {
            "y": y.astype(int),
            "a": rng.integers(0, 30, rows),
            "b": rng.integers(0, rows, rows).astype(str),
            "c": rng.integers(0, 2, rows),
        }
    )
    schema = SchemaConfig(label=LabelConfig(name="y"), fields={"a": FieldConfig(kind="categorical")})
    found = Leak().check(AuditView(table=ingest(f, schema=schema)))
    assert [x for x in found if x.severity == "stop"] == []


def test_evidence_has_the_numbers() -> None:
    f, y, _ = frame()
    table = ingest(f.with_columns(leak=pl.Series(np.where(y, "buy", "no"))), label="y")
    finding = audit(table).stops[0]
    assert finding.number == 1.0
    assert "1.0000 on 1,2" in finding.evidence
    assert "0.995" in finding.evidence
    assert "audit.accept" in finding.advice


@pytest.mark.skipif(not (DATA / "frappe").is_dir(), reason="the frappe data set is not here")
def test_frappe_warns_and_does_not_stop() -> None:
    table = ingest({s: str(DATA / "frappe" / f"{s}.parquet") for s in ("train", "valid", "test")}, label="label")
    found = audit(table)
    assert found.stops == ()
    assert ("strong_field", "item_id") in {(f.rule, f.field) for f in found.findings}


@pytest.mark.skipif(not (DATA / "bank_marketing").is_dir(), reason="the bank marketing data set is not here")
def test_the_famous_leak_of_bank_marketing_is_warned_of() -> None:
    found = audit(ingest(str(DATA / "bank_marketing" / "all.parquet"), label="label"))
    assert [(f.rule, f.field) for f in found.findings] == [("lone_gain", "duration")]
