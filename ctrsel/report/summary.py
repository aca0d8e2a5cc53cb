"""The final table on the terminal, and the markdown card of the registered version."""

from __future__ import annotations

import textwrap
from pathlib import Path

from ctrsel.records.evaluation import Metric
from ctrsel.records.review import Review
from ctrsel.records.run import Contender, Run
from ctrsel.report.markdown import code, escaped
from ctrsel.report.numbers import auc, count, interval, plain, signed, size
from ctrsel.report.sections.facts import full_net, one_seed
from ctrsel.report.sections.verdict import reasons
from ctrsel.report.wording import public, shorten, visible

__all__ = ["check_lines", "contender_lines", "model_card", "summary_table"]

_WIDTH = 120
_CARD = 5000  # characters that MLflow keeps of a description
_HEAD = ("contender", "AUC [95 %]", "log-loss", "pred/obs", "fields", "values", "on disk", "ms/1,000")


def summary_table(run: Run, *, report: Path | None = None, review: Review | None = None) -> str:
    """Return the final table and what to do next as plain text, at most 120 columns wide except for commands and paths.

    Args:
        run: The run; `*` marks the chosen contender.
        report: Where its page is.
        review: How its version stands against the champion; told if it is of this run.
    """
    rows = [_HEAD, *(_cells(c) for c in run.contenders)]
    widths = [max(len(r[i]) for r in rows) for i in range(len(_HEAD))]
    widths[0] = min(widths[0], _WIDTH - 2 - sum(widths[1:]) - 2 * (len(_HEAD) - 1))
    table = []
    for i, row in enumerate(rows):
        mark = "*" if i and run.contenders[i - 1].name == run.verdict.chosen else " "
        rest = (cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True))
        table.append("  ".join([f"{mark} {shorten(row[0], widths[0]).ljust(widths[0])}", *rest]))
    table.insert(1, "-" * len(table[0]))
    word = "ACCEPT" if run.verdict.promoted else "REFUSE"
    seeds = f"one seed ({run.seed}): indicative" if one_seed(run) else "several seeds"
    text = [
        f"{visible(run.name)}: test split, {count(run.table.rows.get('test'))} rows; {seeds}",
        "",
        *table,
        "",
        *_wrapped("verdict", f"{word}. {run.verdict.headline}"),
        *(line for r in reasons(run.verdict.reasons) if r.status == "failed" for line in _wrapped("failed", r.words)),
    ]
    if review is not None and review.is_of(run):
        text += check_lines(review)
    if report is not None:
        text.append(f"{'report':<9}{report}")
    if run.registration is not None:
        text.append(f"{'model':<9}{visible(run.registration.model_name)}, version {run.registration.version}")
        text.append(f"{'MLflow':<9}{public(run.registration.ui_command)}")
    return "\n".join(text)


def check_lines(review: Review) -> list[str]:
    """Return the promotion check in a line or two: its result, the differences to the champion, and the first failure."""
    check, found = review.check, review.comparison
    word = "PASSED" if check.passed else "FAILED"
    if found is None:
        against = "no champion yet" if review.champion is None else f"version {review.champion} could not be scored"
        lines = _wrapped("check", f"{word}; {against}")
    else:
        gaps = {k: found.metrics[k].difference for k in ("auc", "log_loss", "calibration_ratio")}
        told = [
            f"{label} {signed(gaps[k].value, digits)}" + (f" [{span}]" if (span := _span(gaps[k], digits)) else "")
            for k, label, digits in (
                ("auc", "AUC", 4),
                ("log_loss", "log-loss", 4),
                ("calibration_ratio", "pred/obs", 3),
            )
        ]
        moved = sum(d.moved for d in found.drift)
        drift = f"; {moved} of {len(found.drift)} inputs moved" if found.drift else ""
        lines = _wrapped("check", f"{word} against champion {review.champion}: {', '.join(told)}{drift}")
    # What the run's own rules say stands in the lines above this one.
    failures = [f"{x.rule}: {x.words}" for x in check.lines if x.status == "failed" and x.rule != "run"]
    if failures:
        more = f" (and {len(failures) - 1} more)" if len(failures) > 1 else ""
        lines += _wrapped("", shorten(failures[0], 200) + more)
    return lines


def _span(metric: Metric, digits: int) -> str:
    return interval(metric, digits, sign=True).replace(" to ", ", ")


def _cells(c: Contender) -> tuple[str, ...]:
    found = c.metrics.get("auc")
    span = interval(found).replace(" to ", ", ")
    return (
        visible(c.name),
        f"{auc(found)} [{span}]" if span else auc(found),
        plain(_value(c, "log_loss")),
        plain(_value(c, "calibration_ratio"), 3),
        count(c.fields),
        count(c.values),
        size(c.bytes),
        plain(c.milliseconds, 1),
    )


def _value(c: Contender, name: str) -> float | None:
    return c.metrics.get(name, Metric(value=None)).value


def _wrapped(head: str, words: str) -> list[str]:
    lines = textwrap.wrap(visible(words), _WIDTH - 9) or [""]
    return [f"{head if i == 0 else '':<9}{line}" for i, line in enumerate(lines)]


def model_card(run: Run) -> str:
    """Return the markdown that a reviewer sees as the registered version's description, at most 5,000 characters."""
    chosen = run.chosen
    delta = run.verdict.delta_auc
    span = interval(delta, sign=True)
    lines = [
        f"**{'Accept' if run.verdict.promoted else 'Refuse'}.** {escaped(run.verdict.headline)}",
        "",
        f"Test AUC against the full net: {signed(delta.value)}" + (f" (95 %, paired: {span})." if span else "."),
        f"One seed ({run.seed}): indicative." if one_seed(run) else "",
        "",
        *contender_lines(run),
    ]
    lines += ["", "Rules that were checked:", ""]
    lines += [
        f"- {'for information' if r.status == 'note' else r.status}: {escaped(r.words)}"
        for r in reasons(run.verdict.reasons)
    ]
    best = [f for f in run.fields if f.kept][:8]
    if best:
        lines += ["", "Best fields kept, by rank: " + ", ".join(code(f.name) for f in best) + "."]
    rows = "; ".join(f"{escaped(k)} {count(v)}" for k, v in run.table.rows.items())
    lines += [
        "",
        f"Table {code(run.table.digest)} from {code(shorten(public(run.table.source), 200))} (rows: {rows}), label "
        f"{code(run.table.label)}. Feature set {code(chosen.feature_set or 'none')}, model {code(chosen.model)}.",
        "",
        "The choice was made on validation. The full report travels with this version.",
    ]
    card = "\n".join(lines)
    return card if len(card) <= _CARD else card[: _CARD - 1] + "\u2026"


def contender_lines(run: Run) -> list[str]:
    """Return the final table in Markdown, line by line: the chosen contender, the full net, then the others."""
    chosen, full = run.chosen, full_net(run)
    first = [chosen, *([full] if full else [])]
    lines = [
        "| model | test AUC | 95 % | log-loss | pred/obs | fields | values | on disk | ms per 1,000 rows |",
        "| --- | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for c in (*first, *(c for c in run.contenders if c not in first)):
        name, _, *rest = _cells(c)
        name = f"**{escaped(name)}**" if c is chosen else escaped(name)
        found = c.metrics.get("auc")
        lines.append("| " + " | ".join([name, auc(found), interval(found), *rest]) + " |")
    return lines
