"""How often the test of pairs calls nothing something: tables without any interaction, with strong fields and without.

    python benchmarks/pair_null.py [--tables 200] [--rows 5000] [--level 0.1]

Ten fields of 2 to 2,000 values, half of them skewed; in the second kind of table three of them have a strong additive
effect, and one more is a noisy copy of a strong one. There is nothing to find, so the share of tables in which a pair has
a q of at most the level is the false discovery rate. Deviates are given by rows per cell.
"""

from __future__ import annotations

import argparse

import numpy as np

from ctrsel.core.seeds import generator
from ctrsel.rank import FieldCounts, TableCounts
from ctrsel.rank.interactions import Interactions
from ctrsel.rank.rows import CodedRows
from ctrsel.stats.counts import label_counts

VALUES = (2, 3, 10, 10, 40, 60, 200, 300, 1_000, 2_000)


def drawn(rows: int, *, strong: bool, seed: int) -> TableCounts:
    """Return the counts of one table."""
    rng = generator(seed, "pair_null", "strong" if strong else "noise")
    columns: dict[str, np.ndarray] = {}
    odds = np.full(rows, -1.4)
    for place, values in enumerate(VALUES):
        shares = 1.0 / np.arange(1, values + 1) ** (1.05 if place % 2 else 0.0)
        codes = np.searchsorted(np.cumsum(shares / shares.sum())[:-1], rng.random(rows))
        if strong and place == 5:
            codes = np.where(rng.random(rows) < 0.9, columns["f4"], codes)
        if strong and place in (2, 4, 7):
            odds += 0.6 * rng.normal(size=values)[codes]
        columns[f"f{place}"] = codes.astype(np.uint16)
    labels = (rng.random(rows) < 1 / (1 + np.exp(-odds))).astype(np.uint8)
    sizes = {name: int(codes.max()) + 1 for name, codes in columns.items()}
    fields = {n: FieldCounts(train=label_counts(c, labels, size=sizes[n])) for n, c in columns.items()}
    coded = CodedRows(columns=columns, sizes=sizes, labels=labels, row=np.arange(rows))
    return TableCounts(fields=fields, rows=coded, seed=seed)


def main() -> None:
    """Count false discoveries and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=int, default=200)
    parser.add_argument("--rows", type=int, default=5_000)
    parser.add_argument("--level", type=float, default=0.1)
    arguments = parser.parse_args()
    for strong in (False, True):
        called, z, per_cell = 0, [], []
        for seed in range(arguments.tables):
            frame = Interactions().score(drawn(arguments.rows, strong=strong, seed=seed)).frame
            called += bool((frame["q"].to_numpy() <= arguments.level).any())
            z += frame["z"].to_list()
            per_cell += frame["rows_per_cell"].to_list()
        share = called / arguments.tables
        error = (share * (1 - share) / arguments.tables) ** 0.5
        kind = "strong fields and a copy" if strong else "noise"
        print(f"{kind}: {share:.3f} +- {error:.3f} of {arguments.tables} tables with a q of at most {arguments.level}")
        deviates, density = np.array(z), np.array(per_cell)
        for low, high in ((0, 2), (2, 10), (10, 100), (100, np.inf)):
            own = deviates[(density >= low) & (density < high)]
            if len(own):
                print(
                    f"  {low} to {high} rows a cell: {len(own)} pairs, z {own.mean():+.3f}, deviation {own.std():.3f}, "
                    f"{own.min():.1f} to {own.max():.1f}"
                )


if __name__ == "__main__":
    main()
