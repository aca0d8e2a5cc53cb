"""The steps of ranking pairs and triples: which are screened, on how many rows, and which are tested on all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from ctrsel.core.log import event
from ctrsel.core.seeds import generator
from ctrsel.rank._pairs import PairScan, Scanned
from ctrsel.rank._screen import screen_rows
from ctrsel.rank._triples import Triple, beam_triples, every_triple, scan_triples
from ctrsel.rank.pair_cost import estimate
from ctrsel.stats.permutation import expected_mutual_information
from ctrsel.stats.synergy import InteractionTest, excess_information, interaction_test, row_test

if TYPE_CHECKING:
    from ctrsel.rank.interactions import Interactions
    from ctrsel.rank.rows import CodedRows
    from ctrsel.stats.joint import JointCounts

__all__ = ["Item", "Work"]

_KEEP_Z = 2.0  # of the screen: one noise pair in 44 passes
_REACH = 0.9  # share of the pairs for whose triples a sample has the stated power
_LEAST_SAMPLE = 5_000  # rows
_FIT_Z = 2.0  # pairs whose deviate is below keep the one that was made without a fit
_SCREEN_LEAST = 5  # rows of a value in the sample
_MAX_CELLS = 2**63

_Pair = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One candidate as it is ranked."""

    fields: tuple[str, ...]
    information: float
    synergy: float
    cells: int
    test: InteractionTest
    fitted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """The steps of one ranking."""

    ranker: Interactions
    rows: CodedRows
    columns: Mapping[str, np.ndarray]
    sizes: Mapping[str, int]
    shared: Mapping[str, float]
    single: Mapping[str, float]
    threads: int
    seed: int
    notes: list[str]

    def tiers(self, needed: Sequence[int], what: str) -> dict[int, list[int]]:
        """Return sample sizes with the places of the candidates that each is enough for, smallest first.

        The sizes are all rows, a quarter, a quarter of that, and so on; samples are nested.
        """
        n = self.rows.n_rows
        out: dict[int, list[int]] = {}
        for place, wanted in enumerate(needed):
            size = n
            while size // 4 >= max(wanted, _LEAST_SAMPLE):
                size //= 4
            out.setdefault(size, []).append(place)
        short = sum(wanted > n for wanted in needed)
        told = ", ".join(f"{len(places)} on {size}" for size, places in sorted(out.items()))
        self.notes.append(
            f"screened {len(needed)} {what} on as many rows as see {self.ranker.detectable} nats beyond z = {_KEEP_Z} "
            f"with a probability of {self.ranker.power}: {told} rows"
            + (f"; the {short} of most cells would need more rows than there are" if short else "")
        )
        return dict(sorted(out.items()))

    def scan(self, size: int, names: Sequence[str]) -> PairScan:
        """Return what counts pairs of these fields on a sample of rows, or on all of them."""
        n = self.rows.n_rows
        if size == n:
            return self.exact()
        chosen = self._sample(size)
        dense, sizes = {}, {}
        for name in names:
            codes = self.columns[name][chosen]
            seen = np.zeros(self.sizes[name], dtype=bool)
            seen[codes] = True
            sizes[name] = int(np.count_nonzero(seen))
            number = np.cumsum(seen, dtype=np.uint32)[codes]
            number -= 1
            dense[name] = number.astype(np.min_scalar_type(sizes[name]))
        return PairScan(dense, sizes, self.rows.labels[chosen], threads=self.threads, least_rows=_SCREEN_LEAST)

    def _sample(self, size: int) -> np.ndarray:
        """Return rows in their order: the first of a permutation, so that samples are nested."""
        order = np.arange(self.rows.n_rows, dtype=np.uint32)
        generator(self.seed, "rank", "interactions", "rows").shuffle(order)  # as `permutation`, in half of its memory
        return np.sort(order[:size])

    def exact(self) -> PairScan:
        """Return what counts pairs of all rows."""
        return PairScan(self.columns, self.sizes, self.rows.labels, threads=self.threads)

    def tell(self, what: str, candidates: int, rows: int) -> None:
        """Log what is going to be done and what it takes."""
        cost = estimate(rows=rows, sizes=list(self.sizes.values()), pairs=candidates, threads=self.threads)
        event(what, candidates=candidates, rows=rows, seconds=cost.seconds, mebibytes=cost.bytes / 2**20)

    def pairs(self) -> tuple[list[Item], int]:
        """Count the pairs, all or those that pass the screen; return them and how many candidates there were."""
        wanted: list[_Pair] = list(combinations(self.columns, 2))
        n, candidates = self.rows.n_rows, len(wanted)
        found: dict[_Pair, Scanned] = {}
        if self.ranker.pairs == "auto" and candidates * n > self.ranker.affordable:
            needed = self.needed([self.shared[a] * self.shared[b] for a, b in wanted])
            passed: list[_Pair] = []
            for size, places in self.tiers(needed, "pairs").items():
                pairs = [wanted[place] for place in places]
                self.tell("screen pairs", len(pairs), size)
                seen = self.scan(size, sorted({name for pair in pairs for name in pair})).pairs(pairs)
                if size == n:
                    found |= seen
                else:
                    passed += [pair for pair in pairs if seen[pair].test.z >= _KEEP_Z]
            self.notes.append(f"{len(passed)} pairs of samples passed and were counted on all rows")
            wanted = passed
        self.tell("count pairs", len(wanted), n)
        found |= self.exact().pairs(wanted)
        return [self.item(pair, scanned) for pair, scanned in sorted(found.items())], candidates

    def needed(self, shared: Sequence[float]) -> list[int]:
        """Return the rows at which the screen sees what it must, for each chance that two rows share a cell."""
        return screen_rows(shared, detectable=self.ranker.detectable, power=self.ranker.power, keep_z=_KEEP_Z)

    def item(self, pair: _Pair, scanned: Scanned) -> Item:
        """Return a counted pair as it is ranked; the additive model is fitted where there may be something."""
        test, fitted = scanned.test, scanned.fitted
        if not fitted and test.z >= _FIT_Z:
            columns = [self.rows.column(name) for name in pair]
            test, fitted = row_test(columns, self.rows.labels, sizes=[self.sizes[name] for name in pair]), True
        return Item(
            fields=pair,
            information=scanned.information,
            synergy=scanned.information - scanned.expected - sum(self.single[f] for f in pair),
            cells=scanned.cells,
            test=test,
            fitted=fitted,
        )

    def triples(self) -> tuple[list[Item], int]:
        """Screen triples and test those that pass on all rows; return them and how many candidates there were."""
        names = list(self.columns)
        every = len(names) * (len(names) - 1) * (len(names) - 2) // 6
        pairs_shared = [self.shared[a] * self.shared[b] for a, b in combinations(names, 2)]
        # The third field of most triples is at least as even as the median one.
        third = float(np.median(list(self.shared.values())))
        needed = self.needed([float(np.quantile(pairs_shared, 1 - _REACH)) * third])
        ((size, _),) = self.tiers(needed, "triples").items()
        scan = self.scan(size, names)
        pairs = {pair: found.test.z for pair, found in scan.pairs(list(combinations(names, 2))).items()}
        way = self.ranker.triples
        if way == "auto":
            way = "all" if every * scan.rows <= self.ranker.affordable else "beam"
        tried = every_triple(names, pairs) if way == "all" else beam_triples(names, pairs, beam=self.ranker.beam)
        candidates = sum(len(thirds) for thirds in tried.values())
        self.notes.append(
            f"all {candidates} triples were tried"
            if way == "all"
            else f"{candidates} of {every} triples were tried, those of the {len(tried)} best pairs; a triple without a "
            "telling pair in it is not found so"
        )
        self.tell("screen triples", candidates, scan.rows)
        seen = scan_triples(scan, tried)
        passed = [t for t in seen if t.z >= _KEEP_Z and self._nameable(t.fields)]
        passed.sort(key=lambda t: (-t.z, t.fields))
        kept = passed[: 4 * self.ranker.top]
        if len(kept) < len(passed):
            self.notes.append(f"the first {len(kept)} of {len(passed)} triples that passed the screen were tested")
        self.tell("test triples", len(kept), self.rows.n_rows)
        return [self.triple(t) for t in kept], candidates

    def _nameable(self, fields: Sequence[str]) -> bool:
        return float(np.prod([float(self.sizes[f]) for f in fields])) < _MAX_CELLS / 2

    def triple(self, triple: Triple) -> Item:
        """Count a triple on all rows and test it against the model of its pairs."""
        counts = self.rows.joint(triple.fields)
        parts = []
        for place in range(3):
            rest = [i for i in range(3) if i != place]
            parts.append(_excess(counts, rest) + self.single[triple.fields[place]])
        return Item(
            fields=triple.fields,
            information=excess_information(counts.positives, counts.totals) + _expected(counts),
            synergy=excess_information(counts.positives, counts.totals) - max(parts),
            cells=len(counts.cells),
            test=interaction_test(counts),
            fitted=True,
        )


def _expected(counts: JointCounts) -> float:
    return expected_mutual_information(int(counts.positives.sum()), counts.totals)


def _excess(counts: JointCounts, places: Sequence[int]) -> float:
    """Return the excess information of some of the fields of a joint table."""
    keys = counts.codes(places[0]) * counts.sizes[places[1]] + counts.codes(places[1])
    groups = np.unique(keys, return_inverse=True)[1]
    positives = np.bincount(groups, weights=counts.positives).astype(np.int64)
    return excess_information(positives, np.bincount(groups, weights=counts.totals).astype(np.int64))
