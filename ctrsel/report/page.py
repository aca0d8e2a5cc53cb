"""The HTML report: verdict first, then the evidence, then the detail; one file that needs no network."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from ctrsel.core.artifact import atomic_text, to_json
from ctrsel.records.audit import Audit
from ctrsel.records.evaluation import Evaluation
from ctrsel.records.explanation import Explanation
from ctrsel.records.feature_set import FeatureSet
from ctrsel.records.ranking import Ranking
from ctrsel.records.run import Run
from ctrsel.report import numbers, svg
from ctrsel.report.redact import check_shown

__all__ = ["write_report"]

_EXTRAS = {
    "mi_minus_expected": "MI above chance, nats",
    "ami": "adjusted MI",
    "z": "z",
    "held_out_gain": "held-out gain, nats",
}
_HISTORY = {"kept": "values still open", "tau": "temperature", "valid_auc": "validation AUC"}
_CHARTED = 25  # fields in the bar chart


def write_report(
    run: Run,
    *,
    audit: Audit,
    rankings: Sequence[Ranking],
    explanations: Sequence[Explanation],
    evaluations: Mapping[str, Evaluation],
    feature_set: FeatureSet | None,
    path: Path,
) -> Path:
    """Write the page of a run.

    Args:
        run: The run.
        audit: Its audit.
        rankings: Its rankings; the first one gave the order of the fields.
        explanations: Of the trees and of the chosen net.
        evaluations: By contender, on test.
        feature_set: The chosen one.
        path: Where the file goes; written whole or not at all.

    Returns:
        The path.

    Raises:
        DataError: If a value of a sensitive field would be printed as it is.
    """
    chosen = run.chosen
    full = next((c for c in run.contenders if c.learner == chosen.learner and c.selector is None), chosen)
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, loader=jinja2.PackageLoader("ctrsel.report", ".")
    )
    page = environment.get_template("page.html").render(
        run=run,
        audit=audit,
        rankings=rankings,
        explanations=explanations,
        feature_set=feature_set,
        chosen=chosen,
        full=full,
        n=numbers,
        css=Markup(resources.files("ctrsel.report").joinpath("style.css").read_text(encoding="utf-8")),
        auc_chart=Markup(_auc_chart(run)),
        reliability_chart=Markup(_reliability_chart(evaluations, (full.name, chosen.name))),
        attribution_chart=Markup(_attribution_chart(run)),
        history_chart=Markup(_history_chart(run)),
        segments=evaluations[chosen.name].segments if chosen.name in evaluations else (),
        extras=_extras(rankings),
        shown=[{"name": f.name, "values": f.values, "rows": rows} for f in run.fields if (rows := check_shown(f))],
        params=to_json(dict(feature_set.params)) if feature_set else "",
        dropped_fields=[f.name for f in run.fields if not f.kept],
        config=json.dumps(_without_none(dict(run.config)), indent=2, ensure_ascii=False, default=str),
    )
    atomic_text(path, page)
    return path


def _auc_chart(run: Run) -> str:
    rows = []
    for c in run.contenders:
        metric = c.metrics["auc"]
        if metric.value is not None:
            css = "chosen" if c.name == run.verdict.chosen else "control" if c.role == "control" else ""
            rows.append((c.name, metric.value, metric.low, metric.high, css))
    return svg.dots(rows, title="Test AUC by model")


def _reliability_chart(evaluations: Mapping[str, Evaluation], names: Sequence[str]) -> str:
    curves = {name: evaluations[name].reliability for name in dict.fromkeys(names) if name in evaluations}
    return svg.reliability(curves, title="Predicted against observed rate") if curves else ""


def _attribution_chart(run: Run) -> str:
    known = sorted((f for f in run.fields if f.attribution is not None), key=lambda f: -(f.attribution or 0.0))
    rows = [(f.name, f.attribution or 0.0, f.attribution_error, "") for f in known[:_CHARTED]]
    return svg.bars(rows, title="Attribution by field, log-odds") if rows else ""


def _history_chart(run: Run) -> str:
    history = run.selection_history
    series = {
        title: [float(h[key]) for h in history]
        for key, title in _HISTORY.items()
        if history and all(key in h for h in history)
    }
    ticks = [f"{h.get('epoch', i + 1):.0f}" for i, h in enumerate(history)]
    return svg.lines(series, title="Search by epoch", ticks=ticks) if series else ""


def _extras(rankings: Sequence[Ranking]) -> list[dict[str, Any]]:
    """Return further evidence columns of the rankings that have them, by field."""
    found = []
    for ranking in rankings:
        for name, title in _EXTRAS.items():
            if name in ranking.frame.columns and name != ranking.unit:
                by = dict(zip(ranking.frame["field"].to_list(), ranking.frame[name].to_list(), strict=True))
                found.append({"title": title, "by_field": by})
    return found


def _without_none(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: _without_none(v) for k, v in value.items() if v not in (None, {}, ())}
    if isinstance(value, list | tuple):
        return [_without_none(v) for v in value]
    return value
