"""The verdict: accept or refuse, why, the small model beside the full net, and where it is registered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from ctrsel.records.evaluation import Metric
from ctrsel.records.run import Contender
from ctrsel.report.numbers import auc, change, count, interval, plain, seconds, share, signed, size
from ctrsel.report.sections.facts import Facts, metric_cell, one_seed
from ctrsel.report.table import Cell, Column, Row, Table, number
from ctrsel.report.wording import public

__all__ = ["Reason", "reasons", "verdict"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One rule that was checked: passed, failed, or for information (note)."""

    status: str
    words: str


def reasons(sentences: tuple[str, ...]) -> tuple[Reason, ...]:
    """Split the state of each rule from its sentence.

    Examples:
        >>> [r.status for r in reasons(("passed: small", "FAILED: slow", "for information: new", "odd"))]
        ['passed', 'failed', 'note', 'note']
    """
    found = []
    for sentence in sentences:
        head, colon, rest = sentence.partition(": ")
        status = head.lower()
        if colon and status in ("passed", "failed"):
            found.append(Reason(status=status, words=_capital(rest)))
        else:
            words = rest if colon and status == "for information" else sentence
            found.append(Reason(status="note", words=_capital(words)))
    return tuple(found)


def verdict(facts: Facts) -> dict[str, Any]:
    """Return what the section shows."""
    run, chosen, full = facts.run, facts.chosen, facts.full
    checked = reasons(run.verdict.reasons)
    failed = [r for r in checked if r.status == "failed"]
    if run.verdict.promoted:
        sentence = "the small model passes every rule." if not failed else "the small model is promoted."
    else:
        rules = sum(r.status != "note" for r in checked)
        sentence = (
            f"the small model fails {len(failed)} of {rules} rules." if failed else "the small model is not promoted."
        )
    return {
        "accepted": run.verdict.promoted,
        "word": "Accept" if run.verdict.promoted else "Refuse",
        "sentence": sentence,
        "headline": run.verdict.headline,
        "reasons": checked,
        "one_seed": one_seed(run),
        "seed": run.seed,
        "tiles": _tiles(run.verdict.delta_auc, chosen, full),
        "comparison": _comparison(run.verdict.delta_auc, chosen, full),
        "registration": run.registration,
        "command": public(run.registration.ui_command) if run.registration else "",
        "may_register": bool((run.config.get("register") or {}).get("enabled", False)),
        "stops": len(facts.evidence.audit.stops),
        "check": None if facts.review is None else ("passed" if facts.review.check.passed else "failed"),
        "champion": None if facts.review is None else facts.review.champion,
    }


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]


def _tiles(delta: Metric, chosen: Contender, full: Contender | None) -> list[dict[str, str]]:
    tiles = [
        {
            "label": "Test AUC",
            "value": auc(chosen.metrics.get("auc")),
            "note": f"{signed(delta.value)}{_span(delta)} against the full net" if full else "",
        }
    ]
    if full is None:
        return tiles
    return [
        *tiles,
        {
            "label": "Values kept",
            "value": share(chosen.values, full.values),
            "note": f"{count(chosen.values)} of {count(full.values)}",
        },
        {
            "label": "Size on disk",
            "value": share(chosen.bytes, full.bytes),
            "note": f"{size(chosen.bytes)} of {size(full.bytes)}",
        },
        {
            "label": "Time to score",
            "value": share(chosen.milliseconds, full.milliseconds),
            "note": f"{plain(chosen.milliseconds, 1)} of {plain(full.milliseconds, 1)} ms per 1,000 rows",
        },
    ]


def _span(delta: Metric) -> str:
    span = interval(delta, sign=True)
    return f" ({span})" if span else ""


def _comparison(delta: Metric, chosen: Contender, full: Contender | None) -> Table:
    """Put the small model beside the full net; AUC's change carries its paired interval."""

    def metric(name: str, label: str, unit: str, digits: int, change: Cell | None = None) -> Row:
        new, old = chosen.metrics.get(name), full.metrics.get(name) if full else None
        cells = [Cell(text=label, small=unit), metric_cell(new, digits)]
        if full is not None:
            known = new is not None and old is not None and new.value is not None and old.value is not None
            moved = new.value - old.value if known else None  # type: ignore[union-attr,operator]  # both are known there
            cells += [metric_cell(old, digits), change or number(signed(moved, digits), moved)]
        return Row(cells=tuple(cells))

    def cost(label: str, unit: str, write: Callable[[float], str], of: Callable[[Contender], float]) -> Row:
        cells = [Cell(text=label, small=unit), number(write(of(chosen)))]
        if full is not None:
            cells += [number(write(of(full))), number(change(of(chosen), of(full)))]
        return Row(cells=tuple(cells))

    paired = number(signed(delta.value), delta.value, small=interval(delta, sign=True))
    rows = [
        metric("auc", "AUC", "", 4, paired),
        metric("log_loss", "Log-loss", "nats per row", 4),
        metric("calibration_ratio", "Calibration", "predicted / observed", 3),
        metric("ece", "ECE", "20 bins", 4),
        *([metric("grouped_auc", "Grouped AUC", "", 4)] if "grouped_auc" in chosen.metrics else []),
        cost("Fields", "", count, lambda c: c.fields),
        cost("Values", "", count, lambda c: c.values),
        cost("Size on disk", "", size, lambda c: c.bytes),
        cost("Time to score", "ms per 1,000 rows", partial(plain, digits=1), lambda c: c.milliseconds),
        cost("Training", "search included", seconds, lambda c: c.seconds),
    ]
    columns = [Column(label="On the test split", number=False), Column(label="Small model")]
    if full is not None:
        columns += [Column(label="Full net"), Column(label="Change")]
    caption = "The small model beside the full net. In small figures: intervals at 95 %; the change of AUC is paired."
    return Table(caption=caption, columns=tuple(columns), rows=tuple(rows))
