"""The detail: rows and splits, explanations' checks, stages, digests, versions, settings, terms and limits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ctrsel.report.numbers import DASH, count, percent, plain, seconds
from ctrsel.report.sections.facts import Facts, one_seed
from ctrsel.report.sections.terms import SPLITS, TERMS
from ctrsel.report.table import Cell, Column, Row, Table, badge, number, text
from ctrsel.report.wording import public, settings, shorten

__all__ = ["detail"]

_LONGEST = 100_000  # characters of settings


def detail(facts: Facts) -> dict[str, Any]:
    """Return what the section shows."""
    run = facts.run
    grouped = any("grouped_auc" in c.metrics for c in run.contenders)
    return {
        "source": shorten(public(run.table.source), 300),
        "label": text(run.table.label),
        "notes": run.table.notes,
        "splits": _splits(facts),
        "explanations": _explanations(facts),
        "stages": _stages(facts),
        "total": seconds(sum(float(s["seconds"]) for s in run.stages)),
        "audited": _audited(facts),
        "digests": sorted({"run": run.digest, **run.digests}.items()),
        "versions": sorted(run.versions.items()),
        "seeds": ", ".join(str(s) for s in sorted({run.seed, *(c.seed for c in run.contenders)})),
        "config": _config(run.config),
        "terms": [t for t in TERMS if grouped or t[0] != "Grouped AUC"],
        "limits": _limits(facts),
    }


def _config(given: Mapping[str, Any]) -> str:
    """Write the settings; of very many the rest is left to the run's folder."""
    whole = settings(given)
    if len(whole) <= _LONGEST:
        return whole
    return (
        whole[:_LONGEST].rpartition("\n")[0]
        + "\n... all of them stand in the run's folder, and in config.yaml of a version"
    )


def _splits(facts: Facts) -> Table:
    facts_of = facts.run.table
    rows = tuple(
        Row(
            cells=(
                text(name),
                number(count(n), n),
                number(percent(facts_of.base_rate.get(name), 2), facts_of.base_rate.get(name)),
                Cell(text=SPLITS.get(name, DASH)),
            )
        )
        for name, n in sorted(
            facts_of.rows.items(), key=lambda item: list(SPLITS).index(item[0]) if item[0] in SPLITS else 9
        )
    )
    columns = (
        Column(label="Split", number=False),
        Column(label="Rows"),
        Column(label="Base rate", unit="positive"),
        Column(label="What it was read for", number=False),
    )
    return Table(caption="Splits, and which was read for what", columns=columns, rows=rows)


def _explanations(facts: Facts) -> Table | None:
    if not facts.evidence.explanations:
        return None
    names = {c.model: c.name for c in facts.run.contenders if c.model}
    rows = []
    for e in facts.evidence.explanations:
        checks = "; ".join(f"{k} error {v:.2g}" for k, v in e.checks.items()) or "none"
        rows.append(
            Row(
                cells=(
                    text(e.method.replace("_", " ")),
                    text(names.get(e.model, e.model or DASH)),
                    number(count(len(e.rows)), len(e.rows)),
                    text(checks, limit=200),
                    text("; ".join(e.notes), limit=400),
                )
            )
        )
    columns = (
        Column(label="Method", number=False),
        Column(label="Model", number=False),
        Column(label="Rows"),
        Column(label="Checks passed", number=False),
        Column(label="Notes", number=False),
    )
    caption = "Explanations and their checks; additivity: base plus attributions against the logit, worst row"
    return Table(caption=caption, columns=columns, rows=tuple(rows))


def _stages(facts: Facts) -> Table | None:
    if not facts.run.stages:
        return None
    rows = tuple(
        Row(
            cells=(
                text(str(s["name"])),
                number(seconds(float(s["seconds"])), float(s["seconds"])),
                badge("reused", "plain", sort=0) if s["reused"] else badge("run", "good", sort=1),
            )
        )
        for s in facts.run.stages
    )
    columns = (Column(label="Stage", number=False), Column(label="Time"), Column(label="Result", number=False))
    return Table(caption="Stages of this run", columns=columns, rows=rows)


def _audited(facts: Facts) -> Table | None:
    """Return what the audit measured of each field."""
    heads = {
        "values": ("Values", "", 0),
        "auc_alone": ("AUC alone", "held-out", 4),
        "missing_train": ("Missing", "training", -2),
        "unseen_test": ("Unseen", "test rows", -2),
        "psi_test": ("Drift", "PSI to test", 4),
    }
    used = [h for h in heads if any(h in f for f in facts.evidence.audit.facts.values())]
    if not used:
        return None
    rows = []
    for name, measured in facts.evidence.audit.facts.items():
        cells = [text(name, limit=40)]
        for h in used:
            value = measured.get(h)
            digits = heads[h][2]
            known = float(value) if isinstance(value, int | float) else None
            cells.append(number(percent(known, -digits) if digits < 0 else plain(known, digits), known))
        rows.append(Row(cells=tuple(cells)))
    columns = (Column(label="Field", number=False), *(Column(label=heads[h][0], unit=heads[h][1]) for h in used))
    return Table(caption="What the audit measured of each field", columns=columns, rows=tuple(rows), sortable=True)


def _limits(facts: Facts) -> list[str]:
    run = facts.run
    compared = len([c for c in run.contenders if c.role != "reference"])
    found = []
    if one_seed(run):
        found.append(
            f"One seed ({run.seed}). Another seed moves every figure on this page; a difference of the size of that "
            "spread proves nothing. A claim needs five seeds."
        )
    found += [
        "Intervals say how far the figures would move with other test rows of the same kind. They do not hold the "
        "spread between seeds, nor any change of the world after the test period.",
        f"{compared} nets stand on the same test rows. The verdict is about the one that validation chose; the best "
        "test figure in the table, picked afterwards, would be too high.",
        "Rankings look at one field at a time, and miss fields that tell something only together with others.",
        "Attributions describe the model, on a sample of rows; they are no causes.",
        "Times were measured on the machine of this run, on one thread, encoding of raw rows included.",
    ]
    return found
