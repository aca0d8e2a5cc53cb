"""FieldTerms: what rankers of whole sets of fields ask about one field or two, each term with its own null taken out."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ctrsel.core.errors import ConfigError
from ctrsel.core.seeds import generator
from ctrsel.rank._nulls import dependence_notes
from ctrsel.rank.counts import TableCounts
from ctrsel.stats.association import ConditionalInformation, conditional_information, joint_information
from ctrsel.stats.chance_table import ChanceTable
from ctrsel.stats.counts import label_counts
from ctrsel.stats.information import entropy
from ctrsel.stats.information_test import information_test
from ctrsel.stats.joint import JointCounts
from ctrsel.stats.multiple import benjamini_hochberg

__all__ = ["CHANCE", "CONSTANT", "FieldTerms", "check_rows"]

CHANCE = 3.0  # standard deviations by which a term of a pair must exceed chance to count

CONSTANT = "has one value in the training rows, which tells nothing of the label or of another field"


def check_rows(ranker: str, rows: int | None) -> None:
    """Refuse a sample of no rows.

    Raises:
        ConfigError: If `rows` is below 1.
    """
    if rows is not None and rows < 1:
        raise ConfigError(f"{ranker}.rows: must be at least 1 row or absent for all, got {rows}")


class FieldTerms:
    """Terms of single fields and of pairs, counted when asked for; fields of one value are left out.

    Attributes:
        names: Fields with at least two values, in the table's order.
        refused: All others, with the reason.
        notes: Those of the counts, and one about the sample.
        relevance: float64 `[F]`, information about the label less its mean under shuffled labels, nats; from all rows.
        z: float64 `[F]`, the same in its standard deviations.
        q: float64 `[F]`, share of false discoveries (Benjamini-Hochberg) if a field with this z is called relevant.
        entropy: float64 `[F]`, nats, of the rows that pairs are counted on.
        pairs: How many pairs were counted: the work is part of the contract.
    """

    def __init__(self, counts: TableCounts, *, ranker: str, rows: int | None = None) -> None:
        """Take the rows that pairs are counted on.

        Args:
            counts: Counts with their rows.
            ranker: Name in messages, and of the stream that draws the sample.
            rows: Training rows to count pairs on, drawn without replacement; None for all.

        Raises:
            DataError: If only counts are here.
        """
        whole = counts.need_rows(ranker)
        usable = {name: f.train for name, f in counts.fields.items() if np.count_nonzero(f.train.totals) > 1}
        self.notes = (*counts.notes, *dependence_notes(counts))
        self._rows = whole
        if rows is not None and rows < whole.n_rows:
            drawn = generator(counts.seed, "rank", ranker, "rows").choice(whole.n_rows, size=rows, replace=False)
            self._rows = whole.take(np.sort(drawn))
            self.notes = (*self.notes, f"pairs of fields are counted on a sample of {rows} of {whole.n_rows} rows")
        self.names = tuple(usable)
        self.refused = {**counts.refused, **{n: CONSTANT for n in counts.fields if n not in usable}}
        tests = [information_test(c.positives, c.totals) for c in usable.values()]
        self.relevance = np.array([t.excess for t in tests], dtype=np.float64)
        self.z = np.array([t.z for t in tests], dtype=np.float64)
        self.q = benjamini_hochberg(np.array([t.p_value for t in tests], dtype=np.float64))
        self._marginals = list(usable.values())
        if self._rows is not whole:
            self._marginals = [
                label_counts(self._rows.column(n), self._rows.labels, size=whole.sizes[n]) for n in self.names
            ]
        self.entropy = np.array([entropy(c.totals) for c in self._marginals], dtype=np.float64)
        self._table = ChanceTable(self._rows.n_rows)
        self._weights = [self._table.weights(c.totals) for c in self._marginals]
        self.pairs = 0

    @property
    def n_rows(self) -> int:
        """Rows that pairs are counted on."""
        return self._rows.n_rows

    def __len__(self) -> int:
        """Return the number of fields F."""
        return len(self.names)

    def joint(self, first: int, second: int) -> JointCounts:
        """Count two fields together; cells of one value of the first stand together."""
        self.pairs += 1
        return self._rows.joint([self.names[first], self.names[second]])

    def plain(self, joint: JointCounts, first: int, second: int) -> float:
        """Return the plug-in information of two fields about each other, in nats."""
        return joint_information(joint.totals, self._marginals[first].totals, self._marginals[second].totals)

    def null(self, first: int, second: int) -> tuple[float, float]:
        """Return mean and standard deviation of what two fields tell about each other by chance, in nats."""
        return self._table.null(self._weights[first], self._weights[second])

    def association(self, known: int, others: Iterable[int]) -> np.ndarray:
        """Return what a field and each other one tell about each other beyond chance, nats `[C]`.

        A term within three standard deviations of what chance tells is 0: the sum over many pairs of noise would
        otherwise outweigh weak fields.
        """
        found = []
        for i in others:
            expected, deviation = self.null(known, i)
            excess = self.plain(self.joint(known, i), known, i) - expected
            found.append(excess if excess > CHANCE * deviation else 0.0)
        return np.array(found, dtype=np.float64)

    def left(self, known: int, other: int) -> ConditionalInformation:
        """Return what a field tells about the label when another one is known, with its null."""
        return conditional_information(self.joint(known, other))

    def conditional(self, known: int, others: Iterable[int]) -> np.ndarray:
        """Return what each other field tells about the label beyond chance when one is known, nats `[C]`.

        A term within three standard deviations of what chance tells is 0, as in `association`.
        """
        found = (self.left(known, i) for i in others)
        return np.array([t.excess if t.excess > CHANCE * t.deviation else 0.0 for t in found], dtype=np.float64)
