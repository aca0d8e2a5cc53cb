"""Sessions, two labels and leaks, measured on drawn rows."""

import numpy as np
import polars as pl
import pytest
from scipy.stats import chi2, chi2_contingency, kstest
from sklearn.metrics import log_loss, mutual_info_score, roc_auc_score

from ctrsel.data.audit import audit
from ctrsel.data.ingest import ingest
from ctrsel.data.synthetic import (
    Clock,
    Conversion,
    FilledAfter,
    GroupLeak,
    LabelCopy,
    Noise,
    OrderedId,
    Planted,
    Sessions,
    Signal,
    Strong,
    TargetEncoding,
    ValueLeak,
    audit_table,
    funnel_table,
    session_table,
)

N = 150_000


def statistic(frame: pl.DataFrame, name: str) -> tuple[float, int]:
    cells = frame.group_by(name).agg(pl.len() - pl.col("label").sum(), pl.col("label").sum().alias("up"))
    found = chi2_contingency(cells.select("len", "up").to_numpy())
    return float(found.statistic), int(found.dof)


def test_sessions_inflate_tests_of_independent_rows() -> None:
    """The statistic of noise is that of fewer rows: multiplied by about 1 + (rows a session - 1) * correlation."""
    seen: dict[str, list[float]] = {}
    for seed in range(12):
        table = session_table(rows=20_000, seed=seed, texts="integers")
        frame = table.frame()
        for name in ("frozen_50", "sticky_50", "free_50"):
            value, freedom = statistic(frame, name)
            seen.setdefault(name, []).append(value / freedom)
            assert table.truth.fields[name].information == 0.0
    mean = {name: float(np.mean(v)) for name, v in seen.items()}
    assert mean["free_50"] == pytest.approx(1.0, abs=0.2)
    assert mean["frozen_50"] > 2.0
    assert mean["frozen_50"] > mean["sticky_50"] > mean["free_50"] + 0.3
    # At the usual level, nearly every noise field that stays in its session looks significant.
    assert np.mean([chi2.sf(v * 49, 49) < 0.05 for v in seen["frozen_50"]]) > 0.9
    assert np.mean([chi2.sf(v * 49, 49) < 0.05 for v in seen["free_50"]]) < 0.4


def test_sessions() -> None:
    table = session_table(rows=N, seed=1, texts="integers")
    frame, oracle = table.frame(), table.oracle()
    begins = (oracle["session"] != oracle["session"].shift(1)).fill_null(True)
    number = begins.cum_sum()
    assert N / number.max() == pytest.approx(20, rel=0.05)
    assert (
        frame.group_by(number)
        .agg(pl.col("user", "frozen_1000").n_unique())
        .drop("label", strict=False)["frozen_1000"]
        .max()
        == 1
    )
    assert oracle["session"].filter(begins).std() == pytest.approx(1.0, abs=0.03)
    same = frame.with_columns(pl.col("sticky_1000").shift(1).alias("before")).filter(~begins)
    assert (same["sticky_1000"] == same["before"]).mean() == pytest.approx(0.9, abs=0.005)
    # Labels of one session go together although fields do not tell it.
    residual = frame["label"] - (1 / (1 + (-oracle["logit"]).exp()))
    pair = pl.DataFrame({"a": residual, "b": residual.shift(1), "first": begins}).filter(~pl.col("first"))
    assert pair.select(pl.corr("a", "b")).item() > 0.1
    assert roc_auc_score(frame["label"], oracle["logit"]) == pytest.approx(table.truth.bayes_auc, abs=0.006)
    assert roc_auc_score(frame["label"], oracle["probability"]) > table.truth.bayes_auc + 0.05


def test_conversions() -> None:
    table = funnel_table(rows=N, seed=2, texts="integers")
    frame, oracle, truth = table.frame(), table.oracle(), table.truth.conversion
    clicked = frame["label"] == 1
    assert frame.filter(~clicked)["conversion"].sum() == 0
    assert (oracle["converted"] | ~oracle["converted"]).all()
    final = oracle.filter(clicked)["converted"].cast(int)
    assert final.mean() == pytest.approx(truth.rate, abs=0.01)
    assert frame.filter(clicked)["conversion"].mean() == pytest.approx(truth.observed, abs=0.01)
    logit = oracle.filter(clicked)["conversion_logit"]
    assert roc_auc_score(final, logit) == pytest.approx(truth.bayes_auc, abs=0.01)
    assert log_loss(final, 1 / (1 + (-logit).exp())) == pytest.approx(truth.bayes_log_loss, abs=0.01)
    delay = oracle["delay"].drop_nulls()
    assert kstest(delay, "expon", args=(0, 2.0)).pvalue > 0.01
    # Young rows look negative, old ones do not.
    both = frame.select("conversion", "label").with_columns(oracle["converted"].cast(int))
    old, young = both.head(N // 3), both.tail(N // 28)  # the last half day of 14
    assert old["conversion"].sum() / old["converted"].sum() > 0.98
    assert young["conversion"].sum() / young["converted"].sum() < 0.25
    assert truth.effects == {"both": 0.45, "buys": 0.6, "age": 0.4}
    # A field that acts on conversions only tells nothing about clicks.
    assert chi2.sf(*statistic(frame, "buys")) > 0.01
    at = frame.filter(clicked)["buys"]
    assert mutual_info_score(at, final) > 0.02


def test_conversions_of_a_table_that_drifts_and_has_sessions() -> None:
    table = Planted(
        parts=(Strong(name="a", values=30, conversion=0.5, groups=5), Signal(name="b", values=30, conversion=0.3)),
        rows=N,
        clock=Clock(rate=1.0, days=5.0),
        sessions=Sessions(rows=3.0, effect=0.7),
        conversion=Conversion(base=0.0, delay=1.0),
    )
    frame, oracle, truth = table.frame(), table.oracle(), table.truth.conversion
    clicked = frame["label"] == 1
    final = oracle.filter(clicked)["converted"]
    assert final.mean() == pytest.approx(truth.rate, abs=0.01)
    assert frame.filter(clicked)["conversion"].mean() == pytest.approx(truth.observed, abs=0.01)
    assert roc_auc_score(final, oracle.filter(clicked)["conversion_logit"]) == pytest.approx(truth.bayes_auc, abs=0.01)
    assert frame["label"].mean() == pytest.approx(table.truth.rate, abs=0.006)


def test_leaks() -> None:
    table = Planted(
        parts=(
            Strong(name="s", values=30),
            Noise(name="noise", values=50_000),
            LabelCopy(name="copy", noise=0.05),
            FilledAfter(name="after", values=7, share=0.4),
            ValueLeak(name="value", values=5, share=0.1),
            TargetEncoding(name="encoding", source="noise"),
            OrderedId(name="ordered"),
            GroupLeak(name="group", size=4),
        ),
        rows=N,
        texts="integers",
    )
    frame, truth = table.frame(), table.truth
    y = frame["label"]
    assert [(leak.column, leak.how) for leak in truth.leaks] == [
        ("copy", "label copy"),
        ("after", "filled after"),
        ("value", "value"),
        ("encoding", "target encoding"),
        ("ordered", "row order"),
        ("group", "group"),
    ]
    for name in ("copy", "after", "value"):
        of = truth.fields[name]
        assert mutual_info_score(frame[name].fill_null(-1), y) == pytest.approx(of.information, rel=0.06)
        assert not of.informative
    assert (frame["copy"] != y).mean() == pytest.approx(0.05, abs=0.003)
    assert frame.filter(pl.col("after").is_not_null())["label"].min() == 1
    assert frame.filter(y == 1)["after"].null_count() / y.sum() == pytest.approx(0.6, abs=0.01)
    assert roc_auc_score(y, frame["after"].is_not_null()) == pytest.approx(truth.fields["after"].auc, abs=0.005)
    assert frame.filter(pl.col("value") == 5)["label"].min() == 1
    assert truth.leaks[2].value == "value=5"
    rates = frame.select(pl.col("label").mean().over("noise")).to_series()
    assert (frame["encoding"] - rates).abs().max() < 1e-12
    assert roc_auc_score(y, frame["encoding"]) > 0.75  # of a field of noise: three rows a value, the own one included
    assert sorted(frame["ordered"].to_list()) == list(range(N))
    assert roc_auc_score(y, frame["ordered"]) == 1.0
    groups = frame.group_by("group").agg(pl.col("label").n_unique(), pl.len())
    assert groups["label"].max() == 1
    assert groups["len"].max() == 4
    assert groups["len"].mean() > 3.99
    assert abs(np.corrcoef(frame["group"] % 65_536, y)[0, 1]) < 0.01
    assert truth.bayes_auc == pytest.approx(truth.fields["s"].auc, abs=1e-3)  # leaks do not count


def test_an_audit_stops_at_the_leaks_and_at_nothing_honest() -> None:
    faults = ["label copy", "filled after", "value leak", "ordered id"]
    planted = audit_table(rows=20_000, seed=1, faults=faults)
    findings = audit(ingest(planted.frame(), schema=planted.schema, seed=1)).findings
    stops = {f.field for f in findings if f.severity == "stop"}
    assert stops == {leak.column for leak in planted.truth.leaks}
    honest = audit_table(rows=20_000, seed=1, faults=[])
    found = audit(ingest(honest.frame(), schema=honest.schema, seed=1)).findings
    assert not [f for f in found if f.severity == "stop"]
