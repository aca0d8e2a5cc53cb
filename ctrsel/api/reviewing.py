"""Reviewing: a run's version beside the champion, and what a person may ask and do afterwards."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ctrsel.api.assemble import milliseconds_per_1000
from ctrsel.api.changes import model_changes
from ctrsel.api.checking import promotion_check
from ctrsel.api.named_rows import Rows
from ctrsel.api.versus import compare_models, score_edges
from ctrsel.api.window import Window
from ctrsel.core.artifact import digest_json
from ctrsel.core.config import CheckConfig, RegisterConfig, RunConfig
from ctrsel.core.errors import ConfigError, CtrselError, RefusedError, UnreachableError
from ctrsel.data.example import example_rows
from ctrsel.models.model import Model
from ctrsel.records.audit import Audit
from ctrsel.records.check import CheckLine
from ctrsel.records.review import Costs, Review
from ctrsel.records.run import Run
from ctrsel.records.window import WindowComparison
from ctrsel.register import versions
from ctrsel.register.promotion import deltas, is_later, promote_version, promotion_log, roll_back
from ctrsel.register.versions import VersionFacts, champion_of, find_version, load_version, open_store, stored_review

__all__ = ["compare_versions", "promote", "review_run", "review_version", "rollback"]


def review_run(
    run: Run,
    *,
    config: RunConfig,
    model: Model,
    audit: Audit,
    logits: np.ndarray,
    out: Path,
    window: Window | Callable[[], Window],
    dates: str | None,
) -> Review:
    """Compare a run's chosen model with the champion on the run's test rows, and decide whether it may follow.

    Args:
        run: The run's record.
        config: The run's.
        model: Its chosen model.
        audit: Of the table.
        logits: Of the chosen model on the test rows.
        out: The run's folder.
        window: The test rows; only called if there is a champion to compare with.
        dates: Of the table's first and last row.

    Raises:
        UnreachableError: If the registry cannot be reached.
    """
    settings, name = config.register, config.register.model_name or config.name
    champion = champion_of(name, config=settings, out=out)
    costs, champion_costs, comparison, changes, unusable = _weigh(model, None), None, None, None, None
    if champion is not None:
        try:
            other = load_version(name, champion, config=settings, out=out)
            comparison = compare_models(
                other,
                model,
                window if isinstance(window, Window) else window(),
                segments=settings.check.segments,
                edges=_edges(name, champion, "champion", config=settings, out=out),
                interval=settings.check.interval,
                seed=run.seed,
            )
            costs, champion_costs = _timed(model, other, seed=run.seed)
            changes = model_changes(other, model)
        except (UnreachableError, RefusedError):
            raise
        except CtrselError as error:  # a champion that cannot be scored is no reason to lose the run
            unusable = str(error)
    if champion_costs is None:
        costs = replace(costs, milliseconds=run.chosen.milliseconds)
    check = promotion_check(
        settings.check,
        champion=champion,
        comparison=comparison,
        costs=costs,
        champion_costs=champion_costs,
        findings=audit.findings,
        reasons=run.verdict.reasons,
        calibration=run.chosen.metrics.get("calibration_ratio"),
        unusable=unusable,
    )
    if (later := _later(run, name, champion, config=settings, out=out)) is not None:
        check = replace(check, lines=(later, *check.lines))
    facts, chosen = run.table, run.chosen
    return Review(
        model_name=name,
        headline=run.verdict.headline,
        data={
            "source": facts.source,
            "digest": facts.digest,
            "rows": dict(facts.rows),
            "base_rate": dict(facts.base_rate),
            "label": facts.label,
            "notes": list(facts.notes),
            "dates": dates,
        },
        trained={
            "learner": chosen.learner,
            "selector": chosen.selector or "none",
            "seed": run.seed,
            "config": digest_json(run.config),
            "model": chosen.model,
            "when": run.created,
            "versions": dict(run.versions),
        },
        champion=champion,
        check=check,
        costs=costs,
        champion_costs=champion_costs,
        comparison=comparison,
        changes=changes,
        findings=audit.findings,
        scores=score_edges(logits),
        scored=len(logits),
    )


def review_version(
    name: str, *, store: str | Path | None = None, rows: Rows | None = None
) -> tuple[VersionFacts, Review | None, list[dict[str, Any]]]:
    """Return what the registry has of a version, its review, and the model's promotion log.

    Args:
        name: `MODEL` (the newest version), `MODEL@alias` or `MODEL/version`.
        store: An address, or the folder of a run that keeps its own store; None for `MLFLOW_TRACKING_URI`.
        rows: Rows to compare it with the present champion on, in place of those of its own run.

    Raises:
        ConfigError: If there is no such version.
    """
    config, out = open_store(store)
    facts = find_version(name, config=config, out=out)
    review = stored_review(facts, config=config, out=out)
    log = promotion_log(facts.name, config=config, out=out)
    if rows is not None and rows.data is not None:
        if review is None:
            raise ConfigError(f"{name}: was registered without a review; compare it by 'ctrsel compare'")
        review = _on(facts, review, rows, config=config, out=out)
    return facts, review, log


def compare_versions(
    first: str, second: str, *, rows: Rows, store: str | Path | None = None, seed: int = 1
) -> tuple[VersionFacts, VersionFacts, WindowComparison]:
    """Score two versions on the same rows.

    Args:
        first: The one to compare with, named as in `review_version`.
        second: The other one.
        rows: On which.
        store: As in `review_version`.
        seed: Of the draws.

    Returns:
        What the registry has of both, and the comparison: second minus first.
    """
    config, out = open_store(store)
    a, b = (find_version(n, config=config, out=out) for n in (first, second))
    if rows.data is None:
        raise ConfigError("compare: name the rows to score both versions on by --on")
    old, new = (load_version(v.name, v.version, config=config, out=out) for v in (a, b))
    edges = {
        **_edges(a.name, a.version, "champion", config=config, out=out),
        **_edges(b.name, b.version, "challenger", config=config, out=out),
    }
    return a, b, compare_models(old, new, rows.window(new), segments=rows.segments, edges=edges, seed=seed)


def promote(
    name: str,
    *,
    reason: str,
    force: bool = False,
    rows: Rows | None = None,
    margins: CheckConfig | None = None,
    store: str | Path | None = None,
) -> dict[str, Any]:
    """Make a version the champion; refused if its promotion check fails.

    The check is the one stored with the version, if the champion is still the one that it was made against, else one on
    `rows`; and in any case a fresh process must load the version and predict its stored example.

    Args:
        name: `MODEL/version` or `MODEL@alias`.
        reason: Why; goes into the log.
        force: Promote although rules failed, which are written down with the reason.
        rows: Rows to make the check on anew.
        margins: Of a check that is made anew; None for those that are stored with the version.
        store: As in `review_version`.

    Returns:
        The log's entry.

    Raises:
        PromotionRefusedError: If a rule failed and `force` is not given.
    """
    config, out = open_store(store)
    facts = find_version(name, config=config, out=out)
    review = stored_review(facts, config=config, out=out)
    if rows is not None and rows.data is not None and review is not None:
        review = _on(facts, review, rows, margins=margins, config=config, out=out)
    if review is not None and review.champion == facts.version and review.check.champion == facts.version:
        raise ConfigError(f"{facts.name}: version {facts.version} is the champion already")
    check = review.check if review is not None else None
    failures = list(check.failures) if check is not None else ["it has no promotion check"]
    try:
        gap: float | None = versions.prove_version(facts.name, facts.version, config=config, out=out)
    except CtrselError as error:
        failures.append(f"example: {error}")
        gap = None
    if gap is not None and gap > 1e-6:
        failures.append(f"example: a fresh process predicts {gap:.2g} off its stored example")
    return promote_version(
        facts.name,
        facts.version,
        reason=reason,
        compared_with=None if check is None else check.champion,
        failures=failures,
        figures=deltas(review),
        force=force,
        config=config,
        out=out,
    )


def rollback(name: str, *, reason: str, to: int | None = None, store: str | Path | None = None) -> dict[str, Any]:
    """Make the champion of before champion again; see `ctrsel.register.promotion.roll_back`."""
    config, out = open_store(store)
    facts = find_version(name, config=config, out=out)
    return roll_back(facts.name, reason=reason, to=to, config=config, out=out)


def _on(
    facts: VersionFacts,
    review: Review,
    rows: Rows,
    *,
    margins: CheckConfig | None = None,
    config: RegisterConfig,
    out: Path,
) -> Review:
    """Return a version's review with the check made anew, against the present champion on other rows."""
    model = load_version(facts.name, facts.version, config=config, out=out)
    champion = facts.champion
    if margins is None:
        margins = CheckConfig(**{**review.check.margins, "segments": tuple(review.check.margins.get("segments", ()))})
    if champion is None or champion == facts.version:
        other, champion = model, facts.version
    else:
        other = load_version(facts.name, champion, config=config, out=out)
    comparison = compare_models(
        other,
        model,
        rows.window(model),
        segments=rows.segments or margins.segments,
        edges={
            **_edges(facts.name, champion, "champion", config=config, out=out),
            **_edges(facts.name, facts.version, "challenger", config=config, out=out),
        },
        interval=margins.interval,
    )
    costs, champion_costs = _timed(model, other, seed=1)
    against = None if facts.champion is None else champion
    check = promotion_check(
        margins,
        champion=champion,
        comparison=comparison,
        costs=costs,
        champion_costs=champion_costs,
        findings=review.findings,
    )
    own = [line for line in review.check.lines if line.rule == "run"]
    check = replace(check, champion=against, lines=(*own, *_own(check.lines, against)))
    return replace(
        review,
        champion=against,
        check=check,
        comparison=comparison,
        costs=costs,
        champion_costs=champion_costs,
        changes=model_changes(other, model),
    )


def _later(run: Run, name: str, champion: int | None, *, config: RegisterConfig, out: Path) -> CheckLine | None:
    """Return a failed rule if the champion's run was made after this one, which must not take its place by itself."""
    if champion is None:
        return None
    made = find_version(f"{name}/{champion}", config=config, out=out).tags.get("run_created")
    if made is None or not is_later(made, run.created):
        return None
    words = f"a newer run has been registered since: the champion, version {champion}, is of {made}, this run of {run.created}"
    return CheckLine(rule="newer", status="failed", words=words, figures={"champion": made, "challenger": run.created})


def _own(lines: Sequence[CheckLine], champion: int | None) -> list[CheckLine]:
    """Return the rules that ask something where there is no champion."""
    return [x for x in lines if champion is not None or x.rule not in ("auc", "log_loss", "latency")]


def _edges(
    name: str, version: int, role: str, *, config: RegisterConfig, out: Path
) -> Mapping[str, tuple[Sequence[float], int]]:
    facts = find_version(f"{name}/{version}", config=config, out=out)
    review = stored_review(facts, config=config, out=out)
    return {} if review is None or not review.scores else {role: (review.scores, review.scored)}


def _timed(model: Model, other: Model, *, seed: int) -> tuple[Costs, Costs]:
    """Return what two models cost, timed in turns on the same rows."""
    mine, theirs = milliseconds_per_1000([model, other], example_rows(model.encoder, 1000, seed=seed))
    return _weigh(model, mine), _weigh(other, theirs)


def _weigh(model: Model, milliseconds: float | None) -> Costs:
    return Costs(
        bytes=model.bytes_on_disk,
        milliseconds=milliseconds or 0.0,
        fields=len(model.encoder.fields),
        values=model.encoder.n_values,
    )
