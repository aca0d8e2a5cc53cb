"""The audit: what was found in the table before anything was trained, worst first."""

from __future__ import annotations

from typing import Any

from ctrsel.records.audit import Finding
from ctrsel.report.numbers import DASH
from ctrsel.report.sections.facts import Facts
from ctrsel.report.table import Cell, Column, Row, Table, badge, text

__all__ = ["audit"]

_ORDER = {"stop": 0, "warn": 1, "note": 2}
_TONE = {"stop": "bad", "warn": "warn", "note": "plain"}


def audit(facts: Facts) -> dict[str, Any]:
    """Return what the section shows: what needs a decision in the open, notes folded."""
    found = sorted(facts.evidence.audit.findings, key=lambda f: (_ORDER[f.severity], f.accepted))
    loud = [f for f in found if f.severity != "note"]
    notes = [f for f in found if f.severity == "note"]
    return {
        "loud": _table(loud, "Findings that ask for a decision, worst first") if loud else None,
        "notes": _table(notes, "Notes of the audit") if notes else None,
        "note_count": len(notes),
        "stops": len(facts.evidence.audit.stops),
        "accepted": sum(f.accepted for f in found),
        "any": bool(found),
    }


def _table(findings: list[Finding], caption: str) -> Table:
    columns = (
        Column(label="Severity", number=False),
        Column(label="Field", number=False),
        Column(label="Rule", number=False),
        Column(label="Evidence", number=False),
        Column(label="Advice", number=False),
    )
    rows = []
    for f in findings:
        marks = ((f.severity, _TONE[f.severity]),) + ((("accepted", "plain"),) if f.accepted else ())
        severity = badge(f.severity, _TONE[f.severity], sort=_ORDER[f.severity] + 0.5 * f.accepted)
        rows.append(
            Row(
                cells=(
                    Cell(text=severity.text, badges=marks, sort=severity.sort),
                    text(f.field, limit=40) if f.field is not None else Cell(text=f"{DASH} the table", muted=True),
                    text(f.rule.replace("_", " ")),
                    text(f.evidence, limit=600),
                    text(f.advice, limit=600),
                )
            )
        )
    return Table(caption=caption, columns=columns, rows=tuple(rows), sortable=True)
