"""The evidence: all contenders with their intervals, what they cost, and whether their probabilities hold."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ctrsel.records.run import Contender
from ctrsel.report.charts.auc_chart import Mark, auc_chart
from ctrsel.report.charts.reliability_chart import reliability_chart
from ctrsel.report.charts.size_chart import Point, size_chart
from ctrsel.report.numbers import count, percent, plain, seconds, size
from ctrsel.report.redact import may_show
from ctrsel.report.sections.facts import ROLES, Facts, metric_cell, tone
from ctrsel.report.table import Cell, Column, Row, Table, number, text
from ctrsel.report.wording import shorten
from ctrsel.stats.intervals import wilson_limits

__all__ = ["evidence"]


def evidence(facts: Facts) -> dict[str, Any]:
    """Return what the section shows."""
    run = facts.run
    known = [
        (c, c.metrics["auc"]) for c in run.contenders if c.metrics.get("auc") and c.metrics["auc"].value is not None
    ]
    marks = [Mark(name=c.name, value=float(m.value or 0), low=m.low, high=m.high, tone=tone(run, c)) for c, m in known]
    points = [Point(name=c.name, bytes=c.bytes, auc=float(m.value or 0), tone=tone(run, c)) for c, m in known]
    full = facts.full.metrics.get("auc") if facts.full else None
    return {
        "contenders": _contenders(facts),
        "auc_chart": auc_chart(marks, full=full.value if full else None) if marks else None,
        "size_chart": size_chart(points) if points else None,
        "reliability": _reliability(facts),
        "segments": _segments(facts),
        "test_rows": count(run.table.rows.get("test")),
    }


def _contenders(facts: Facts) -> Table:
    grouped = any("grouped_auc" in c.metrics for c in facts.run.contenders)
    columns = [
        Column(label="Contender", number=False),
        Column(label="AUC", unit="test"),
        *([Column(label="Grouped AUC", unit="test")] if grouped else []),
        Column(label="AUC", unit="validation", title="What the choice between selections was made by"),
        Column(label="Log-loss", unit="nats per row"),
        Column(label="Calibration", unit="pred. / obs."),
        Column(label="ECE", unit="20 bins"),
        Column(label="Fields"),
        Column(label="Values"),
        Column(label="Size", unit="on disk"),
        Column(label="Score", unit="ms per 1,000"),
        Column(label="Train", unit="search incl."),
        Column(label="Epochs"),
    ]
    rows = [
        Row(
            cells=tuple(_contender(c, chosen=c.name == facts.chosen.name, grouped=grouped)),
            strong=c.name == facts.chosen.name,
        )
        for c in facts.run.contenders
    ]
    caption = "All contenders. Test metrics with intervals at 95 %; the choice was made by the AUC on validation."
    return Table(caption=caption, columns=tuple(columns), rows=tuple(rows), sortable=True, id="contenders-table")


def _contender(c: Contender, *, chosen: bool, grouped: bool) -> list[Cell]:
    badges = (("chosen", "good") if chosen else (ROLES[c.role], "plain"),)
    valid = c.valid.get("auc")
    return [
        text(c.name, badges=badges),
        metric_cell(c.metrics.get("auc")),
        *([metric_cell(c.metrics.get("grouped_auc"))] if grouped else []),
        number(plain(valid), valid),
        metric_cell(c.metrics.get("log_loss")),
        metric_cell(c.metrics.get("calibration_ratio"), 3),
        metric_cell(c.metrics.get("ece")),
        number(count(c.fields), c.fields),
        number(count(c.values), c.values),
        number(size(c.bytes), c.bytes),
        number(plain(c.milliseconds, 1), c.milliseconds),
        number(seconds(c.seconds), c.seconds),
        number(count(c.epochs), c.epochs),
    ]


def _reliability(facts: Facts) -> list[dict[str, Any]]:
    shown = [c for c in (facts.chosen, facts.full) if c is not None and facts.evidence.evaluations.get(c.name)]
    shown = [c for c in shown if facts.evidence.evaluations[c.name].reliability]
    edges = [max(b["predicted"], b["high"]) for c in shown for b in facts.evidence.evaluations[c.name].reliability]
    high = min(max([*edges, 0.01]) * 1.03, 1.0)
    return [
        {
            "of": c.name,
            "role": "chosen small model" if c is facts.chosen else "full net",
            "chart": reliability_chart(
                facts.evidence.evaluations[c.name].reliability,
                name="reliability-chosen" if c is facts.chosen else "reliability-full",
                of=c.name,
                tone=tone(facts.run, c),
                high=high,
            ),
            "table": _bins(facts.evidence.evaluations[c.name].reliability, c, chosen=c is facts.chosen),
        }
        for c in shown
    ]


def _bins(bins: Sequence[Mapping[str, float]], of: Contender, *, chosen: bool) -> Table:
    """Return the numbers of a reliability chart."""
    rows = tuple(
        Row(
            cells=(
                number(f"{i}", i),
                number(count(b["rows"]), b["rows"]),
                number(percent(b["predicted"], 2), b["predicted"]),
                number(
                    percent(b["observed"], 2),
                    b["observed"],
                    small=f"{percent(b['low'], 2)} to {percent(b['high'], 2)}",
                ),
            )
        )
        for i, b in enumerate(bins, start=1)
    )
    columns = (
        Column(label="Bin"),
        Column(label="Rows", unit="test"),
        Column(label="Predicted", unit="mean"),
        Column(label="Observed", unit="Wilson 95 %"),
    )
    caption = f"Predicted and observed rate in bins of equal mass: {shorten(of.name)}"
    place = f"reliability-{'chosen' if chosen else 'full'}-table"
    return Table(caption=caption, columns=columns, rows=rows, id=place)


def _segments(facts: Facts) -> list[Table]:
    """Compare predicted with observed rates, segment by segment, for the chosen model and the full net."""
    mine = facts.evidence.evaluations.get(facts.chosen.name)
    theirs = facts.evidence.evaluations.get(facts.full.name) if facts.full else None
    if mine is None:
        return []
    other = {(s["field"], s["value"]): s for s in theirs.segments} if theirs else {}
    sensitive = {f.name: f.sensitive for f in facts.run.fields}
    shown = [s for s in mine.segments if may_show(s, field=s["field"], sensitive=sensitive.get(s["field"], False))]
    tables = []
    for field, group in itertools.groupby(shown, key=lambda s: str(s["field"])):
        rows = [_segment(s, other.get((s["field"], s["value"]))) for s in group]
        caption = f"Predicted and observed rate by {field}, test split"
        columns = (
            Column(label="Value", number=False),
            Column(label="Rows"),
            Column(label="Observed", unit="95 %"),
            Column(label="Predicted", unit="small model"),
            Column(label="Pred. / obs.", unit="small model"),
        )
        tables.append(Table(caption=caption, columns=columns, rows=tuple(rows), sortable=True))
    return tables


def _segment(s: Mapping[str, Any], other: Mapping[str, Any] | None) -> Row:
    rows, observed, predicted = float(s["rows"]), float(s["observed"]), float(s["predicted"])
    low, high = wilson_limits(np.array([observed]), np.array([rows]))
    off = not low[0] <= predicted <= high[0]
    ratio = s.get("ratio")
    old = other.get("ratio") if other else None
    return Row(
        cells=(
            text(str(s["value"]), badges=(("outside", "warn"),) if off else ()),
            number(count(rows), rows),
            number(
                percent(observed, 2), observed, small=f"{percent(float(low[0]), 2)} to {percent(float(high[0]), 2)}"
            ),
            number(percent(predicted, 2), predicted),
            number(plain(ratio, 3), ratio, small=f"full net {plain(old, 3)}" if other else ""),
        )
    )
