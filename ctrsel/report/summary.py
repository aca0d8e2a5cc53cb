"""The final table on the terminal, and the markdown card of the registered version."""

from __future__ import annotations

from pathlib import Path

from ctrsel.records.run import Contender, Run
from ctrsel.report.numbers import auc, count, interval, plain, seconds, signed, size

__all__ = ["model_card", "summary_table"]

_HEAD = ("model", "AUC [95 %]", "log-loss", "pred/obs", "ECE", "fields", "values", "on disk", "ms/1000", "trained")


def _cells(c: Contender) -> tuple[str, ...]:
    m = c.metrics
    span = interval(m["auc"]).replace(" to ", ", ")
    ece = m.get("ece")
    return (
        c.name,
        f"{auc(m['auc'])} [{span}]" if span else auc(m["auc"]),
        plain(m["log_loss"].value),
        plain(m["calibration_ratio"].value, 3),
        plain(ece.value if ece else None),
        count(c.fields),
        count(c.values),
        size(c.bytes),
        f"{c.milliseconds:.1f}",
        seconds(c.seconds),
    )


def summary_table(run: Run, *, report: Path | None = None) -> str:
    """Return the final table and what to do next, as plain text.

    Args:
        run: The run.
        report: Where its page is.
    """
    rows = [_HEAD, *(_cells(c) for c in run.contenders)]
    widths = [max(len(r[i]) for r in rows) for i in range(len(_HEAD))]
    lines = []
    for i, row in enumerate(rows):
        first, *rest = [
            cell.ljust(w) if j == 0 else cell.rjust(w) for j, (cell, w) in enumerate(zip(row, widths, strict=True))
        ]
        mark = "*" if i and run.contenders[i - 1].name == run.verdict.chosen else " "
        lines.append("  ".join([mark, first, *rest]).rstrip())
        if i == 0:
            lines.append("-" * len(lines[0]))
    tested = next(iter(run.table.rows.values()), 0) if "test" not in run.table.rows else run.table.rows["test"]
    text = [
        f"{run.name}: test split, {count(tested)} rows, read once per model; one seed ({run.seed}), so differences are indicative",
        "",
        *lines,
        "",
        f"verdict  {'ACCEPT' if run.verdict.promoted else 'REFUSE'}: {run.verdict.headline}",
        *(f"         {r}" for r in run.verdict.reasons if r.startswith("FAILED")),
    ]
    reused = [str(s["name"]) for s in run.stages if s["reused"]]
    if reused:
        text.append(
            f"reused   {len(reused)} of {len(run.stages)} stages, since nothing that they depend on has changed"
        )
    if report is not None:
        text.append(f"report   {report}")
    if run.registration is not None:
        text.append(f"model    {run.registration.model_name}, version {run.registration.version}")
        text.append(f"MLflow   {run.registration.ui_command}")
    return "\n".join(text)


def model_card(run: Run) -> str:
    """Return the markdown that a reviewer sees as the registered version's description."""
    chosen = run.chosen
    full = next((c for c in run.contenders if c.learner == chosen.learner and c.selector is None), chosen)
    delta = run.verdict.delta_auc
    span = interval(delta)
    others = [c for c in run.contenders if c.name not in (chosen.name, full.name)]
    lines = [
        f"**{'Accept' if run.verdict.promoted else 'Refuse'}.** {run.verdict.headline}",
        "",
        f"AUC difference to the full net: {signed(delta.value)}"
        + (f" (95 %: {span})" if span else "")
        + f". One seed ({run.seed}): indicative.",
        "",
        "| model | AUC | 95 % | log-loss | pred/obs | fields | values | on disk | ms per 1,000 rows |",
        "| --- | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for c in (chosen, full, *others):
        m = c.metrics
        cells = (
            c.name,
            auc(m["auc"]),
            interval(m["auc"]),
            plain(m["log_loss"].value),
            plain(m["calibration_ratio"].value, 3),
            count(c.fields),
            count(c.values),
            size(c.bytes),
            f"{c.milliseconds:.1f}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    best = ", ".join(f"`{f.name}`" for f in [f for f in run.fields if f.kept][:8])
    rates = "; ".join(f"{k} {count(v)}" for k, v in run.table.rows.items())
    lines += [
        "",
        "Rules that were checked:",
        "",
        *(f"- {r}" for r in run.verdict.reasons),
        "",
        f"Best fields kept: {best}.",
        "",
        f"Table `{run.table.digest}` from `{run.table.source}` (rows: {rates}); label `{run.table.label}`; "
        f"feature set `{run.digests.get('feature_set', '')}`; model `{chosen.model}`. Test was read once per model; the "
        "choice was made on validation. The full report travels with this version.",
    ]
    return "\n".join(lines)
