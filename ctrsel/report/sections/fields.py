"""The fields: what each tells alone, what the model makes of it, and which of its values were kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ctrsel.records.ranking import Ranking
from ctrsel.records.run import FieldSummary
from ctrsel.report.charts.field_chart import Bar, field_chart
from ctrsel.report.numbers import DASH, count, p_value, percent, plain
from ctrsel.report.redact import check_shown
from ctrsel.report.sections.crosses import crosses
from ctrsel.report.sections.facts import Facts
from ctrsel.report.table import Cell, Column, Row, Table, badge, number, text

__all__ = ["fields"]

_DRAWN = 25  # fields in the chart

# Column of a ranking: head, unit, digits, meaning.
_EVIDENCE: Mapping[str, tuple[str, str, int, str]] = {
    "mi_minus_expected": ("MI \u2212 EMI", "nats", 5, "Mutual information less what shuffled labels would give"),
    "z": ("z", "sd", 1, "Mutual information above its mean under shuffled labels, in their standard deviations"),
    "ami": ("AMI", "share", 4, "Adjusted mutual information: 0 for chance, 1 for a copy of the label"),
    "q": ("q", "", 4, "Share of false discoveries if this field and all better ones are called signal"),
    "held_out_gain": ("Held-out gain", "nats per row", 5, "Log-loss that the field alone saves on validation rows"),
}


def fields(facts: Facts, *, opened: int = 300, listed: int = 20) -> dict[str, Any]:
    """Return what the section shows.

    Args:
        facts: What the page is made from.
        opened: Fields whose values are listed.
        listed: How many of each, at most.

    Raises:
        DataError: If a sensitive field's value is not a hash.
    """
    run = facts.run
    rankings = [r for r in facts.evidence.rankings if "value" not in r.frame.columns]
    evidence = _evidence(rankings)
    known = {name for name, _ in evidence}
    others = [r for r in rankings if not known & set(r.frame.columns)]
    main = _main_score(evidence, others)
    bars = [
        Bar(
            name=f.name,
            score=main[2].get(f.name),
            attribution=f.attribution,
            error=f.attribution_error,
            kept=f.kept,
        )
        for f in run.fields[:_DRAWN]
    ]
    return {
        "crosses": crosses(run.crosses),
        "table": _table(run.fields, evidence, others, opened=opened),
        "chart": field_chart(bars, score=main[0], unit=main[1]) if bars else None,
        "drawn": len(bars),
        "count": len(run.fields),
        "kept": sum(f.kept for f in run.fields),
        "details": [_detail(i, f, listed=listed) for i, f in enumerate(run.fields[:opened])],
        "opened": min(len(run.fields), opened),
        "refused": _refused(rankings),
        "notes": [
            {"method": _words(r.method), "note": n}
            for r in rankings
            for n in ((r.null and f"compared with {r.null}"), *r.notes)
            if n
        ],
    }


def _words(method: str) -> str:
    return method.replace("_", " ")


def _refused(rankings: list[Ranking]) -> Table | None:
    rows = tuple(
        Row(cells=(text(n, limit=40), text(_words(r.method)), text(why, limit=200)))
        for r in rankings
        for n, why in r.refused.items()
    )
    columns = (
        Column(label="Field", number=False),
        Column(label="Ranking", number=False),
        Column(label="Why it got no score", number=False),
    )
    return Table(caption="Fields that a ranking gave no score", columns=columns, rows=rows) if rows else None


def _column(ranking: Ranking, name: str) -> dict[str, float]:
    found = zip(ranking.frame["field"].to_list(), ranking.frame[name].to_list(), strict=True)
    return {f: float(v) for f, v in found if v is not None}


def _evidence(rankings: list[Ranking]) -> list[tuple[str, dict[str, float]]]:
    found = []
    for name in _EVIDENCE:
        ranking = next((r for r in rankings if name in r.frame.columns), None)
        if ranking is not None:
            found.append((name, _column(ranking, name)))
    return found


def _main_score(
    evidence: list[tuple[str, dict[str, float]]], others: list[Ranking]
) -> tuple[str, str, dict[str, float]]:
    """Return head, unit and numbers of the score that the chart shows."""
    if evidence:
        name, numbers = evidence[0]
        return _EVIDENCE[name][0], _EVIDENCE[name][1], numbers
    if others:
        return _words(others[0].method), others[0].unit, _column(others[0], "score")
    return "score", "", {}


def _table(
    summaries: tuple[FieldSummary, ...],
    evidence: list[tuple[str, dict[str, float]]],
    others: list[Ranking],
    *,
    opened: int,
) -> Table:
    errors = {r.method: _column(r, "standard_error") if "standard_error" in r.frame.columns else {} for r in others}
    scores = {r.method: _column(r, "score") for r in others}
    attributed = any(f.attribution is not None for f in summaries)
    columns = [
        Column(label="Field", number=False),
        Column(label="Rank"),
        Column(label="Kept", number=False),
        Column(label="Values", unit="kept of all"),
        Column(label="Traffic", unit="kept", title="Share of training rows whose value is kept"),
        *(Column(label=_EVIDENCE[n][0], unit=_EVIDENCE[n][1], title=_EVIDENCE[n][3]) for n, _ in evidence),
        *(Column(label=_words(r.method).capitalize().replace("shap", "SHAP"), unit=r.unit) for r in others),
        *(
            [Column(label="SHAP", unit="chosen model", title="Mean absolute attribution in the chosen model, log-odds")]
            if attributed
            else []
        ),
    ]
    rows = []
    for i, f in enumerate(summaries):
        cells: list[Cell] = [
            text(
                f.name,
                limit=40,
                link=f"field-{i + 1}" if i < opened else "",
                small=f.kind,
                badges=(("sensitive", "warn"),) if f.sensitive else (),
            ),
            number(f"{i + 1}", i + 1),
            _kept(f),
            number(
                count(f.values_kept),
                f.values_kept,
                small=f"of {count(f.values)}{', merged' if f.values_merged else ''}",
            ),
            number(percent(f.traffic_kept), f.traffic_kept),
        ]
        for name, numbers in evidence:
            value = numbers.get(f.name)
            written = p_value(value) if name == "q" else plain(value, _EVIDENCE[name][2])
            cells.append(number(written, value))
        for r in others:
            cells.append(_with_error(scores[r.method].get(f.name), errors[r.method].get(f.name)))
        if attributed:
            cells.append(_with_error(f.attribution, f.attribution_error))
        rows.append(Row(cells=tuple(cells)))
    caption = "Fields in the order of the first ranking, best first"
    return Table(caption=caption, columns=tuple(columns), rows=tuple(rows), sortable=True, id="fields-table")


def _kept(f: FieldSummary) -> Cell:
    if not f.kept:
        return badge("dropped", "bad", sort=0)
    if f.traffic_kept < 1 or (f.values_kept < f.values and not f.values_merged):
        return badge("in part", "warn", sort=1)
    if f.values_merged:
        return badge("merged", "good", sort=2)
    return badge("kept", "good", sort=2)


def _with_error(value: float | None, error: float | None) -> Cell:
    if value is None:
        return number(DASH)
    return number(plain(value, 4), value, small=f"\u00b1 {plain(error, 4)}" if error is not None else "")


def _detail(place: int, f: FieldSummary, *, listed: int) -> dict[str, Any]:
    may = check_shown(f)
    hidden = len(f.shown_values) - len(may)
    shown = may[:listed]
    named = sum(1 for v in shown if v["value"] != "(missing)")
    rows = tuple(
        Row(
            cells=(
                _value(v["value"]),
                number(count(v["rows"]), v["rows"]),
                number(percent(v["rate"], 2), v["rate"], small=f"{percent(v['low'], 2)} to {percent(v['high'], 2)}"),
                badge("kept", "good", sort=1) if v["kept"] else badge("dropped", "bad", sort=0),
            )
        )
        for v in shown
    )
    columns = (
        Column(label="Value", number=False),
        Column(label="Rows", unit="training"),
        Column(label="Positive rate", unit="Wilson 95 %"),
        Column(label="Kept", number=False),
    )
    unshown = max(f.values - named, hidden)
    merged = f"{count(f.values_merged)} taken together, " if f.values_merged else ""
    return {
        "id": f"field-{place + 1}",
        "name": text(f.name, limit=60),
        "kept": _kept(f).badges[0],
        "summary": f"{count(f.values_kept)} of {count(f.values)} values kept, {merged}{percent(f.traffic_kept)} of training rows",
        "sensitive": f.sensitive,
        "hidden": hidden,
        "unshown": unshown,
        "table": Table(
            caption=f"Most frequent values of {text(f.name, limit=60).text}", columns=columns, rows=rows, sortable=True
        )
        if rows
        else None,
    }


def _value(value: Any) -> Cell:
    if value is None:
        return Cell(text="no value", muted=True)
    words = str(value)
    if not words:
        return Cell(text="empty text", muted=True)
    if not words.strip():
        return Cell(text=f"{len(words)} blank characters", muted=True)
    return text(words)
