"""The page of a comparison of selectors: who was named, one table with intervals and paired tests, one drawing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

from ctrsel.core.artifact import atomic_text
from ctrsel.records.selection_comparison import Curve, KeptSet, PairedLine, SelectionComparison
from ctrsel.report.charts.curve_chart import Line, Panel, curve_chart
from ctrsel.stats.paired import paired_mean

__all__ = ["comparison_chart", "comparison_page", "verdict_at", "write_comparison"]

_NOT_RUN = "not run"
FULL, FREQUENT, RANDOM = "none", "frequent", "random"


def write_comparison(found: SelectionComparison, *, folder: Path, name: str = "selection") -> None:
    """Write the page and the drawing beside each other."""
    atomic_text(folder / f"{name}.svg", str(comparison_chart(found)) + "\n")
    atomic_text(folder / f"{name}.md", comparison_page(found, drawing=f"{name}.svg"))


def comparison_page(found: SelectionComparison, *, drawing: str | None = None, heading: str = "#") -> str:
    """Return the page as Markdown.

    Args:
        found: The comparison.
        drawing: The file of the drawing, shown under the naming.
        heading: The mark of its headings.
    """
    split = _split(found)
    lines = [f"{heading} Selectors compared on {found.name}", "", _what(found), "", *_named(found), ""]
    if drawing is not None:
        lines += [f"![AUC against size]({drawing})", ""]
    lines += [f"{heading}# At each size", "", *_sizes(found, split), "", _legend(found, split), ""]
    lines += [f"{heading}# Over all sizes, and what the search takes", "", *_selectors(found, split), ""]
    lines += [_FORMULA, "", *(f"- {note[0].upper()}{note[1:]}." for note in found.notes)]
    return "\n".join(lines).rstrip() + "\n"


_FORMULA = (
    "Area: `sum (k' - k) (AUC' + AUC - 1) / (k_last - k_first)` over neighbouring sizes, so that chance is 0 and a "
    "perfect order is 1; areas compare on one grid of sizes only. Seconds and MiB are those of the search, rankings that "
    "it asks for included: wall-clock time, and the most that its process held beyond what it held at the start; the mean "
    "over seeds."
)


def verdict_at(found: SelectionComparison, contestant: str, share: float, judge: str) -> str:
    """Say in words what the paired differences of one at a size show.

    "Frequency suffices" where it is not shown to be better than the most frequent values: the lower limit of the
    difference is not above 0.
    """
    split = _split(found)
    full = found.pair(contestant, FULL, share, judge, split)
    words = []
    if full is None or full.value is None:
        return _NOT_RUN
    if full.low is None or full.high is None:
        words.append("one seed shows nothing")
    elif full.low > -found.margin:
        words.append("non-inferior")
    elif full.high < -found.margin:
        words.append("inferior")
    else:
        words.append("non-inferiority not shown")
    frequent = found.pair(contestant, FREQUENT, share, judge, split)
    if frequent is not None and frequent.low is not None:
        words.append("better than frequency" if frequent.low > 0 else "frequency suffices")
    return ", ".join(words)


def comparison_chart(found: SelectionComparison) -> str:
    """Return the drawing as SVG: AUC against size, a panel per judge."""
    split = _split(found)
    panels = []
    for judge in found.judges:
        lines = []
        for name in _second(found):
            points = [(s, p) for s in found.shares if (p := _auc(found, name, s, judge, split)) is not None]
            lines.append(
                Line(
                    name=name,
                    shares=tuple(s for s, _ in points),
                    values=tuple(v for _, (v, _, _) in points),
                    low=tuple(low for _, (_, low, _) in points),
                    high=tuple(high for _, (_, _, high) in points),
                    named=name == found.naming.selector,
                )
            )
        full = _auc(found, FULL, 1.0, judge, split)
        panels.append(Panel(title=judge, lines=tuple(lines), full=None if full is None else full[0]))
    return str(curve_chart(panels, split="test" if split == "test" else "validation", unit=found.unit))


def _split(found: SelectionComparison) -> str:
    return "test" if any(c.test_auc is not None for c in found.cells) else "valid"


def _second(found: SelectionComparison) -> list[str]:
    """Return who was in the second stage, the named one first, then selectors, then controls."""
    final = [c for c in found.contestants if c.final and c.role != "full"]
    order = {"selector": 0, "control": 1, "full": 2}
    return [c.name for c in sorted(final, key=lambda c: (c.name != found.naming.selector, order[c.role]))]


def _auc(
    found: SelectionComparison, name: str, share: float, judge: str, split: str
) -> tuple[float, float | None, float | None] | None:
    """Return the mean over seeds with its limits."""
    cells = [c for c in found.cells if (c.contestant, c.judge) == (name, judge) and c.share == share]
    values = [v for c in cells if (v := c.valid_auc if split == "valid" else c.test_auc) is not None]
    mean = paired_mean(values, [0.0] * len(values))
    return None if mean is None else (mean.value, mean.low, mean.high)


def _what(found: SelectionComparison) -> str:
    tried = ", ".join(f"{c}: {loss:.5f}" for c, loss in found.min_counts.items())
    least = f" in {found.min_count:,} training rows or more" if found.min_count > 1 else ""
    said = f" (validation log-loss by minimum count: {tried})" if tried else ""
    what = f"{found.total:,} values{least}" if found.unit == "values" else f"{found.total:,} fields"
    return (
        f"Sizes are shares of {what}{said}. Judges: {', '.join(found.judges)}, each retrained from scratch with "
        f"{len(found.seeds)} {'seed' if len(found.seeds) == 1 else 'seeds'}, paired over contestants. Codes, searches and "
        "early stopping see training and validation rows only."
    )


def _named(found: SelectionComparison) -> list[str]:
    naming = found.naming
    if naming.selector is None:
        return ["No selector could be named: nothing was run for any of them."]
    areas = ", ".join(f"{n} {a:.4f}" for n, a in sorted(naming.areas.items(), key=lambda p: -p[1]))
    size = (
        f"Smallest size at which it is non-inferior on validation with every judge (margin {found.margin:g}): "
        + ("none" if naming.share is None else f"{naming.share:.0%}")
        + "."
    )
    opened = " before test was opened" if _split(found) == "test" else ""
    return [f"Named by validation{opened}: **{naming.selector}**, by {naming.basis} ({areas}). {size}"]


def _sizes(found: SelectionComparison, split: str) -> list[str]:
    head = ["size", "contestant", "values", "rows covered", *(f"{j}: AUC, to the full model" for j in found.judges)]
    head += ["to frequency", "to random", "verdict"]
    rows = [_full_row(found, split)]
    for share, number in zip(found.shares, found.numbers, strict=True):
        for name in _second(found):
            sets = [s for s in found.sets if (s.contestant, s.share) == (name, share)]
            cells = [_judged(found, name, share, judge, split) for judge in found.judges]
            shown = f"**{name}**" if name == found.naming.selector else name
            controls = [_both(found, name, other, share, split) for other in (FREQUENT, RANDOM)]
            is_selector = next(c.role for c in found.contestants if c.name == name) == "selector"
            verdict = _verdicts(found, name, share) if is_selector else ""
            rows.append([f"{share:.0%} ({number:,})", shown, *_kept(sets, found.unit), *cells, *controls, verdict])
    return _table(head, rows)


def _full_row(found: SelectionComparison, split: str) -> list[str]:
    cells = [_number(_auc(found, FULL, 1.0, j, split)) for j in found.judges]
    total = f"{found.total:,}" if found.unit == "values" else "all"
    return ["all", "no selection", total, "100 %", *cells, "", "", ""]


def _kept(sets: Sequence[KeptSet], unit: str) -> list[str]:
    made = [s for s in sets if s.refused is None]
    if not made:
        return [sets[0].refused or "-" if sets else _NOT_RUN, "-"]
    values = fmean(s.values for s in made)
    fields = f" in {fmean(s.fields for s in made):.0f} fields" if unit == "fields" else ""
    return [f"{values:,.0f}{fields}", f"{fmean(s.covered for s in made):.1%}"]


def _judged(found: SelectionComparison, name: str, share: float, judge: str, split: str) -> str:
    auc = _auc(found, name, share, judge, split)
    if auc is None:
        return _NOT_RUN
    return f"{auc[0]:.4f}, {_difference(found.pair(name, FULL, share, judge, split))}"


def _both(found: SelectionComparison, name: str, other: str, share: float, split: str) -> str:
    """Return the differences to a control, a judge after the other."""
    if name == other:
        return ""
    return "; ".join(_difference(found.pair(name, other, share, judge, split)) for judge in found.judges)


def _verdicts(found: SelectionComparison, name: str, share: float) -> str:
    said = [verdict_at(found, name, share, judge) for judge in found.judges]
    return said[0] if len(set(said)) == 1 else "; ".join(f"{j}: {v}" for j, v in zip(found.judges, said, strict=True))


def _difference(line: PairedLine | None) -> str:
    if line is None or line.value is None:
        return _NOT_RUN
    if line.low is None or line.high is None:
        return f"{line.value:+.4f}"
    wide = "" if line.low_rows is None else f", with rows {line.low_rows:+.4f}"
    return f"{line.value:+.4f} [{line.low:+.4f}, {line.high:+.4f}{wide}]"


def _legend(found: SelectionComparison, split: str) -> str:
    return (
        f"AUC on the {'test' if split == 'test' else 'validation'} rows, mean over seeds. Differences are paired by seed, "
        "with Student's 95 % interval over seeds in brackets; `with rows` is the lower limit when the error over the rows of "
        "the split, which all seeds share, is added. Non-inferior: the lower limit to the full model lies above "
        f"-{found.margin:g}. Frequency suffices: the lower limit of the difference to the most frequent values at the same "
        "size is not above 0. Where several judges differ, they stand in their order."
    )


def _selectors(found: SelectionComparison, split: str) -> list[str]:
    head = ["contestant", "first stage", *(f"{j}: area" for j in found.judges), "seconds", "MiB", ""]
    rows = []
    for c in found.contestants:
        areas = [_area(found.curve(c.name, j, split)) if c.final else "-" for j in found.judges]
        seconds = f"{fmean(c.seconds.values()):.1f}" if c.seconds else "-"
        peaks = [p for p in c.peak.values() if p is not None]
        memory = f"{fmean(peaks) / 2**20:.0f}" if peaks else "-"
        first = "-" if c.role == "full" else _NOT_RUN if c.screened is None else f"{c.screened:.4f}"
        said = c.refused or ("" if c.final or c.screened is None else "left behind after the first stage")
        rows.append([c.name, "-" if c.refused else first, *areas, seconds, memory, said.replace("|", "\\|")])
    return _table(head, rows)


def _area(curve: Curve | None) -> str:
    if curve is None or curve.area is None:
        return _NOT_RUN
    if curve.low is None or curve.high is None:
        return f"{curve.area:.4f}"
    return f"{curve.area:.4f} ± {(curve.high - curve.low) / 2:.4f}"


def _number(auc: tuple[float, float | None, float | None] | None) -> str:
    return _NOT_RUN if auc is None else f"{auc[0]:.4f}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = ["| " + " | ".join(head) + " |", "| " + " | ".join("---" for _ in head) + " |"]
    return [*lines, *("| " + " | ".join(row) + " |" for row in rows)]
