"""Write the demo's measured figures into the card of the gated selector, from a finished run.

ctrsel run configs/census_income.yaml
python docs/evidence.py runs/census_income
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from ctrsel.records.evaluation import Metric
from ctrsel.records.run import Contender, Run

CARD = Path(__file__).parent / "methods" / "gated.md"
BETWEEN = re.compile(r"(<!-- written by docs/evidence.py -->\n).*?(\n<!-- end -->)", re.DOTALL)


def interval(metric: Metric, *, sign: str = "") -> str:
    """Return `value (low to high)`."""
    return f"{metric.value:{sign}.4f} ({metric.low:{sign}.4f} to {metric.high:{sign}.4f})"


def line(c: Contender) -> str:
    """Return a contender's line of the table."""
    m = c.metrics
    cells = [
        c.name,
        f"{c.fields}",
        f"{c.values:,}",
        f"{c.bytes:,}",
        interval(m["auc"]),
        f"{m['log_loss'].value:.4f}",
        f"{m['calibration_ratio'].value:.3f}",
        f"{c.valid['auc']:.4f}",
    ]
    return f"| {' | '.join(cells)} |"


def written(run: Run) -> str:
    """Return the part of the card."""
    head = ["model", "fields", "values", "bytes", "test AUC, 95 %", "log-loss", "predicted / observed", "valid AUC"]
    delta = interval(run.verdict.delta_auc, sign="+")
    return "\n".join(
        [
            f"Measured on {run.created[:10]} by `ctrsel run configs/{run.name}.yaml`: {run.table.rows['test']:,} test rows, "
            f"seed {run.seed}.",
            "One seed is an indication, not a claim.",
            "",
            f"| {' | '.join(head)} |",
            f"|{' --- |' * len(head)}",
            *(line(c) for c in run.contenders),
            "",
            f"The chosen small model is `{run.verdict.chosen}`. Paired on the same rows, its test AUC less that of the",
            f"full net is {delta}.",
        ]
    )


def main() -> None:
    """Read the run, rewrite the card."""
    run = Run.load(Path(sys.argv[1]) / "run")
    text, count = BETWEEN.subn(lambda m: m[1] + written(run) + m[2], CARD.read_text(encoding="utf-8"))
    if count != 1:
        raise SystemExit(f"{CARD}: expected one part to write, found {count}")
    CARD.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
