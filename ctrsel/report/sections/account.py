"""The account of the selection: why fields and values were dropped, and what each kept field is worth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from ctrsel.records.selection_account import FieldAccount, SelectionAccount
from ctrsel.report.numbers import DASH, count, interval, percent, plain, signed
from ctrsel.report.redact import may_show
from ctrsel.report.table import Cell, Column, Row, Table, number, text

__all__ = ["account"]

_OPEN = 15  # fields that are not folded
_VALUES = 200
_LOOKED_AT = 2000  # most frequent values among which those that may be shown are sought


def account(found: SelectionAccount) -> dict[str, Any]:
    """Return what the section shows.

    Raises:
        DataError: If a sensitive field's value is told.
    """
    # What `select.never_use` keeps out was not dropped by this selection, and stands above.
    dropped = [f for f in found.dropped if f.reason != "never_use"]
    kept = sorted((f for f in found.fields if f.kept), key=lambda f: -_lost(f))
    return {
        "dropped": _dropped(dropped[:_OPEN]) if dropped else None,
        "more_dropped": _dropped(dropped[_OPEN:]) if len(dropped) > _OPEN else None,
        "kept": _kept(kept[:_OPEN]) if kept else None,
        "more_kept": _kept(kept[_OPEN:]) if len(kept) > _OPEN else None,
        "measured": any(f.auc_lost is not None for f in kept),
        "changed": _values(found),
    }


def _lost(f: FieldAccount) -> float:
    return f.auc_lost.value if f.auc_lost is not None and f.auc_lost.value is not None else -1.0


def _name(f: FieldAccount) -> Cell:
    return text(f.name, limit=40, small=f.kind, badges=(("sensitive", "warn"),) if f.sensitive else ())


def _dropped(fields: Sequence[FieldAccount]) -> Table:
    rows = tuple(
        Row(
            cells=(_name(f), text(f.why, limit=200), number(count(f.values), f.values), number(plain(f.score), f.score))
        )
        for f in fields
    )
    columns = (
        Column(label="Field", number=False),
        Column(label="Why it was dropped", number=False),
        Column(label="Values", unit="before"),
        Column(label="Score", unit="of the method", title="The field's score, or that of its best value"),
    )
    return Table(caption="Fields that were dropped, and why", columns=columns, rows=rows, sortable=True)


def _kept(fields: Sequence[FieldAccount]) -> Table:
    rows = []
    for f in fields:
        lost = f.auc_lost
        worth = number(DASH)
        if lost is not None and lost.value is not None:
            worth = number(signed(lost.value), lost.value, small=interval(lost, 4))
        is_float = f.values == 0 and f.values_kept == 0
        rows.append(
            Row(
                cells=(
                    _name(f),
                    number(DASH) if is_float else number(count(f.values), f.values),
                    number(DASH) if is_float else number(count(f.values_kept), f.values_kept),
                    number(count(f.values_merged), f.values_merged) if f.values_merged else number(DASH),
                    number(percent(f.covered), f.covered),
                    worth,
                    text(f.why, limit=120),
                )
            )
        )
    columns = (
        Column(label="Field", number=False),
        Column(label="Values", unit="before"),
        Column(label="Values", unit="kept", title="Merged values count once"),
        Column(label="Values", unit="merged", title="Values that share their code with others"),
        Column(label="Rows covered", unit="training", title="Share of training rows whose value is kept"),
        Column(label="AUC lost", unit="without it", title="On validation rows, with the field's values shuffled"),
        Column(label="What was kept", number=False),
    )
    return Table(caption="Kept fields, what is worth most first", columns=columns, rows=tuple(rows), sortable=True)


def _values(found: SelectionAccount) -> Table | None:
    secret = {f.name: f.sensitive for f in found.fields}
    own = (pl.col("reason") != "rare") & pl.col("value").is_not_null() & (pl.col("reason") != "field_dropped")
    changed = found.values.filter(own & (pl.col("outcome") != "kept"))  # not copied: there may be millions
    top = changed.sort("rows", descending=True, maintain_order=True).head(_LOOKED_AT).collect().rows(named=True)
    shown = [r for r in top if may_show(r, field=r["field"], sensitive=secret[r["field"]])][:_VALUES]
    if not shown:
        return None
    rows = tuple(
        Row(
            cells=(
                text(r["field"], limit=30),
                text(r["value"], limit=40),
                number(count(r["rows"]), r["rows"]),
                text(f"merged into {r['into']}" if r["into"] is not None else r["outcome"], limit=50),
                text(r["why"], limit=120),
            )
        )
        for r in shown
    )
    columns = (
        Column(label="Field", number=False),
        Column(label="Value", number=False),
        Column(label="Rows", unit="training"),
        Column(label="What became of it", number=False),
        Column(label="Why", number=False),
    )
    return Table(
        caption="Frequent values that have no code of their own any more", columns=columns, rows=rows, sortable=True
    )
