"""Selection account: why each field and each value was kept, merged or dropped, in plain words with the numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import polars as pl

from ctrsel.core.artifact import atomic_folder, read_manifest
from ctrsel.core.errors import DataError
from ctrsel.records.evaluation import Metric
from ctrsel.records.spreadsheet import write_sheet

__all__ = ["VALUE_COLUMNS", "FieldAccount", "Reason", "SelectionAccount"]

Reason = Literal[
    "kept", "always_keep", "merged", "never_use", "silent", "group", "refused", "below_cut", "no_room", "not_scored",
    "silent_after", "field_dropped", "rare",
]  # fmt: skip

VALUE_COLUMNS: Mapping[str, pl.DataType] = {
    "field": pl.String(),
    "value": pl.String(),
    "rows": pl.Int64(),
    "outcome": pl.String(),
    "reason": pl.String(),
    "why": pl.String(),
    "into": pl.String(),
    "score": pl.Float64(),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldAccount:
    """What became of one field.

    Attributes:
        name: The field.
        kind: Its kind.
        sensitive: Whether its values must not be shown.
        kept: Whether any of it is kept.
        reason: Why, as a word.
        why: Why, as a sentence.
        score: Its score, or its best value's; None where the method has none.
        values: Values that had a code of their own.
        values_kept: Codes that are left of them; merged values count once.
        values_merged: Values that share their code with others.
        covered: Share of the training rows (of a list: of its items) whose value is kept.
        rare: Share of them whose value had no code of its own before the selection.
        auc_lost: AUC on validation rows that the retrained model loses when the field is shuffled among these, with its
            paired interval; None where it was not measured.
    """

    name: str
    kind: str
    sensitive: bool
    kept: bool
    reason: Reason
    why: str
    score: float | None
    values: int
    values_kept: int
    values_merged: int
    covered: float
    rare: float
    auc_lost: Metric | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectionAccount:
    """What became of every field and value.

    Attributes:
        method: The selector's name.
        cut: The lowest score that is kept at this size; None where the method has no scores.
        fields: In the order of the table; those of `select.never_use` come last.
        values: One row for each value that had a code, most frequent first within its field: `field` (the first of
            those that share the vocabulary), `value` (null for a sensitive field), `rows` (training rows), `outcome`
            ("kept", "merged", "dropped"), `reason`, `why`, `into` (the value whose name a merged one has) and `score`;
            and one for all rare values of a field together. Lazy: there may be millions, and who asks for a field's
            collects no others.
    """

    method: str
    cut: float | None
    fields: tuple[FieldAccount, ...]
    values: pl.LazyFrame

    def __post_init__(self) -> None:
        found = self.values.collect_schema()
        if dict(found) != dict(VALUE_COLUMNS):
            raise DataError(f"selection account: expected the columns {list(VALUE_COLUMNS)}, got {found.names()}")

    def field(self, name: str) -> FieldAccount:
        """Return a field's account by name."""
        return next(f for f in self.fields if f.name == name)

    @property
    def dropped(self) -> tuple[FieldAccount, ...]:
        """The fields of which nothing is kept."""
        return tuple(f for f in self.fields if not f.kept)

    def field_rows(self) -> list[dict[str, Any]]:
        """Return the fields as flat rows: a table of their own, and plain values for JSON."""
        rows = []
        for f in self.fields:
            row = asdict(f)
            lost = row.pop("auc_lost") or {}
            rows.append(
                {**row, **{f"auc_lost{s}": lost.get(k) for s, k in (("", "value"), ("_low", "low"), ("_high", "high"))}}
            )
        return rows

    def save(self, path: Path) -> None:
        """Save as a folder: the manifest, `fields.csv` and `values.parquet`."""
        manifest = {
            "format": "ctrsel.selection_account",
            "version": 1,
            "method": self.method,
            "cut": self.cut,
            "fields": [asdict(f) for f in self.fields],
        }
        with atomic_folder(path, manifest=manifest) as folder:
            write_sheet(pl.DataFrame(self.field_rows(), infer_schema_length=None), folder / "fields.csv")
            self.values.sink_parquet(folder / "values.parquet")

    @staticmethod
    def load(path: Path) -> SelectionAccount:
        """Load what `save` wrote."""
        m = read_manifest(path, format="ctrsel.selection_account", version=1)
        return SelectionAccount(
            method=m["method"],
            cut=m["cut"],
            fields=tuple(
                FieldAccount(**{**f, "auc_lost": Metric(**f["auc_lost"]) if f["auc_lost"] else None})
                for f in m["fields"]
            ),
            values=pl.scan_parquet(Path(path) / "values.parquet"),
        )
