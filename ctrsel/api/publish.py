"""Publishing: a run's model is registered, its report written, and everything that a reader may want lies as files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ctrsel.api.outbox import _deliver, keep, waiting
from ctrsel.api.registering import register_reviewed, review_of
from ctrsel.api.stages import Stages
from ctrsel.core.durations import seconds
from ctrsel.core.errors import DataError, RefusedError, UnreachableError
from ctrsel.core.log import event
from ctrsel.data.applied import AppliedFeatureSet
from ctrsel.data.table import Table
from ctrsel.models.model import Model
from ctrsel.records.audit import Audit
from ctrsel.records.evaluation import Evaluation
from ctrsel.records.evidence import Evidence
from ctrsel.records.explanation import Explanation
from ctrsel.records.feature_set import FeatureSet
from ctrsel.records.ranking import Ranking
from ctrsel.records.review import Review
from ctrsel.records.run import Registration, Run
from ctrsel.records.selection_account import SelectionAccount
from ctrsel.register import find_registration
from ctrsel.register.reaching import patiently
from ctrsel.register.versions import refusal_of
from ctrsel.report.page import write_report

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
        undelivered: Why the run waits in the outbox of its folder; None if it does not.
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
    undelivered: UnreachableError | RefusedError | None = None


def publish(stages: Stages, result: RunResult) -> RunResult:
    """Register, then write the report that names the version, and everything that a reader may want as files.

    A run whose registry cannot be reached for as long as the config says, or refuses access, is put into the outbox of its
    folder.
    """
    config, cache = stages.plan.config, stages.cache

    evidence = Evidence(
        audit=result.audit,
        rankings=result.rankings,
        explanations=result.explanations,
        evaluations=result.evaluations,
        feature_set=result.features,
        account=result.account,
    )

    def write(record: Run, review: Review | None = None) -> None:
        write_report(record, evidence=evidence, review=review, path=result.report)

    given: dict[str, Any] = {
        "config": config,
        "model": result.model,
        "table": result.table,
        "evidence": evidence,
        "logits": kept_logits(result.evaluations[result.run.verdict.chosen]),
        "out": result.out,
    }
    record, refusal, review, undelivered = replace(result.run, stages=tuple(cache.stages)), None, None, None
    write(record)

    def register() -> tuple[Registration, bool, Review | None, str | None]:
        """Find or make the version; done again, it finds what it has made before an answer was lost."""
        if waiting(result.out):
            _deliver(config, out=result.out)
        found = find_registration(record, config=config.register, out=result.out)
        made = found or register_reviewed(record, **given, report=result.report)
        if (review := review_of(record, made, config=config.register, out=result.out)) is not None:
            review.save(result.out / "review")
        return made, found is not None, review, refusal_of(made, config=config.register, out=result.out)

    if config.register.enabled:
        try:
            patience = seconds(config.register.patience, place="register.patience")
            registration, reused, review, refusal = patiently(register, patience=patience)
        except (UnreachableError, RefusedError) as error:
            write(record)
            undelivered = _undelivered(error, keep(record, **given), name=config.name)
        else:
            cache.stages.append({"name": "register", "seconds": 0.0, "reused": reused})
            told = "found the version of this run" if reused else "done"
            event("register", result=told, version=registration.version)
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
    return replace(result, run=record, refusal=refusal, review=review, undelivered=undelivered)


def _undelivered(error: UnreachableError | RefusedError, entry: Path, *, name: str) -> UnreachableError | RefusedError:
    """Return what the run ends with when all its files are written."""
    refused = isinstance(error, RefusedError)
    told = (RefusedError if refused else UnreachableError)(
        f"{name}: finished, but not registered: {error}; it waits in {entry}, and 'ctrsel deliver' or the next run there "
        f"registers it{' once access is given' if refused else ''}"
    )
    told.result = {"waiting": str(entry)}
    return told


def kept_logits(evaluation: Evaluation) -> np.ndarray:
    """Return an evaluation's score of each row.

    Raises:
        DataError: If it was made without.
    """
    if evaluation.logits is None:
        raise DataError("an evaluation without per-row scores cannot be compared")
    return evaluation.logits
