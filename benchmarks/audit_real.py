"""List every finding of the audit on the real tables that are at hand, with the time it took.

    python benchmarks/audit_real.py [DATA]

DATA, or the environment variable CTRSEL_DATA, is the folder that holds `frappe`, `criteo_137k`, `census_kdd` and
`bank_marketing`; what is absent is skipped. `docs/methods/audit.md` judges the findings one by one.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import polars as pl

from ctrsel.core.config import LabelConfig, RunConfig, SchemaConfig, SplitConfig, load_config
from ctrsel.data.audit import audit
from ctrsel.data.ingest import ingest
from ctrsel.data.table import Table

CONFIGS = Path(__file__).absolute().parents[1] / "configs"


def configured(name: str) -> Table:
    """Ingest what a config of the repository says; its data lie in CTRSEL_DATA."""
    config: RunConfig = load_config(CONFIGS / f"{name}.yaml")
    return ingest(config.data, schema=config.schema, split=config.split, settings=config.ingest, seed=config.seed)


def census(folder: Path) -> Table:
    """The demo's schema and split on the files of the folder."""
    config = load_config(CONFIGS / "census_income.yaml")
    data = {part: pl.read_parquet(folder / "census_kdd" / f"{part}.parquet") for part in ("train", "test")}
    return ingest(data, schema=config.schema, split=config.split, settings=config.ingest, seed=config.seed)


def bank(folder: Path, *, ordered: bool) -> Table:
    """All columns as they are inferred; `ordered` takes the row's number for the time, since rows are in date order."""
    frame = pl.read_parquet(folder / "bank_marketing" / "all.parquet")
    if not ordered:
        return ingest(frame, schema=SchemaConfig(label=LabelConfig(name="label")), seed=1)
    schema = SchemaConfig(label=LabelConfig(name="label"), time="order")
    return ingest(frame.with_row_index("order"), schema=schema, split=SplitConfig(use="time"), seed=1)


def main() -> None:
    """Audit each table and print the list."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("CTRSEL_DATA", ".")).resolve()
    os.environ["CTRSEL_DATA"] = str(folder)
    tables: dict[str, tuple[str, Callable[[], Table]]] = {
        "frappe": ("frappe", lambda: configured("frappe")),
        "criteo_137k": ("criteo_137k", lambda: configured("criteo")),
        "census_kdd": ("census_kdd", lambda: census(folder)),
        "bank_marketing": ("bank_marketing", lambda: bank(folder, ordered=False)),
        "bank_marketing, by time": ("bank_marketing", lambda: bank(folder, ordered=True)),
    }
    for name, (needed, make) in tables.items():
        if not (folder / needed).is_dir():
            print(f"## {name}: skipped, {folder / needed} is absent\n")
            continue
        table = make()
        began = time.process_time()
        found = audit(table)
        seconds = time.process_time() - began
        print(f"## {name}: {table.n_rows:,} rows x {len(table.schema.fields)} fields, {seconds:.1f} CPU seconds\n")
        for f in found.findings:
            print(f"- {f.severity} {f.rule} {f.field or '(table)'}: {f.evidence}\n  {f.advice}")
        print(f"\n{len(found.findings)} findings\n")


if __name__ == "__main__":
    main()
