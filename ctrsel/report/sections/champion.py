"""Against the champion: the promotion check rule by rule, both models on the same rows, and what has changed."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from ctrsel.records.review import Costs, Review
from ctrsel.records.run import Run
from ctrsel.records.set_difference import FieldDifference, SetDifference
from ctrsel.records.window import Delta, FieldDrift, ScoreDrift, SegmentDelta, WindowComparison
from ctrsel.report.numbers import change, count, interval, percent, plain, signed, size
from ctrsel.report.redact import may_show
from ctrsel.report.sections.facts import Facts
from ctrsel.report.table import Cell, Column, Row, Table, badge, number, text
from ctrsel.report.wording import public, shorten

__all__ = ["champion"]

_METRICS = (("auc", "AUC", "", 4), ("log_loss", "Log-loss", "nats per row", 4))
_RATIO = ("calibration_ratio", "Calibration", "predicted / observed", 3)
_TONE = {"passed": "good", "failed": "bad", "note": "plain"}
_KINDS = ("gained", "lost", "merged", "parted")


def champion(facts: Facts) -> dict[str, Any]:
    """Return what the section shows.

    Raises:
        DataError: If a sensitive field's value is not a hash.
    """
    run, review = facts.run, facts.review
    if review is None:
        return {"state": "none", "may_register": bool((run.config.get("register") or {}).get("enabled", False))}
    found = review.comparison
    state = "compared" if found is not None else "first" if review.champion is None else "unusable"
    gap = found.metrics["auc"].difference if found is not None else None
    return {
        "state": state,
        "version": review.champion,
        "passed": review.check.passed,
        "failed": sum(line.status == "failed" for line in review.check.lines),
        "rules": sum(line.status != "note" for line in review.check.lines),
        "check": _check(review),
        "gap": signed(gap.value) if gap is not None else "",
        "span": interval(gap, sign=True),
        "rows": _rows(found) if found is not None else None,
        "notes": found.notes if found is not None else (),
        "metrics": _metrics(found) if found is not None else None,
        "segments": _segments(run, found.segments) if found is not None else [],
        "drift": _drift(found.drift) if found is not None and found.drift else None,
        "moved": sum(d.moved for d in found.drift) if found is not None else 0,
        "drifted": len(found.drift) if found is not None else 0,
        "scores": _scores(found.scores) if found is not None and found.scores else None,
        "costs": _costs(review.costs, review.champion_costs),
        "changes": _changes(run, review.changes) if review.changes is not None else None,
        "gained": review.changes.of("added") if review.changes is not None else (),
        "lost": review.changes.of("removed") if review.changes is not None else (),
        "same": len(review.changes.same) if review.changes is not None else 0,
        "back": f"ctrsel rollback {shorten(review.model_name, 200)} --reason WHY",
        "model": review.model_name,
    }


def _rows(found: WindowComparison) -> dict[str, str]:
    span = "" if found.first is None else f"{found.first} to {found.last}"
    return {
        "source": shorten(public(found.source), 200),
        "rows": count(found.rows),
        "positives": count(found.positives),
        "span": span,
        "young": count(found.young) if found.young else "",
    }


def _check(review: Review) -> Table:
    rows = tuple(
        Row(
            cells=(
                text({"auc": "AUC"}.get(line.rule, line.rule.replace("_", " "))),
                badge("for information" if line.status == "note" else line.status, _TONE.get(line.status, "plain")),
                text(line.words[:1].upper() + line.words[1:], limit=600),
            )
        )
        for line in review.check.lines
    )
    columns = (Column(label="Rule", number=False), Column(label="Result", number=False))
    return Table(
        caption="The promotion check, rule by rule",
        columns=(*columns, Column(label="Figures, and what they must be", number=False)),
        rows=rows,
    )


def _delta(of: Delta, digits: int) -> tuple[Cell, Cell, Cell]:
    gap = of.difference
    return (
        number(plain(of.champion, digits), of.champion),
        number(plain(of.challenger, digits), of.challenger),
        number(signed(gap.value, digits), gap.value, small=interval(gap, digits, sign=True)),
    )


def _metrics(found: WindowComparison) -> Table:
    rows = tuple(
        Row(cells=(Cell(text=label, small=unit), *_delta(found.metrics[key], digits)))
        for key, label, unit, digits in (*_METRICS, _RATIO)
        if key in found.metrics
    )
    columns = (
        Column(label=f"On the same {count(found.rows)} rows", number=False),
        Column(label="Champion"),
        Column(label="This version"),
        Column(label="Difference", unit="95 %, paired"),
    )
    caption = "Both models on the same rows; the difference is this version less the champion, with its paired interval"
    return Table(caption=caption, columns=columns, rows=rows)


def _segments(run: Run, segments: Sequence[SegmentDelta]) -> list[Table]:
    secret = {f.name: f.sensitive for f in run.fields}
    columns = (
        Column(label="Value", number=False),
        Column(label="Rows"),
        Column(label="Observed", unit="positive"),
        Column(label="Pred. / obs.", unit="champion"),
        Column(label="Pred. / obs.", unit="this version"),
        Column(label="AUC", unit="champion"),
        Column(label="AUC", unit="this version"),
        Column(label="Difference", unit="95 %, paired"),
    )
    tables = []
    for field, group in itertools.groupby(segments, key=lambda s: s.field):
        rows = []
        for s in group:
            told = {"value": "(missing)" if s.value is None else s.value, "rows": s.rows}
            if not may_show(told, field=field, sensitive=secret.get(field, False)):
                continue
            areas = _delta(s.auc, 4) if s.auc is not None else (number(plain(None)),) * 3
            rows.append(
                Row(
                    cells=(
                        Cell(text="no value", muted=True) if s.value is None else text(s.value),
                        number(count(s.rows), s.rows),
                        number(percent(s.observed, 2), s.observed),
                        number(plain(s.champion_ratio, 3), s.champion_ratio),
                        number(plain(s.challenger_ratio, 3), s.challenger_ratio),
                        *areas,
                    )
                )
            )
        caption = f"Champion and this version by {shorten(field)}"
        if rows:
            tables.append(Table(caption=caption, columns=columns, rows=tuple(rows), sortable=True))
    return tables


def _drift(drift: Sequence[FieldDrift]) -> Table:
    rows = []
    for d in sorted(drift, key=lambda d: (not d.moved, -(d.distance or 0.0))):
        mark = (("moved", "warn"),) if d.moved else ()
        rows.append(
            Row(
                cells=(
                    text(d.field, limit=40, badges=mark),
                    number(plain(d.distance), d.distance),
                    number(plain(d.limit), d.limit),
                    number(percent(d.other), d.other),
                    number(percent(d.other_trained), d.other_trained),
                    number(percent(d.missing), d.missing),
                    number(percent(d.missing_trained), d.missing_trained),
                )
            )
        )
    columns = (
        Column(label="Field", number=False),
        Column(label="Distance", unit="nats", title="Jensen-Shannon divergence from the rows of training"),
        Column(label="Chance", unit="95 % below", title="What samples of the same sizes from one distribution give"),
        Column(label="Unseen or rare", unit="these rows"),
        Column(label="Unseen or rare", unit="training"),
        Column(label="Missing", unit="these rows"),
        Column(label="Missing", unit="training"),
    )
    caption = "Drift of the inputs: these rows against those that this version was trained on, farthest first"
    return Table(caption=caption, columns=columns, rows=tuple(rows), sortable=True)


def _scores(scores: Sequence[ScoreDrift]) -> Table:
    rows = tuple(
        Row(
            cells=(
                text("Champion" if s.model == "champion" else "This version"),
                number(plain(s.distance), s.distance),
                number(plain(s.limit), s.limit),
                badge("moved", "warn") if s.distance > s.limit else badge("as then", "good"),
            )
        )
        for s in scores
    )
    columns = (
        Column(label="Scores of", number=False),
        Column(label="Distance", unit="PSI, nats"),
        Column(label="Chance", unit="95 % below"),
        Column(label="Result", number=False),
    )
    return Table(caption="Drift of the scores since the test rows of each model's run", columns=columns, rows=rows)


def _costs(mine: Costs, other: Costs | None) -> Table:
    def row(label: str, unit: str, new: str, old: str, moved: str) -> Row:
        cells = (number(old), number(new), number(moved)) if other is not None else (number(new),)
        return Row(cells=(Cell(text=label, small=unit), *cells))

    o = other or mine
    rows = (
        row("Fields", "", count(mine.fields), count(o.fields), change(mine.fields, o.fields)),
        row("Values", "", count(mine.values), count(o.values), change(mine.values, o.values)),
        row("Size on disk", "", size(mine.bytes), size(o.bytes), change(mine.bytes, o.bytes)),
        row(
            "Time to score",
            "ms per 1,000 rows",
            plain(mine.milliseconds, 2),
            plain(o.milliseconds, 2),
            change(mine.milliseconds, o.milliseconds),
        ),
    )
    own = Column(label="This version")
    shown = (Column(label="Champion"), own, Column(label="Change")) if other is not None else (own,)
    caption = "Size and latency" + (", measured side by side" if other is not None else " of this version")
    return Table(caption=caption, columns=(Column(label="Cost", number=False), *shown), rows=rows)


def _changes(run: Run, found: SetDifference) -> Table | None:
    """Tell each field's gains and losses, those of whole fields first."""
    if not found.fields:
        return None
    secret = {f.name for f in run.fields if f.sensitive}
    order = {"added": 0, "removed": 1, "changed": 2}
    marks = {"added": ("gained", "good"), "removed": ("lost", "bad"), "changed": ("changed", "plain")}
    rows = tuple(
        Row(
            cells=(
                text(f.name, limit=40, badges=(marks[f.change],)),
                number(count(f.before), f.before),
                number(count(f.after), f.after),
                *(number(count(getattr(f, kind)), getattr(f, kind)) for kind in _KINDS),
                text("" if f.sensitive or f.name in secret else _top(f), limit=160),
            )
        )
        for f in sorted(found.fields, key=lambda f: (order[f.change], -(f.gained + f.lost)))
    )
    columns = (
        Column(label="Field", number=False),
        Column(label="Values", unit="champion"),
        Column(label="Values", unit="this version"),
        *(Column(label=kind.capitalize(), unit="values") for kind in _KINDS),
        Column(label="Most frequent among them", number=False),
    )
    caption = "Fields and values gained and lost against the champion"
    return Table(caption=caption, columns=columns, rows=rows, sortable=True)


def _top(found: FieldDifference) -> str:
    told = [f"{kind}: {', '.join(shorten(t, 40) for t in found.top[kind])}" for kind in _KINDS if found.top.get(kind)]
    return "; ".join(told)
