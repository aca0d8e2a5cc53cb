"""SelectionComparison: several selectors and their controls under one protocol, with what was measured and what was not run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from ctrsel.core.artifact import atomic_folder, digest_json, read_manifest, to_json

__all__ = ["ComparedCell", "Contestant", "Curve", "KeptSet", "Naming", "PairedLine", "SelectionComparison"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contestant:
    """One that was compared.

    Attributes:
        name: What it is called here.
        spec: Its `{use: ..., parameters}`.
        role: "full" (no selection), "control" or "selector".
        final: Whether it went on to all seeds, sizes and judges.
        refused: Why it takes no part, in a sentence; None if it does.
        screened: Its area on validation in the first stage; None if not run.
        seconds: Of the search, by seed.
        peak: Bytes that the search took beyond what its process held at its start, by seed; None where not measured.
        stability: By size, how much its choices agree over seeds (Nogueira et al., 2018): 1 = the same, 0 = as by chance; sizes
            for which that is not defined are left out.
    """

    name: str
    spec: Mapping[str, Any]
    role: Literal["full", "control", "selector"]
    final: bool = False
    refused: str | None = None
    screened: float | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)
    peak: Mapping[str, int | None] = field(default_factory=dict)
    stability: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptSet:
    """What one kept at a size.

    Attributes:
        contestant: Its name.
        share: The size, as a share of all.
        seed: Of the search.
        digest: Of the decision itself, whoever made it.
        fields: How many fields.
        values: How many values.
        covered: Share of the training rows' entries (missing ones aside) whose value has a code of its own.
        refused: Why there is no set at this size; None if there is.
    """

    contestant: str
    share: float
    seed: int
    digest: str = ""
    fields: int = 0
    values: int = 0
    covered: float = 0.0
    refused: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedCell:
    """One retraining from scratch; `run` is False where the budget did not allow it.

    Attributes:
        contestant: Its name.
        share: The size; 1 for the full model.
        judge: The judge's name.
        seed: Of search and training.
        run: Whether it was trained.
        valid_auc: None if not run.
        valid_log_loss: Nats per row.
        test_auc: None if not run, or not read.
        test_log_loss: Nats per row.
        test_error: Standard error over rows of test AUC's difference to the full model.
        seconds: Of training.
        bytes: Of the model.
        pruned_auc: On validation, of the full model of this judge and seed, narrowed to the set and not trained again; None
            where it was not measured, as for trees, which cannot be narrowed.
    """

    contestant: str
    share: float
    judge: str
    seed: int
    run: bool = False
    valid_auc: float | None = None
    valid_log_loss: float | None = None
    test_auc: float | None = None
    test_log_loss: float | None = None
    test_error: float | None = None
    seconds: float | None = None
    bytes: int | None = None
    pruned_auc: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """The area under one's curve of quality against size, ``sum (k' - k)(AUC' + AUC - 1) / (k_last - k_first)``.

    Attributes:
        contestant: Its name.
        judge: The judge's name.
        split: "valid" or "test".
        area: Mean over the seeds of which the whole curve was run; None = not run.
        low: Lower 95 % limit over seeds; None with fewer than two.
        high: Upper limit.
        seeds: How many.
    """

    contestant: str
    judge: str
    split: str
    area: float | None
    low: float | None
    high: float | None
    seeds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedLine:
    """AUC of one minus that of another at the same size, judge and seeds.

    Attributes:
        contestant: Whose AUC.
        against: Minus whose: the full model or a control.
        share: The size.
        judge: The judge's name.
        split: "valid" or "test".
        value: Mean difference over seeds; None = not run.
        low: Lower 95 % limit over seeds; None with fewer than two.
        high: Upper limit.
        low_rows: Lower limit with the error over the rows of the split added; None where that was not measured.
        seeds: How many.
    """

    contestant: str
    against: str
    share: float
    judge: str
    split: str
    value: float | None
    low: float | None
    high: float | None
    low_rows: float | None
    seeds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Naming:
    """Who is to be reported, decided on validation before test was opened.

    Attributes:
        selector: The selector; None if none could be named.
        share: The smallest size at which it is non-inferior to the full model on validation with every judge; None = none.
        by_share: By size, the selector with the highest AUC on validation.
        areas: By selector, the mean area on validation by which was decided.
        basis: What the decision rests on, in a sentence.
        cells: How many validation cells there were.
    """

    selector: str | None
    share: float | None
    by_share: Mapping[str, str]
    areas: Mapping[str, float]
    basis: str
    cells: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectionComparison:
    """The whole outcome.

    Attributes:
        name: Of the table.
        table: Digest of the training and validation rows, after the minimum count.
        unit: What sizes are counted in.
        total: How many values (after the minimum count) or fields there are.
        min_count: The minimum count that was best on validation.
        min_counts: By minimum count, the validation log-loss, nats per row; empty if none was looked for.
        shares: The sizes, rising.
        numbers: The same in the unit.
        judges: By name, `{use: ..., parameters}`.
        seeds: Of searches and trainings, paired over contestants.
        margin: Of non-inferiority, in AUC.
        contestants: All that were compared, the full model first.
        sets: What they kept.
        cells: What was planned; those not run say so.
        curves: Areas.
        pairs: Paired differences.
        naming: Who is reported.
        notes: What a reader must know, a sentence each.
    """

    name: str
    table: str
    unit: Literal["values", "fields"]
    total: int
    min_count: int
    min_counts: Mapping[str, float]
    shares: tuple[float, ...]
    numbers: tuple[int, ...]
    judges: Mapping[str, Mapping[str, Any]]
    seeds: tuple[int, ...]
    margin: float
    contestants: tuple[Contestant, ...]
    sets: tuple[KeptSet, ...]
    cells: tuple[ComparedCell, ...]
    curves: tuple[Curve, ...]
    pairs: tuple[PairedLine, ...]
    naming: Naming
    notes: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether everything that was planned was run."""
        return all(c.run for c in self.cells)

    def curve(self, contestant: str, judge: str, split: str) -> Curve | None:
        """Return an area."""
        found = (c for c in self.curves if (c.contestant, c.judge, c.split) == (contestant, judge, split))
        return next(found, None)

    def pair(self, contestant: str, against: str, share: float, judge: str, split: str) -> PairedLine | None:
        """Return a paired difference."""
        wanted = (contestant, against, share, judge, split)
        return next((p for p in self.pairs if (p.contestant, p.against, p.share, p.judge, p.split) == wanted), None)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        plain: dict[str, Any] = json.loads(to_json(asdict(self)))
        return plain

    @property
    def digest(self) -> str:
        """Digest of the content."""
        return digest_json(self.to_dict())

    def save(self, path: Path) -> None:
        """Save as a folder: the manifest with everything, and `cells.parquet`, a row per cell."""
        import polars as pl

        manifest = {"format": "ctrsel.selection_comparison", "version": 1, **self.to_dict()}
        kinds: dict[str, Any] = {"contestant": pl.String, "judge": pl.String, "seed": pl.Int64, "run": pl.Boolean}
        schema = {
            f.name: kinds.get(f.name, pl.Int64 if f.name == "bytes" else pl.Float64) for f in fields(ComparedCell)
        }
        with atomic_folder(path, manifest=manifest) as folder:
            rows = [asdict(c) for c in self.cells]
            pl.DataFrame(rows, schema=schema, orient="row").write_parquet(folder / "cells.parquet")

    @staticmethod
    def load(path: Path) -> SelectionComparison:
        """Load what `save` wrote."""
        m = read_manifest(path, format="ctrsel.selection_comparison", version=1)
        given = {k: v for k, v in m.items() if k not in ("format", "version")}
        parts: dict[str, type] = {
            "contestants": Contestant,
            "sets": KeptSet,
            "cells": ComparedCell,
            "curves": Curve,
            "pairs": PairedLine,
        }
        given |= {k: tuple(of(**line) for line in m[k]) for k, of in parts.items()}
        given |= {k: tuple(m[k]) for k in ("shares", "numbers", "seeds", "notes")}
        # The manifest's keys are sorted by their letters; the cells stand in the order of the judges.
        order = dict.fromkeys(c["judge"] for c in m["cells"])
        given["judges"] = {name: m["judges"][name] for name in (*order, *(j for j in m["judges"] if j not in order))}
        given["min_counts"] = dict(sorted(m["min_counts"].items(), key=lambda item: int(item[0])))
        return SelectionComparison(**{**given, "naming": Naming(**m["naming"])})
