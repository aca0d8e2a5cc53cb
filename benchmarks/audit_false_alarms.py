"""Count what the audit says of honest random tables of many shapes: nothing leaks, drifts or is copied in any of them.

    python benchmarks/audit_false_alarms.py [tables]

Rows (800 to 60,000), fields (3 to 13), values a field (2 to 5,000), base rate (2 % to 40 %), split and minimum count are
drawn; fields are independent of each other and half of them have an effect. What is left over is true of such tables: a
field with as many values as rows is a row number, its values are new in other splits, small splits have few positives.
"""

from __future__ import annotations

import sys
from collections import Counter

import numpy as np
import polars as pl

from ctrsel.core.config import IngestConfig, LabelConfig, SchemaConfig, SplitConfig
from ctrsel.core.errors import DataError
from ctrsel.data.audit import audit
from ctrsel.data.ingest import ingest
from ctrsel.data.table import Table

TRUE_BY_NATURE = {"label", "unseen", "row_id", "constant", "label_noise"}


def honest(seed: int) -> Table:
    """Draw one table."""
    rng = np.random.default_rng(seed)
    rows, rate = int(rng.choice([800, 3000, 20_000, 60_000])), rng.choice([0.02, 0.1, 0.4])
    columns, logit = {}, np.full(rows, np.log(rate / (1 - rate)))
    for j in range(int(rng.integers(3, 14))):
        values, skew = int(rng.choice([2, 3, 8, 40, 300, 5000])), rng.choice([0, 0.8, 1.3])
        shares = 1 / np.arange(1, values + 1) ** skew
        x = rng.choice(values, rows, p=shares / shares.sum())
        if rng.random() < 0.5:
            logit = logit + rng.normal(size=values)[x] * rng.choice([0.1, 0.4])
        columns[f"f{j}"] = pl.Series([f"v{i}" for i in x] if rng.random() < 0.8 else x / 3)
    frame = pl.DataFrame(columns).with_columns(
        y=pl.Series((rng.random(rows) < 1 / (1 + np.exp(-logit))).astype(int)), at=pl.int_range(rows)
    )
    use = str(rng.choice(["hash", "stratified", "time"]))
    role = {"time": "at"} if use == "time" else {"ignore": ("at",)}
    return ingest(
        frame,
        schema=SchemaConfig(label=LabelConfig(name="y"), **role),  # type: ignore[arg-type]
        split=SplitConfig(use=use),  # type: ignore[arg-type]
        settings=IngestConfig(min_count=int(rng.choice([1, 5])), numeric_bucket=str(rng.choice(["quantile", "none"]))),  # type: ignore[arg-type]
        seed=seed,
    )


def main() -> None:
    """Audit so many tables and print the counts, and every finding that is not true of such tables."""
    tables = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    counts: Counter[tuple[str, str]] = Counter()
    done = 0
    for seed in range(tables):
        try:
            table = honest(seed)
        except DataError:  # a tiny split has rows of one label only
            continue
        done += 1
        for f in audit(table).findings:
            counts[f.rule, f.severity] += 1
            if f.rule not in TRUE_BY_NATURE:
                print(f"table {seed}: {f.severity} {f.rule} {f.field}: {f.evidence}")
    print(f"{done} tables: " + ", ".join(f"{n} {rule} ({severity})" for (rule, severity), n in sorted(counts.items())))


if __name__ == "__main__":
    main()
