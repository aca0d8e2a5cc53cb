"""The selection: how the search went, what was dropped, and what the choice was compared with."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from markupsafe import Markup

from ctrsel.report.charts.line_chart import line_chart
from ctrsel.report.numbers import DASH, count, percent, plain, share, signed
from ctrsel.report.sections.account import account
from ctrsel.report.sections.crosses import still_read
from ctrsel.report.sections.facts import ROLES, Facts
from ctrsel.report.table import Cell, Column, Row, Table, number, text
from ctrsel.report.wording import settings

__all__ = ["selection"]

_LISTED = 15  # fields in the table of dropped values

_CURVES: tuple[tuple[str, str, Callable[[float], str], bool], ...] = (
    ("kept", "Share of values whose gate is open", lambda v: f"{100 * v:.3g} %", False),
    ("tau", "Temperature (1 = soft, high = hard; logarithmic)", lambda v: f"{v:,.4g}", True),
    ("valid_auc", "AUC on validation while searching", lambda v: f"{v:.4f}", False),
)


def selection(facts: Facts) -> dict[str, Any]:
    """Return what the section shows."""
    run, chosen, charts = facts.run, facts.chosen, _history(facts)
    # What `select.never_use` names is in no net, the full one included: it was not dropped by this selection.
    aside = set(run.config.get("select", {}).get("never_use", ()))
    gone = [f for f in run.fields if not f.kept and f.name not in aside]
    before = facts.full or run.table
    return {
        "name": chosen.name,
        "charts": charts,
        "epochs_table": _epochs(facts, [c["key"] for c in charts]) if charts else None,
        "epochs": len(run.selection_history),
        "kept_values": count(chosen.values),
        "all_values": count(before.values),
        "kept_share": share(chosen.values, before.values),
        "kept_fields": count(chosen.fields),
        "all_fields": count(before.fields),
        "aside": [text(f.name, limit=40) for f in run.fields if f.name in aside],
        "read": [text(n, limit=40) for n in still_read(run.crosses, kept={f.name for f in run.fields if f.kept})],
        "gone": [text(f.name, limit=40) for f in gone],
        "dropped": _dropped(facts) if facts.evidence.account is None else None,
        "account": account(facts.evidence.account) if facts.evidence.account is not None else None,
        "compared": _compared(facts),
        "method": facts.evidence.feature_set.method if facts.evidence.feature_set else None,
        "other": facts.evidence.feature_set.other if facts.evidence.feature_set else None,
        "params": settings(dict(facts.evidence.feature_set.params)) if facts.evidence.feature_set else "",
    }


def _history(facts: Facts) -> list[dict[str, Any]]:
    history = facts.run.selection_history
    if facts.evidence.feature_set is not None and not facts.evidence.feature_set.method.startswith("gated"):
        return []  # the curves are those of gates
    epochs = [float(h.get("epoch", i + 1)) for i, h in enumerate(history)]
    found: list[dict[str, Any]] = []
    for key, title, write, logarithmic in _CURVES:
        values = [h.get(key) for h in history]
        if not values or any(v is None or not math.isfinite(v) or (logarithmic and v <= 0) for v in values):
            continue
        numbers = [float(v) for v in values if v is not None]
        name = f"search-{key.replace('_', '-')}"
        drawn: Markup = line_chart(epochs, numbers, name=name, title=title, write=write, logarithmic=logarithmic)
        found.append({"key": key, "title": title, "chart": drawn})
    return found


def _epochs(facts: Facts, keys: list[str]) -> Table:
    """Return the numbers of the curves."""
    curves = [c for c in _CURVES if c[0] in keys]
    rows = tuple(
        Row(
            cells=(
                number(plain(float(h.get("epoch", i + 1)), 0), float(h.get("epoch", i + 1))),
                *(number(write(float(h[key])), float(h[key])) for key, _, write, _ in curves),
            )
        )
        for i, h in enumerate(facts.run.selection_history)
    )
    heads = {"kept": "Values open", "tau": "Temperature", "valid_auc": "AUC on validation"}
    columns = (Column(label="Epoch"), *(Column(label=heads[key], title=title) for key, title, _, _ in curves))
    return Table(caption="The search, epoch by epoch", columns=columns, rows=rows, id="search-table")


def _dropped(facts: Facts) -> Table | None:
    """List the kept fields that lose most of their values."""
    cut = [f for f in facts.run.fields if f.kept and f.values_kept < f.values]
    if not cut:
        return None
    cut = sorted(cut, key=lambda f: f.values_kept - f.values)[:_LISTED]
    rows = tuple(
        Row(
            cells=(
                text(f.name, limit=40),
                number(count(f.values), f.values),
                number(count(f.values_kept), f.values_kept),
                number(count(f.values - f.values_kept), f.values - f.values_kept),
                number(percent(1 - f.traffic_kept), 1 - f.traffic_kept),
            )
        )
        for f in cut
    )
    columns = (
        Column(label="Field", number=False),
        Column(label="Values", unit="before"),
        Column(label="Values", unit="kept"),
        Column(label="Values", unit="dropped"),
        Column(label="Traffic", unit="dropped", title="Share of training rows that become other"),
    )
    return Table(caption="Kept fields that lose most values", columns=columns, rows=rows, sortable=True)


def _compared(facts: Facts) -> Table | None:
    run, chosen = facts.run, facts.chosen
    others = [c for c in run.contenders if c.selector is not None and c.name != chosen.name]
    if not others:
        return None
    rows = []
    for c in (chosen, *others):
        here, mine = c.metrics.get("auc"), chosen.metrics.get("auc")
        value = here.value if here else None
        gap = mine.value - value if mine and mine.value is not None and value is not None and c is not chosen else None
        rows.append(
            Row(
                cells=(
                    text(c.name, badges=((ROLES[c.role], "plain"),)),
                    number(count(c.fields), c.fields),
                    number(count(c.values), c.values),
                    number(plain(c.valid.get("auc")), c.valid.get("auc")),
                    number(plain(value), value),
                    number(signed(gap), gap) if c is not chosen else Cell(text=DASH, number=True),
                ),
                strong=c is chosen,
            )
        )
    columns = (
        Column(label="Selection", number=False),
        Column(label="Fields"),
        Column(label="Values"),
        Column(label="AUC", unit="validation"),
        Column(label="AUC", unit="test"),
        Column(label="Chosen minus this", unit="test AUC"),
    )
    return Table(caption="The choice beside other selections of about the same size", columns=columns, rows=tuple(rows))
