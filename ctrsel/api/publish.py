"""Publishing: a run's model is registered, its report written, and everything that a reader may want lies as files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ctrsel.api.reviewing import review_run
from ctrsel.api.stages import Stages
from ctrsel.core.artifact import MANIFEST
from ctrsel.core.config import RunConfig
from ctrsel.core.errors import DataError
from ctrsel.core.log import event
from ctrsel.data.applied import AppliedFeatureSet
from ctrsel.data.example import example_rows
from ctrsel.data.table import Table
from ctrsel.models.model import Model
from ctrsel.records.audit import Audit
from ctrsel.records.evaluation import Evaluation
from ctrsel.records.explanation import Explanation
from ctrsel.records.feature_set import FeatureSet
from ctrsel.records.ranking import Ranking
from ctrsel.records.review import Review
from ctrsel.records.run import Registration, Run
from ctrsel.records.selection_account import SelectionAccount
from ctrsel.register import find_registration, register_run
from ctrsel.register.versions import find_version, refusal_of, stored_review
from ctrsel.report.page import write_report
from ctrsel.report.review import review_card
from ctrsel.report.summary import contender_lines

__all__ = ["RunResult", "kept_logits", "publish", "register_reviewed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """The run's record, its files, and the records that the report shows.

    Attributes:
        run: The record.
        out: The run's folder.
        report: The HTML page.
        table: The ingested table, with its crosses.
        audit: What was found before training.
        rankings: In the order of the config.
        features: The chosen feature set.
        feature_set: The same with the texts that it keeps, which turns raw rows into the kept columns.
        account: Why each field and value was kept or dropped.
        model: The chosen small model.
        evaluations: On test, by contender.
        explanations: Of the trees, then of the chosen net.
        cross_ranking: The ranking of crosses that was asked, if one was.
        refusal: Why the registered version did not become champion; None if it did, or nothing was registered.
        review: How the version stands against the champion; None where nothing was registered.
    """

    run: Run
    out: Path
    report: Path
    table: Table
    audit: Audit
    rankings: tuple[Ranking, ...]
    features: FeatureSet
    feature_set: AppliedFeatureSet
    account: SelectionAccount
    model: Model
    evaluations: Mapping[str, Evaluation]
    explanations: tuple[Explanation, ...]
    cross_ranking: Ranking | None = None
    refusal: str | None = None
    review: Review | None = None


def publish(stages: Stages, result: RunResult) -> RunResult:
    """Register, then write the report that names the version, and everything that a reader may want as files."""
    config, cache = stages.plan.config, stages.cache

    def write(record: Run, review: Review | None = None) -> None:
        write_report(
            record,
            audit=result.audit,
            rankings=result.rankings,
            explanations=result.explanations,
            evaluations=result.evaluations,
            feature_set=result.features,
            account=result.account,
            review=review,
            path=result.report,
        )

    record, refusal, review = replace(result.run, stages=tuple(cache.stages)), None, None
    write(record)
    if config.register.enabled:
        registration = find_registration(record, config=config.register, out=result.out)
        reused = registration is not None
        if registration is None:
            registration = register_reviewed(
                record,
                config=config,
                model=result.model,
                table=result.table,
                audit=result.audit,
                logits=kept_logits(result.evaluations[record.verdict.chosen]),
                feature_set=result.features,
                report=result.report,
                rankings=result.rankings,
                out=result.out,
                before=lambda made: write(record, made),
            )
        review = _review(record, registration, config=config, out=result.out)
        refusal = refusal_of(registration, config=config.register, out=result.out)
        cache.stages.append({"name": "register", "seconds": 0.0, "reused": reused})
        event("register", result="found the version of this run" if reused else "done", version=registration.version)
        record = replace(record, registration=registration, stages=tuple(cache.stages))
        write(record, review)
    record.save(result.out / "run")
    result.feature_set.save(result.out / "feature_set")
    result.account.save(result.out / "account")
    result.model.save(result.out / "model")
    for ranking in result.rankings:
        ranking.save(result.out / "rankings" / ranking.method)
    if result.cross_ranking is not None:
        result.cross_ranking.save(result.out / "rankings" / "crosses")
    return replace(result, run=record, refusal=refusal, review=review)


def _review(run: Run, registration: Registration, *, config: RunConfig, out: Path) -> Review | None:
    """Return the review of a run's version: from its folder, or from the store where another run lay there since."""
    if (out / "review" / MANIFEST).is_file() and (found := Review.load(out / "review")).is_of(run):
        return found
    name = f"{registration.model_name}/{registration.version}"
    stored = stored_review(find_version(name, config=config.register, out=out), config=config.register, out=out)
    if stored is not None:
        stored.save(out / "review")
    return stored


def register_reviewed(
    run: Run,
    *,
    config: RunConfig,
    model: Model,
    table: Table,
    audit: Audit,
    logits: np.ndarray,
    feature_set: FeatureSet | None,
    report: Path,
    rankings: Sequence[Ranking],
    out: Path,
    proof: bool = True,
    before: Callable[[Review], None] | None = None,
) -> Registration:
    """Compare a run's model with the champion, and register it with what was found.

    Args:
        run: What is said about it.
        config: The run's.
        model: Its chosen model.
        table: The ingested one, with all its fields.
        audit: Of the table.
        logits: Of the model on the test rows.
        feature_set: The decision that it rests on.
        report: The HTML page.
        rankings: The evidence.
        out: The run's folder.
        proof: As in `register_run`.
        before: Called with what was found before anything is packaged, to write the page that travels with the version.
    """
    review = review_run(run, config=config, model=model, table=table, audit=audit, logits=logits, out=out)
    review.save(out / "review")
    if before is not None:
        before(review)
    return register_run(
        run,
        model=model,
        feature_set=feature_set,
        report=report,
        rankings=rankings,
        config=config.register,
        out=out,
        example=example_rows(model.encoder, 5, seed=run.seed),
        card=review_card(review, contenders=contender_lines(run)),
        proof=proof,
        review=review,
    )


def kept_logits(evaluation: Evaluation) -> np.ndarray:
    """Return an evaluation's score of each row.

    Raises:
        DataError: If it was made without.
    """
    if evaluation.logits is None:
        raise DataError("an evaluation without per-row scores cannot be compared")
    return evaluation.logits
