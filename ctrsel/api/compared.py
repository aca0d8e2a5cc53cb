"""From cells to statements: areas under quality against size, paired differences over seeds, and who is named.

Everything here is arithmetic on numbers that are at hand; nothing is trained, and no row is read.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from ctrsel.records.selection_comparison import ComparedCell, Curve, Naming, PairedLine
from ctrsel.stats.paired import paired_mean
from ctrsel.stats.size_curve import area_under_size_curve

__all__ = ["Figures"]

FULL = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """All cells of a comparison, by contestant, size, judge and seed.

    Attributes:
        cells: What was run; the full model stands at size 1, whatever the others' sizes.
        shares: The sizes, rising.
        numbers: The same as numbers of values or fields.
        judges: Their names.
        seeds: All that were planned.
        margin: Of non-inferiority.
        full: The full model's name.
    """

    cells: Mapping[tuple[str, float, str, int], ComparedCell]
    shares: tuple[float, ...]
    numbers: tuple[int, ...]
    judges: tuple[str, ...]
    seeds: tuple[int, ...]
    margin: float
    full: str = FULL

    def cell(self, name: str, share: float, judge: str, seed: int) -> ComparedCell | None:
        """Return a cell that was run."""
        found = self.cells.get((name, 1.0 if name == self.full else share, judge, seed))
        return found if found is not None and found.run else None

    def auc(self, name: str, share: float, judge: str, seed: int, split: str) -> float | None:
        """Return an AUC; None where it was not run or not read."""
        cell = self.cell(name, share, judge, seed)
        value = None if cell is None else cell.valid_auc if split == "valid" else cell.test_auc
        return None if value is None else float(value)

    def area(
        self, name: str, judge: str, seed: int, split: str, *, shares: Sequence[float] | None = None
    ) -> float | None:
        """Return the area of one seed; None unless its whole curve was run."""
        used = [i for i, s in enumerate(self.shares) if shares is None or s in shares]
        aucs = [self.auc(name, self.shares[i], judge, seed, split) for i in used]
        whole = [a for a in aucs if a is not None]
        if len(used) < 2 or len(whole) < len(used):
            return None
        return area_under_size_curve([self.numbers[i] for i in used], whole)

    def curves(self, names: Sequence[str], splits: Sequence[str]) -> Iterator[Curve]:
        """Yield the areas of all, with intervals over seeds."""
        for split in splits:
            for judge in self.judges:
                for name in names:
                    areas = [a for s in self.seeds if (a := self.area(name, judge, s, split)) is not None]
                    found = paired_mean(areas, [0.0] * len(areas))
                    yield Curve(
                        contestant=name,
                        judge=judge,
                        split=split,
                        area=None if found is None else found.value,
                        low=None if found is None else found.low,
                        high=None if found is None else found.high,
                        seeds=len(areas),
                    )

    def pair(self, name: str, against: str, share: float, judge: str, split: str) -> PairedLine:
        """Return the difference of two at one size, over the seeds with which both were run."""
        new, old, errors = list[float](), list[float](), list[float]()
        for seed in self.seeds:
            a, b = self.auc(name, share, judge, seed, split), self.auc(against, share, judge, seed, split)
            if a is None or b is None:
                continue
            new.append(a)
            old.append(b)
            cell = self.cell(name, share, judge, seed)
            if against == self.full and split == "test" and cell is not None and cell.test_error is not None:
                errors.append(cell.test_error)
        found = paired_mean(new, old)
        # The rows are the same for all seeds, so their error does not shrink with more of them.
        rows = math.sqrt(fmean(e**2 for e in errors)) if errors and len(errors) == len(new) else None
        wide = None if rows is None else paired_mean(new, old, more=rows)
        return PairedLine(
            contestant=name,
            against=against,
            share=share,
            judge=judge,
            split=split,
            value=None if found is None else found.value,
            low=None if found is None else found.low,
            high=None if found is None else found.high,
            low_rows=None if wide is None else wide.low,
            seeds=len(new),
        )

    def pairs(self, names: Sequence[str], against: Sequence[str], splits: Sequence[str]) -> Iterator[PairedLine]:
        """Yield the differences of all to each of some."""
        for split in splits:
            for judge in self.judges:
                for share in self.shares:
                    for name in names:
                        for other in against:
                            if other != name:
                                yield self.pair(name, other, share, judge, split)

    def naming(self, names: Sequence[str], *, screened: Mapping[str, float]) -> Naming:
        """Name the selector to be reported, by validation alone.

        It is the one with the largest area on validation, averaged over the judges and seeds with which all of them were
        run at all sizes. Where there are none, the first stage's areas decide.
        """
        common = [
            (j, s)
            for j in self.judges
            for s in self.seeds
            if names and all(self.area(n, j, s, "valid") is not None for n in names)
        ]
        if common:
            areas = {n: fmean(self.area(n, j, s, "valid") or 0.0 for j, s in common) for n in names}
            basis = (
                f"the area on validation at all {len(self.shares)} sizes, over {len(common)} of the "
                f"{len(self.judges) * len(self.seeds)} trainings by judge and seed"
            )
        else:
            areas = {n: screened[n] for n in names if n in screened}
            basis = "the area on validation of the first stage, since no later training was run for all of them"
        named = max(areas, key=lambda n: areas[n]) if areas else None
        return Naming(
            selector=named,
            share=None if named is None else self._enough(named),
            by_share={str(s): best for s in self.shares if (best := self._best_at(s, names)) is not None},
            areas=areas,
            basis=basis,
            cells=sum(c.run for c in self.cells.values()),
        )

    def _enough(self, name: str) -> float | None:
        """Return the smallest size at which one is non-inferior to the full model on validation with every judge."""
        for share in self.shares:
            lows = [self.pair(name, self.full, share, judge, "valid").low for judge in self.judges]
            if all(low is not None and low > -self.margin for low in lows):
                return share
        return None

    def _best_at(self, share: float, names: Sequence[str]) -> str | None:
        common = [
            (j, s)
            for j in self.judges
            for s in self.seeds
            if names and all(self.auc(n, share, j, s, "valid") is not None for n in names)
        ]
        if not common:
            return None
        return max(names, key=lambda n: fmean(self.auc(n, share, j, s, "valid") or 0.0 for j, s in common))
