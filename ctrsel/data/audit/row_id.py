"""Row numbers: fields with another value in (almost) every row, or that only count the rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ctrsel.data.audit._contract import Check
from ctrsel.data.table import Ragged
from ctrsel.records.audit import Finding
from ctrsel.records.feature_set import OTHER, RESERVED

if TYPE_CHECKING:
    from ctrsel.data.audit.view import AuditView

__all__ = ["RowId"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RowId(Check):
    """Warn of categorical fields with more distinct values than `share` of their rows, and of rising numbers.

    Attributes:
        share: Distinct values per training row where the field is present.
        rows: Fewer training rows prove nothing.
    """

    share: float = 0.9
    rows: int = 50

    def check(self, view: AuditView) -> list[Finding]:
        """Look at each field that has one value a row."""
        if view.rows("train") < self.rows:
            return []
        found = []
        for field in view.table.schema.fields:
            if field.is_list:
                continue
            finding = self._unique(view, field.name) if field.kind == "categorical" else self._rising(view, field.name)
            if finding is not None:
                found.append(finding)
        return found

    def _unique(self, view: AuditView, name: str) -> Finding | None:
        totals = view.counts(name, "train").totals
        present = int(totals[OTHER] + totals[RESERVED:].sum())
        distinct = int(np.count_nonzero(totals[RESERVED:]))
        of = view.table.schema.field(name)
        # Under a minimum count nobody knows how many values `other` was, but one whose every value is rare is an id.
        if present >= self.rows and of.min_count > 1 and totals[OTHER] >= self.share * present:
            share = int(totals[OTHER]) / present
            evidence = f"{totals[OTHER]:,} of {present:,} present training values occur in fewer than {of.min_count} rows ({share:.1%})"
        elif present >= self.rows and distinct >= self.share * present:
            share = distinct / present
            evidence = f"{distinct:,} distinct values in {present:,} present training rows ({share:.1%})"
        else:
            return None
        return Finding(
            rule="row_id",
            field=name,
            severity="warn",
            number=share,
            evidence=f"{evidence}; the threshold is {self.share:.0%}.",
            advice="A row number teaches nothing and may name a person: add it to schema.ignore, or set sensitive: true.",
        )

    def _rising(self, view: AuditView, name: str) -> Finding | None:
        """A number that never falls from one source row to the next counts the rows, or the time."""
        rows = view.table.span("train")
        column = view.table.columns[name]
        assert not isinstance(column, Ragged)
        values = np.asarray(column[rows])
        if view.table.schema.field(name).is_float:
            place = values.astype(np.float64)
        else:
            order = view.table.encoder.vocabulary(name).order
            place = np.full(len(values), np.nan) if order is None else order[values]
        place = place[np.argsort(view.table.row[rows], kind="stable")]
        distinct = len(np.unique(place[~np.isnan(place)]))
        if np.isnan(place).any() or distinct < 10 or not (np.diff(place) >= 0).all():
            return None
        return Finding(
            rule="row_id",
            field=name,
            severity="warn",
            number=1.0,
            evidence=(
                f"It never falls over {len(place):,} training rows in file order ({distinct} distinct steps, "
                "threshold 10): it counts rows or time."
            ),
            advice=(
                "Name it in schema.time if it is the time, else add it to schema.ignore: "
                "later rows have values that were never trained."
            ),
        )
