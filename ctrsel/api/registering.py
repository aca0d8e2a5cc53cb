"""Registering: a run's model beside the champion, and then a version with what was found."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np

from ctrsel.api.reviewing import review_run
from ctrsel.api.window import Window, test_window
from ctrsel.core.artifact import MANIFEST
from ctrsel.core.config import RegisterConfig, RunConfig
from ctrsel.data.example import example_rows
from ctrsel.data.past import moment_text
from ctrsel.data.table import Table
from ctrsel.models.model import Model
from ctrsel.records.evidence import Evidence
from ctrsel.records.review import Review
from ctrsel.records.run import Registration, Run
from ctrsel.register import register_run
from ctrsel.register.versions import find_version, stored_review
from ctrsel.report.page import write_report
from ctrsel.report.review import review_card
from ctrsel.report.summary import contender_lines

__all__ = ["PAGE", "register_reviewed", "review_of", "time_span"]

PAGE = "report.html"  # in a run's folder


def register_reviewed(
    run: Run,
    *,
    config: RunConfig,
    model: Model,
    table: Table | None,
    evidence: Evidence,
    logits: np.ndarray,
    report: Path,
    out: Path,
    proof: bool = True,
    window: Window | None = None,
    dates: str | None = None,
) -> Registration:
    """Compare a run's model with the champion, and register it with what was found.

    Args:
        run: What is said about it.
        config: The run's.
        model: Its chosen model.
        table: The ingested one, with all its fields; None where `window` is given.
        evidence: What the run found.
        logits: Of the model on the test rows.
        report: Where the page goes that travels with the version: it tells how this stands against the champion.
        out: The run's folder.
        proof: As in `register_run`.
        window: The run's test rows, as they were kept; None reads them from the source.
        dates: Of the first and the last row, which go with them.
    """
    review = review_run(
        run,
        config=config,
        model=model,
        audit=evidence.audit,
        logits=logits,
        out=out,
        window=window or functools.partial(test_window, config, _given(table)),
        dates=dates if table is None else time_span(table),
    )
    if window is None:  # else another run may have been in the folder since
        review.save(out / "review")
    write_report(run, evidence=evidence, review=review, path=report)
    return register_run(
        run,
        model=model,
        feature_set=evidence.feature_set,
        report=report,
        rankings=evidence.rankings,
        config=config.register,
        out=out,
        example=example_rows(model.encoder, 5, seed=run.seed),
        card=review_card(review, contenders=contender_lines(run)),
        proof=proof,
        review=review,
    )


def review_of(run: Run, registration: Registration, *, config: RegisterConfig, out: Path) -> Review | None:
    """Return the review of a run's version: from its folder, or from the store where another run lay there since."""
    if (out / "review" / MANIFEST).is_file() and (found := Review.load(out / "review")).is_of(run):
        return found
    name = f"{registration.model_name}/{registration.version}"
    return stored_review(find_version(name, config=config, out=out), config=config, out=out)


def time_span(table: Table) -> str | None:
    """Return the moments of a table's first and last row, None without a time column."""
    if table.time is None or not len(table.time):
        return None
    ends = int(np.min(table.time)), int(np.max(table.time))
    temporal = max(map(abs, ends)) >= 10**14
    first, last = (moment_text(t, temporal=temporal) for t in ends)
    return f"{first} to {last}"


def _given(table: Table | None) -> Table:
    if table is None:
        raise TypeError("register_reviewed: needs the table or the window")
    return table
