"""The page of a comparison of selectors: who was named, a table per judge with intervals and paired tests, one drawing."""

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
    if found.naming.selector is not None:
        lines += [
            f"{heading}# What {found.naming.selector} holds",
            "",
            *_summary(found, split),
            "",
            _legend(found, split),
            "",
        ]
    lines += [f"{heading}# Everybody at each size", ""]
    for judge in found.judges:
        lines += [f"Judged by {judge}:", "", *_sizes(found, judge, split), ""]
    lines += [f"{heading}# Over all sizes, and what the search takes", "", *_selectors(found, split), ""]
    lines += [_FORMULA, "", *(f"- {note[0].upper()}{note[1:]}." for note in found.notes)]
    return "\n".join(lines).rstrip() + "\n"


_FORMULA = (
    "Area: `sum (k' - k) (AUC' + AUC - 1) / (k_last - k_first)` over neighbouring sizes, so that chance is 0 and a "
    "perfect order is 1; areas compare on one grid of sizes only. Stability: how much the choices of different seeds agree (1 "
    "= the same, 0 = as by chance; Nogueira et al., 2018), the mean over sizes; not defined where values are merged. Seconds "
    "and MiB are those of the search, rankings that it asks for included: wall-clock time, and the most that its process "
    "held beyond what it held at the start; the mean over seeds."
)


def verdict_at(found: SelectionComparison, contestant: str, share: float, judge: str) -> str:
    """Say in words what the paired differences of one at a size show.

    "Frequency suffices" where it is not shown to be better than the most frequent values: the lower limit of the
    difference is not above 0.
    """
    return ", ".join(_shown(found, contestant, share, judge))


def _shown(found: SelectionComparison, contestant: str, share: float, judge: str) -> list[str]:
    """Return what is shown beside the full model, and beside frequency where that is known."""
    split = _split(found)
    full = found.pair(contestant, FULL, share, judge, split)
    words = []
    if full is None or full.value is None:
        return [_NOT_RUN]
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
    return words


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
    tried_first = [c for c in found.contestants if c.role == "selector" and c.screened is not None]
    final = sum(c.final for c in tried_first)
    stages = (
        f" Of {len(tried_first)} selectors in a first stage of one judge and one seed the best {final} went on."
        if len(tried_first) > final > 0
        else ""
    )
    return (
        f"Sizes are shares of {what}{said}. Judges: {', '.join(found.judges)}, each retrained from scratch with "
        f"{len(found.seeds)} {'seed' if len(found.seeds) == 1 else 'seeds'}, paired over contestants. Codes, searches and "
        f"early stopping see training and validation rows only.{stages}"
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


def _summary(found: SelectionComparison, split: str) -> list[str]:
    """Return the table of the one that was named: its differences to the full model and what they show."""
    name = str(found.naming.selector)
    head = [found.unit, "rows covered", *(f"{j}: to the full model" for j in found.judges)]
    rows = []
    for share, number in zip(found.shares, found.numbers, strict=True):
        cells = [_difference(found.pair(name, FULL, share, judge, split), wide=False) for judge in found.judges]
        covered = _kept(_sets(found, name, share), found.unit)[1]
        rows.append(
            [
                f"{share:.0%} ({number:,})",
                covered,
                *cells,
                _beside(found, name, share, split),
                _verdicts(found, name, share),
            ]
        )
    return _table([*head, "to the most frequent", "verdict"], rows)


def _beside(found: SelectionComparison, name: str, share: float, split: str) -> str:
    """Return the differences to the most frequent values from the least to the largest of the judges."""
    lines = [found.pair(name, FREQUENT, share, judge, split) for judge in found.judges]
    values = sorted(
        {f"{line.value:+.4f}": line.value for line in lines if line is not None and line.value is not None}.items(),
        key=lambda v: v[1],
    )
    if not values:
        return _NOT_RUN
    return values[0][0] if len(values) == 1 else f"{values[0][0]} to {values[-1][0]}"


def _sizes(found: SelectionComparison, judge: str, split: str) -> list[str]:
    head = [
        "size",
        "contestant",
        "values",
        "rows covered",
        "AUC",
        "to the full model",
        "to frequency",
        "to random",
        "retraining adds",
        "verdict",
    ]
    full = _number(_auc(found, FULL, 1.0, judge, split))
    total = f"{found.total:,}" if found.unit == "values" else "all"
    rows = [["all", "no selection", total, "100 %", full, "", "", "", "", ""]]
    for share, number in zip(found.shares, found.numbers, strict=True):
        for name in _second(found):
            shown = f"**{name}**" if name == found.naming.selector else name
            is_selector = next(c.role for c in found.contestants if c.name == name) == "selector"
            auc = _auc(found, name, share, judge, split)
            cells = [_NOT_RUN, "", "", "", "", ""]
            if auc is not None:
                pairs = [
                    ""
                    if name == other
                    else _difference(found.pair(name, other, share, judge, split), wide=other == FULL)
                    for other in (FULL, FREQUENT, RANDOM)
                ]
                verdict = verdict_at(found, name, share, judge) if is_selector else ""
                cells = [f"{auc[0]:.4f}", *pairs, _retraining(found, name, share, judge), verdict]
            rows.append([f"{share:.0%} ({number:,})", shown, *_kept(_sets(found, name, share), found.unit), *cells])
    return _table(head, rows)


def _retraining(found: SelectionComparison, name: str, share: float, judge: str) -> str:
    """Return what retraining adds on validation to the full model that is narrowed to the same sets."""
    cells = [c for c in found.cells if (c.contestant, c.share, c.judge) == (name, share, judge)]
    gains = [c.valid_auc - c.pruned_auc for c in cells if c.valid_auc is not None and c.pruned_auc is not None]
    return f"{fmean(gains):+.4f}" if gains else "-"


def _sets(found: SelectionComparison, name: str, share: float) -> list[KeptSet]:
    return [s for s in found.sets if (s.contestant, s.share) == (name, share)]


def _kept(sets: Sequence[KeptSet], unit: str) -> list[str]:
    made = [s for s in sets if s.refused is None]
    if not made:
        return [sets[0].refused or "-" if sets else _NOT_RUN, "-"]
    values = fmean(s.values for s in made)
    fields = f" in {fmean(s.fields for s in made):.0f} fields" if unit == "fields" else ""
    return [f"{values:,.0f}{fields}", f"{fmean(s.covered for s in made):.1%}"]


def _verdicts(found: SelectionComparison, name: str, share: float) -> str:
    """Say what is shown with which judges; who they are is left out where they agree."""
    said: list[dict[str, list[str]]] = [{}, {}]
    for judge in found.judges:
        for what, words in zip(said, _shown(found, name, share, judge), strict=False):
            what.setdefault(words, []).append(judge)
    parts = [w if len(what) == 1 else f"{w} ({', '.join(by)})" for what in said for w, by in what.items()]
    return ", ".join(parts)


def _difference(line: PairedLine | None, *, wide: bool = True) -> str:
    if line is None or line.value is None:
        return _NOT_RUN
    if line.low is None or line.high is None:
        return f"{line.value:+.4f}"
    rows = "" if line.low_rows is None or not wide else f", with rows {line.low_rows:+.4f}"
    return f"{line.value:+.4f} [{line.low:+.4f}, {line.high:+.4f}{rows}]"


def _legend(found: SelectionComparison, split: str) -> str:
    return (
        f"AUC on the {'test' if split == 'test' else 'validation'} rows, mean over seeds. Differences are paired by seed, "
        "with Student's 95 % interval over seeds in brackets; `with rows` is the lower limit when the error over the rows of "
        "the split, which all seeds share, is added. Non-inferior: the lower limit to the full model lies above "
        f"-{found.margin:g}, for retraining on these rows; where `with rows` lies below it, other rows of the same source may "
        "show otherwise. Frequency suffices: the lower limit of the difference to the most frequent values at the same "
        "size is not above 0. Retraining adds: AUC on validation less that of the full model of the same judge and seed, narrowed "
        "to the same set and not trained again; trees cannot be narrowed."
    )


def _selectors(found: SelectionComparison, split: str) -> list[str]:
    head = ["contestant", "first stage", *(f"{j}: area" for j in found.judges), "stability", "seconds", "MiB", ""]
    rows = []
    for c in found.contestants:
        areas = [_area(found.curve(c.name, j, split)) if c.final else "-" for j in found.judges]
        seconds = f"{fmean(c.seconds.values()):.1f}" if c.seconds else "-"
        peaks = [p for p in c.peak.values() if p is not None]
        memory = f"{fmean(peaks) / 2**20:.0f}" if peaks else "-"
        first = "-" if c.role == "full" else _NOT_RUN if c.screened is None else f"{c.screened:.4f}"
        said = c.refused or ("" if c.final or c.screened is None else "left behind after the first stage")
        stability = f"{round(fmean(c.stability.values()), 2) + 0.0:.2f}" if c.stability else "-"  # 0.00, not -0.00
        rows.append([c.name, "-" if c.refused else first, *areas, stability, seconds, memory, said.replace("|", "\\|")])
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
