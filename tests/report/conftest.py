"""A realistic run by hand: six contenders, planted texts of every hostile kind, a sensitive field, a rare value."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from ctrsel.core.artifact import digest_json
from ctrsel.records.audit import Audit, Finding
from ctrsel.records.check import Check, CheckLine
from ctrsel.records.evaluation import Evaluation, Metric
from ctrsel.records.evidence import Evidence
from ctrsel.records.explanation import Explanation
from ctrsel.records.feature_set import FeatureSet
from ctrsel.records.ranking import Ranking
from ctrsel.records.review import Costs, Review
from ctrsel.records.run import Contender, FieldSummary, Registration, Run, TableFacts, Verdict
from ctrsel.records.selection_account import SelectionAccount
from ctrsel.records.set_difference import FieldDifference, SetDifference
from ctrsel.records.window import Delta, FieldDrift, ScoreDrift, SegmentDelta, WindowComparison
from ctrsel.report.page import write_report
from ctrsel.report.redact import shown_values

SCRIPT = "<script>alert(1)</script>"
ROWS = {"train": 8000, "valid": 1000, "test": 1000}


@dataclass(frozen=True, kw_only=True, repr=False)
class Made:
    """All that `write_report` takes."""

    run: Run
    audit: Audit
    rankings: tuple[Ranking, ...]
    explanations: tuple[Explanation, ...]
    evaluations: dict[str, Evaluation]
    feature_set: FeatureSet | None
    account: SelectionAccount | None = None
    review: Review | None = None

    def __repr__(self) -> str:
        return "Made()"

    def page(self, folder: Path) -> str:
        path = write_report(
            self.run,
            evidence=Evidence(
                audit=self.audit,
                rankings=self.rankings,
                explanations=self.explanations,
                evaluations=self.evaluations,
                feature_set=self.feature_set,
                account=self.account,
            ),
            review=self.review,
            path=folder / "report.html",
        )
        return path.read_text(encoding="utf-8")

    def with_run(self, **changes: Any) -> Made:
        return replace(self, run=replace(self.run, **changes))


def metric(value: float, half: float = 0.01) -> Metric:
    return Metric(value=value, low=value - half, high=value + half, method="delong")


def contender(name: str, role: Any, selector: str | None, auc: float, **facts: Any) -> Contender:
    given: dict[str, Any] = {
        "name": name,
        "role": role,
        "learner": "boosted" if role == "reference" else "net",
        "selector": selector,
        "seed": 1,
        "fields": 4,
        "values": 1200,
        "parameters": 20000,
        "bytes": 1_000_000,
        "milliseconds": 12.0,
        "seconds": 30.0,
        "metrics": {
            "auc": metric(auc),
            "log_loss": metric(0.31, 0.004),
            "normalised_entropy": Metric(value=0.81),
            "calibration_ratio": metric(1.02, 0.03),
            "ece": Metric(value=0.0042),
            "base_rate": Metric(value=0.1),
        },
        "valid": {"auc": auc + 0.002, "log_loss": 0.305},
        "epochs": 7,
        "model": f"m-{name}"[:16],
    }
    return Contender(**{**given, **facts})


def evaluation(name: str) -> Evaluation:
    bins = tuple(
        {"predicted": p, "observed": p * 1.1, "low": p * 0.9, "high": p * 1.3, "rows": 50.0}
        for p in np.linspace(0.002, 0.4, 20).tolist()
    )
    segments = (
        {"field": "city", "value": SCRIPT, "rows": 400, "observed": 0.1, "predicted": 0.2, "ratio": 2.0},
        {"field": "city", "value": "Bern", "rows": 300, "observed": 0.1, "predicted": 0.1, "ratio": 1.0},
        {"field": "city", "value": "Rare segment", "rows": 19, "observed": 0.0, "predicted": 0.1, "ratio": None},
    )
    return Evaluation(
        model=name, split="test", rows=1000, metrics={}, segments=segments, reliability=bins, label="click"
    )


def summary(name: str, *, kept: bool = True, **facts: Any) -> FieldSummary:
    given: dict[str, Any] = {
        "name": name,
        "kind": "categorical",
        "sensitive": False,
        "values": 300,
        "values_kept": 120 if kept else 0,
        "kept": kept,
        "traffic_kept": 0.93 if kept else 0.0,
        "scores": {"mutual_information": 0.02},
        "ranks": {"mutual_information": 1},
        "q": 0.001,
        "attribution": 0.3 if kept else None,
        "attribution_error": 0.01 if kept else None,
    }
    return FieldSummary(**{**given, **facts})


@pytest.fixture
def made() -> Made:
    return made_by_hand()


@pytest.fixture
def review(made: Made) -> Review:
    return review_of(made)


def made_by_hand() -> Made:
    """Return all that a page shows."""
    odd = [
        SCRIPT,
        "a \"quoted\" 'value' & more",
        "\u05e9\u05dc\u05d5\u05dd",
        "x\u202egnp.exe",
        "",
        None,
        "L" * 10_000,
        "nul\x00",
    ]
    rows = np.array([500, 400, 300, 200, 100, 90, 80, 70])
    odd_values = shown_values(odd, rows, rows // 4, rows > 150, sensitive=False, salt="")
    people = shown_values(
        ["ann@example.org", "bob@example.org"], rows[:2], rows[:2] // 8, rows[:2] > 0, sensitive=True, salt="s"
    )
    rare = {"value": "Only nineteen", "rows": 19, "rate": 0.5, "low": 0.3, "high": 0.7, "kept": True}
    common = {"value": "Bern", "rows": 4000, "rate": 0.125, "low": 0.115, "high": 0.136, "kept": True}
    names = ("city", "odd", "user", "noise")
    full, chosen = "net, all values", "net, OptFS gates"
    contenders = (
        contender("boosted, all values", "reference", None, 0.741, epochs=None, bytes=2_000_000),
        contender(full, "full", None, 0.752, bytes=4_000_000, milliseconds=20.0),
        contender(chosen, "selected", "gated", 0.751, fields=3, values=360),
        contender("net, best fields by mutual information", "selected", "ranking", 0.745, values=358),
        contender("net, random values", "control", "random", 0.70, values=360),
        contender("net, most frequent values", "control", "frequent", 0.74, values=360),
    )
    frame = pl.DataFrame(
        {
            "field": list(names),
            "score": [0.03, 0.02, 0.01, 0.0],
            "rank": [1, 2, 3, 4],
            "mi_minus_expected": [0.03, 0.02, 0.01, -0.0001],
            "ami": [0.2, 0.1, 0.05, 0.0],
            "z": [900.0, 400.0, 80.0, -0.4],
            "q": [0.0, 0.0, 0.001, 0.66],
            "held_out_gain": [0.029, 0.018, None, -0.0002],
        }
    )
    shap = pl.DataFrame({"field": ["city", "odd"], "score": [0.4, 0.3], "rank": [1, 2], "standard_error": [0.02, 0.01]})
    run = Run(
        name="click_demo",
        config={
            "name": "click_demo",
            "data": {"train": "s3://key:secret@bucket/train.parquet"},
            "register": {"enabled": True},
            "select": {"size": 0.5, "selectors": [{"use": "gated", "gate": {"use": "optfs"}}]},
        },
        seed=1,
        created="2026-01-02T03:04:05+00:00",
        versions={"python": "3.11.9", "ctrsel": "0.1.0"},
        stages=({"name": "ingest", "seconds": 1.5, "reused": False}, {"name": "audit", "seconds": 0.1, "reused": True}),
        table=TableFacts(
            source="clicks.parquet",
            digest="0123456789abcdef",
            rows=ROWS,
            base_rate={"train": 0.1, "valid": 0.11, "test": 0.1},
            fields=4,
            values=1200,
            label="click",
        ),
        contenders=contenders,
        fields=(
            summary("city", shown_values=(common, rare)),
            summary("odd", shown_values=odd_values),
            summary("user", sensitive=True, shown_values=people),
            summary("noise", kept=False),
        ),
        verdict=Verdict(
            promoted=True,
            chosen=chosen,
            headline=f"{chosen} keeps 360 of 1,200 values (30%) and 3 of 4 fields.",
            reasons=(
                "passed: test AUC 0.7510 against 0.7520 of the full net: at most 0.005 below it",
                "passed: 1,000,000 bytes on disk against 4,000,000: smaller",
                "for information: above the control 'net, random values' at the same size (test AUC 0.7000)",
            ),
            delta_auc=Metric(value=-0.001, low=-0.003, high=0.001, method="delong, paired"),
        ),
        digests={"table": "0123456789abcdef"},
        selection_history=tuple(
            {"epoch": float(e), "tau": 10.0**e, "kept": 1.0 / e, "valid_auc": 0.7 + e / 100} for e in range(1, 6)
        ),
        registration=Registration(
            tracking_uri="sqlite:///mlflow.db",
            model_name="click_demo",
            version=3,
            run_id="r1",
            model_uri="models:/click_demo/3",
            ui_command="mlflow ui --backend-store-uri sqlite:///mlflow.db --port 5000",
        ),
    )
    rng = np.random.default_rng(0)
    return Made(
        run=run,
        audit=Audit(
            findings=(
                Finding(
                    rule="constant",
                    field="noise",
                    severity="note",
                    number=1.0,
                    evidence="One value.",
                    advice="Drop it.",
                ),
                Finding(
                    rule="leak",
                    field="city",
                    severity="stop",
                    number=0.99,
                    evidence="AUC alone 0.99.",
                    advice="Check when it is known.",
                    accepted=True,
                ),
                Finding(
                    rule="drift",
                    field="user",
                    severity="warn",
                    number=0.3,
                    evidence=f"PSI 0.3 {SCRIPT}",
                    advice="Look.",
                ),
            ),
            facts={"city": {"values": 300, "auc_alone": 0.7, "kind": "categorical", "psi_test": 0.01}},
        ),
        rankings=(
            Ranking(
                method="mutual_information",
                params={},
                unit="nats",
                null="exact mean and variance under shuffled labels",
                frame=frame,
                refused={"price": "stays a float"},
            ),
            Ranking(method="boosted_shap", params={}, unit="log-odds", null=None, frame=shap),
        ),
        explanations=(
            Explanation(
                method="permutation_shap",
                fields=("city", "odd", "user"),
                values=rng.normal(size=(5, 3)),
                base=np.zeros(5),
                rows=np.arange(5),
                checks={"additivity": 3.2e-6},
                model=f"m-{chosen}"[:16],
                notes=("5 rows",),
            ),
        ),
        evaluations={c.name: evaluation(c.name) for c in contenders},
        feature_set=FeatureSet(
            fields=("city", "odd", "user"),
            remaps={"city": np.array([0, 1, 2, 3, 1], np.uint32)},
            method="gated",
            params={"use": "gated", "gate": {"use": "optfs", "epochs": 6}},
            encoder="e",
        ),
    )


def delta(old: float, gap: float, half: float) -> Delta:
    """Return a difference with its paired interval."""
    difference = Metric(value=gap, low=gap - half, high=gap + half, method="delong, paired")
    return Delta(champion=old, challenger=old + gap, difference=difference)


def review_of(made: Made) -> Review:
    """Return how the version of `made` stands against version 2: one rule failed, hostile segments, a sensitive field's hash."""
    run = made.run

    def segment(field: str, value: str | None, rows: int, area: Delta | None) -> SegmentDelta:
        return SegmentDelta(
            field=field, value=value, rows=rows, observed=0.1, champion_ratio=0.9, challenger_ratio=1.1, auc=area
        )

    def difference(name: str, change: Any, *, sensitive: bool = False, **top: tuple[str, ...]) -> FieldDifference:
        return FieldDifference(
            name=name, change=change, before=10, after=12, gained=5, lost=3, merged=1, parted=0, top=top,
            sensitive=sensitive,
        )  # fmt: skip

    comparison = WindowComparison(
        source="s3://key:secret@bucket/new.parquet",
        rows=1000,
        positives=100,
        metrics={
            "auc": delta(0.7488, 0.0022, 0.0041),
            "log_loss": delta(0.3120, -0.0020, 0.0030),
            "calibration_ratio": delta(1.0500, -0.0300, 0.0200),
        },
        first="2026-01-01",
        last="2026-01-07",
        young=40,
        segments=(
            segment("city", SCRIPT, 400, delta(0.7, 0.01, 0.02)),
            segment("city", "=cmd()|' /C calc'!A0", 30, None),
            segment("city", None, 20, None),
            segment("city", "Nineteen rows", 19, None),
            segment("user", "#0a1b2c3d", 50, delta(0.6, -0.01, 0.02)),
        ),
        drift=(
            FieldDrift(
                field="city", other=0.3, other_trained=0.1, missing=0.0, missing_trained=0.05, distance=0.2, limit=0.01
            ),
            FieldDrift(
                field="load", other=0.0, other_trained=None, missing=0.1, missing_trained=0.1, distance=None, limit=None
            ),
        ),
        scores=(ScoreDrift(model="champion", distance=0.3, limit=0.1),),
        notes=("rows without a label were left out",),
    )
    lines = (
        CheckLine(rule="auc", status="passed", words="AUC +0.0022 (-0.0019 to +0.0063): lower limit above -0.0050"),
        CheckLine(rule="latency", status="failed", words="14.0 ms against 12.0 ms: must be at most 1.1 times it"),
        CheckLine(rule="audit", status="note", words="nothing was asked"),
    )
    return Review(
        model_name="click_demo",
        headline=run.verdict.headline,
        data={"source": "clicks.parquet", "digest": run.table.digest, "rows": {}, "base_rate": {}, "label": "click"},
        trained={"model": run.chosen.model, "config": digest_json(run.config)},
        champion=2,
        check=Check(lines=lines, champion=2, rows=1000),
        costs=Costs(bytes=1_000_000, milliseconds=14.0, fields=3, values=360),
        champion_costs=Costs(bytes=2_000_000, milliseconds=12.0, fields=4, values=400),
        comparison=comparison,
        changes=SetDifference(
            fields=(
                difference("noise", "removed"),
                difference("city", "changed", gained=(SCRIPT, "=cmd()"), lost=("Bern",)),
                difference("user", "changed", sensitive=True, gained=("ann@example.org",)),
            ),
            same=("odd",),
        ),
    )
