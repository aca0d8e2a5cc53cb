"""Write a planted table: `python -m ctrsel.data.synthetic --rows 1000000 --out clicks.parquet [--preset peers]`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ctrsel.core.errors import CtrselError
from ctrsel.data.synthetic.presets import PRESETS

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> int:
    """Write the table and its truth, and say what is in it.

    Returns:
        The exit code.
    """
    parser = argparse.ArgumentParser(prog="python -m ctrsel.data.synthetic", description="Write a planted table.")
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument(
        "--out", type=Path, required=True, help="a .parquet or .csv file; NAME.truth.json goes beside it"
    )
    parser.add_argument("--preset", choices=sorted(PRESETS), default="peers")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--integers", action="store_true", help="values are whole numbers in place of texts")
    given = parser.parse_args(arguments)
    try:
        texts = "integers" if given.integers else "names"
        table = PRESETS[given.preset](rows=given.rows, seed=given.seed, texts=texts)
        file = table.write(given.out)
    except (CtrselError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code if isinstance(error, CtrselError) else 3
    truth = table.truth
    sys.stdout.write(
        f"{file}: {truth.rows} rows, {len(truth.fields)} fields, {len(truth.named())} informative; rate {truth.rate:.4f}, "
        f"best AUC {truth.bayes_auc:.4f}, best log-loss {truth.bayes_log_loss:.4f}\n"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
