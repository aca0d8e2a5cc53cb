"""A version's review as Markdown for MLflow's page and as text for the terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from ctrsel.records.audit import Finding
from ctrsel.records.check import Check
from ctrsel.records.review import Review
from ctrsel.records.set_difference import SetDifference
from ctrsel.records.window import Delta, WindowComparison
from ctrsel.report.markdown import code, escaped
from ctrsel.report.numbers import change, count, interval, percent, plain, signed, size
from ctrsel.report.wording import public, shorten, visible

__all__ = ["LONGEST", "check_text", "comparison_text", "log_text", "review_card", "review_text"]

LONGEST = 4500  # characters of a description; MLflow keeps 5,000
_WIDTH = 120
_METRICS = {"auc": "AUC", "log_loss": "log-loss", "calibration_ratio": "predicted / observed"}


def review_card(review: Review, *, contenders: Sequence[str] = ()) -> str:
    """Return a version's description in Markdown, at most 4,500 characters; what is too long loses whole lines at the end.

    Args:
        review: The version's; all texts that come from the data are escaped.
        contenders: Lines of the run's final table.
    """
    head = [
        f"**{'Check passed' if review.check.passed else 'Check FAILED'}.** {escaped(review.headline)}",
        "",
        *(
            f"- {'**FAILED**' if x.status == 'failed' else x.status} {x.rule}: {escaped(x.words)}"
            for x in review.check.lines
        ),
    ]
    before = "none" if review.champion is None else f"version {review.champion}"
    tail = [
        "",
        f"**Roll back**: `ctrsel rollback {review.model_name} --reason WHY`, or set the alias `champion` to "
        f"{'the version before' if review.champion is None else before}. The whole report is `report/index.html` among this "
        "version's files.",
    ]
    body: list[str] = []
    if review.comparison is not None:
        body += ["", *_metric_rows(review.comparison, before)]
    body += [
        "",
        f"**Data**: {_data(review.data, code, escaped)}",
        "",
        f"**Trained by**: {_trained(review.trained, code)}",
    ]
    body += ["", f"**Weighs**: {_costs(review)}"]
    if review.changes is not None:
        body += ["", *(f"- {escaped(line)}" for line in _changes(review.changes))]
    body += ["", *(f"- audit, {escaped(line)}" for line in _findings(review.findings))]
    room = LONGEST - sum(len(x) + 1 for x in tail)
    kept: list[str] = []
    for line in [*head, *body]:
        if sum(len(x) + 1 for x in kept) + len(line) + 3 > room:
            kept.append("\u2026")
            break
        kept.append(line)
    return "\n".join([*kept, *tail])


def review_text(review: Review, *, title: str, log: Sequence[Mapping[str, Any]] = ()) -> str:
    """Return the same for a terminal.

    Args:
        review: The version's.
        title: Its name, number and aliases.
        log: The promotion log; its last entries are told.
    """
    lines = [visible(title), *_wrapped("", review.headline), "", check_text(review.check)]
    if review.comparison is not None:
        lines += ["", comparison_text(review.comparison)]
    lines += [""]
    for line in _changes(review.changes) if review.changes is not None else []:
        lines += _wrapped("changes", line)
    lines += _wrapped("weighs", _costs(review))
    lines += _wrapped("data", _data(review.data, str, str))
    lines += _wrapped("trained", _trained(review.trained, str))
    for line in _findings(review.findings):
        lines += _wrapped("audit", line)
    lines += [f"{'back':<9}ctrsel rollback {visible(review.model_name)} --reason WHY"]
    if log:
        lines += ["", log_text(log[-5:])]
    return "\n".join(lines)


def check_text(check: Check) -> str:
    """Return the promotion check line by line."""
    against = "no champion to compare with" if check.champion is None else f"against version {check.champion}"
    lines = [f"check    {'PASSED' if check.passed else 'FAILED'}, {against}"]
    for line in check.lines:
        mark = "FAILED" if line.status == "failed" else line.status
        lines += _wrapped(f"  {mark}", f"{line.rule}: {line.words}")
    return "\n".join(lines)


def comparison_text(found: WindowComparison, *, names: tuple[str, str] = ("champion", "this one")) -> str:
    """Return both models on the same rows: overall, by segment, and how far inputs and scores have moved.

    Args:
        found: The comparison.
        names: Of the two models; the difference is the second minus the first.
    """
    span = "" if found.first is None else f", {found.first} to {found.last}"
    young = f"; {found.young:,} rows are too young" if found.young else ""
    lines = _wrapped("rows", f"{public(found.source)}: {found.rows:,} rows, {found.positives:,} positive{span}{young}")
    for note in found.notes:
        lines += _wrapped("", note)
    rows: list[tuple[str, ...]] = [("", *names, "difference", "95 %, paired")]
    rows += [(label, *_delta(found.metrics[key])) for key, label in _METRICS.items()]
    lines += ["", *_table(rows)]
    if found.segments:
        head = ("segment", "rows", "pred/obs before", "now", "AUC difference", "95 %, paired")
        parts: list[tuple[str, ...]] = [head]
        for s in found.segments:
            gap = s.auc.difference if s.auc else None
            parts.append(
                (
                    shorten(visible(f"{s.field} = {'(missing)' if s.value is None else s.value}"), 40),
                    count(s.rows),
                    plain(s.champion_ratio, 3),
                    plain(s.challenger_ratio, 3),
                    signed(gap.value if gap else None),
                    interval(gap, sign=True),
                )
            )
        lines += ["", *_table(parts)]
    moved = [d for d in found.drift if d.moved]
    if found.drift:
        lines += ["", f"inputs: {len(moved)} of {len(found.drift)} fields moved more than chance since training"]
        first = ("field", "distance", "chance", "unseen or rare", "then", "missing", "then")
        drift: list[tuple[str, ...]] = [first]
        for d in moved[:10]:
            shares = (d.other, d.other_trained, d.missing, d.missing_trained)
            drift.append((shorten(visible(d.field), 40), plain(d.distance), plain(d.limit), *map(percent, shares)))
        lines += _table(drift) if moved else []
    for score in found.scores:
        word = "moved" if score.distance > score.limit else "as then"
        name = names[0] if score.model == "champion" else names[1]
        lines.append(f"scores of {name}: {word} (distance {plain(score.distance)}, chance {plain(score.limit)})")
    return "\n".join(lines)


def log_text(entries: Sequence[Mapping[str, Any]]) -> str:
    """Return entries of the promotion log, oldest first."""
    lines = ["log"]
    for e in entries:
        was, now = ("none" if e[k] is None else f"version {e[k]}" for k in ("from", "to"))
        words = f"{e['when'][:19].replace('T', ' ')} {e['who']}: {e['decision']} version {e['candidate']}, champion {was} to {now}"
        why = [w for w in e["why"] if e["decision"] not in ("promoted", "refused") or w.startswith("FAILED")]
        lines += _wrapped("", shorten("; ".join([words, *why]), 400))
    return "\n".join(lines)


def _metric_rows(found: WindowComparison, before: str) -> list[str]:
    rows = [
        f"| {found.rows:,} same rows | {before} | this | difference | 95 %, paired |",
        "| --- | ---: | ---: | ---: | --- |",
    ]
    return [*rows, *("| " + " | ".join((v, *_delta(found.metrics[k]))) + " |" for k, v in _METRICS.items())]


def _delta(found: Delta) -> tuple[str, str, str, str]:
    gap = found.difference
    return plain(found.champion), plain(found.challenger), signed(gap.value), interval(gap, sign=True)


def _data(data: Mapping[str, Any], mark: Any, words: Any) -> str:
    rows = "; ".join(f"{words(str(k))} {count(v)}" for k, v in data["rows"].items())
    rates = "; ".join(f"{words(str(k))} {plain(v)}" for k, v in data["base_rate"].items())
    dates = "" if data.get("dates") is None else f"; {data['dates']}"
    text = (
        f"{mark(shorten(public(str(data['source'])), 200))}, digest {mark(str(data['digest']))}, rows: {rows}; label "
        f"{mark(str(data['label']))}, base rate: {rates}{dates}"
    )
    return "; ".join([text, *(words(str(n)) for n in data.get("notes", ()))])


def _trained(found: Mapping[str, Any], mark: Any) -> str:
    parts = [f"{k.replace('_', ' ')} {mark(str(v))}" for k, v in found.items() if k != "versions"]
    versions = ", ".join(f"{k} {v}" for k, v in found.get("versions", {}).items())
    return "; ".join([*parts, versions])


def _costs(review: Review) -> str:
    mine, other = review.costs, review.champion_costs
    text = f"{mine.fields} fields, {mine.values:,} values, {size(mine.bytes)} on disk, {mine.milliseconds:.2f} ms per 1,000 rows"
    if other is None:
        return text
    return (
        f"{text}; champion: {other.fields} fields, {other.values:,} values, {size(other.bytes)} "
        f"({change(mine.bytes, other.bytes)}), {other.milliseconds:.2f} ms"
    )


def _changes(found: SetDifference) -> list[str]:
    lines = []
    for kind, words in (("added", "fields gained"), ("removed", "fields lost")):
        names = found.of(kind)  # type: ignore[arg-type]  # the two kinds of the literal
        if names:
            lines.append(f"{words}: {shorten(', '.join(names), 300)}")
    changed = [f for f in found.fields if f.change == "changed"]
    if changed:
        gained, lost = sum(f.gained for f in changed), sum(f.lost for f in changed)
        merged, parted = sum(f.merged for f in changed), sum(f.parted for f in changed)
        lines.append(
            f"values of {len(changed)} fields that both keep: {gained:,} gained, {lost:,} lost, {merged:,} merged, {parted:,} parted"
        )
        for f in sorted(changed, key=lambda f: -(f.gained + f.lost))[:5]:
            told = [f"{k}: {', '.join(shorten(t, 40) for t in f.top[k])}" for k in ("gained", "lost") if f.top.get(k)]
            lines.append("; ".join([f"{f.name}: {f.gained:,} gained, {f.lost:,} lost", *told]))
    return lines or ["the same fields and values as the champion"]


def _findings(findings: Sequence[Finding]) -> list[str]:
    told = [f for f in findings if f.severity != "note"]
    lines = [
        f"{f.severity}{' (accepted)' if f.accepted else ''} {f.rule} {f.field or 'table'}: {shorten(f.evidence, 200)}"
        for f in told
    ]
    more = [f"and {len(lines) - 8} more"] if len(lines) > 8 else []
    return [*lines[:8], *more] or ["no warning"]


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(r[i]) for r in rows) for i in range(len(rows[0]))]
    return [
        "  ".join(c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(r, widths, strict=True))).rstrip()
        for r in rows
    ]


def _wrapped(head: str, words: str) -> list[str]:
    lines = textwrap.wrap(visible(words), _WIDTH - 9, break_long_words=False) or [""]
    return [f"{head if i == 0 else '':<9}{line}" for i, line in enumerate(lines)]
