"""The HTML report: verdict first, then the evidence, then the detail; one file that needs no network."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from pathlib import Path

from ctrsel.core.artifact import atomic_text
from ctrsel.records.audit import Audit
from ctrsel.records.evaluation import Evaluation
from ctrsel.records.explanation import Explanation
from ctrsel.records.feature_set import FeatureSet
from ctrsel.records.ranking import Ranking
from ctrsel.records.run import Run
from ctrsel.records.selection_account import SelectionAccount
from ctrsel.report.document import render
from ctrsel.report.sections.audit import audit as audit_section
from ctrsel.report.sections.detail import detail
from ctrsel.report.sections.evidence import evidence
from ctrsel.report.sections.facts import Facts
from ctrsel.report.sections.fields import fields
from ctrsel.report.sections.selection import selection
from ctrsel.report.sections.verdict import verdict
from ctrsel.report.wording import shorten

__all__ = ["write_report"]


def write_report(
    run: Run,
    *,
    audit: Audit,
    rankings: Sequence[Ranking],
    explanations: Sequence[Explanation],
    evaluations: Mapping[str, Evaluation],
    feature_set: FeatureSet | None,
    account: SelectionAccount | None = None,
    path: Path,
) -> Path:
    """Write the page of a run.

    Args:
        run: The run.
        audit: Its audit.
        rankings: Its rankings; the first one gave the order of the fields.
        explanations: Of the trees and of the chosen net.
        evaluations: By contender's name, on the test split.
        feature_set: The chosen one; None = nothing was selected.
        account: Why each field and value was kept or dropped; None where nobody asked.
        path: Where the file goes; written whole or not at all.

    Returns:
        The path.

    Raises:
        DataError: If a value of a sensitive field would be printed as it is.
    """
    facts = Facts(
        run=run,
        audit=audit,
        rankings=rankings,
        explanations=explanations,
        evaluations=evaluations,
        feature_set=feature_set,
        account=account,
    )
    page = render(
        "page.html",
        name=shorten(run.name, 80),
        created=_moment(run.created),
        source=shorten(facts.run.table.source, 80),
        verdict=verdict(facts),
        evidence=evidence(facts),
        fields=fields(facts),
        audit=audit_section(facts),
        selection=selection(facts),
        detail=detail(facts),
    )
    atomic_text(path, page)
    return path


def _moment(created: str) -> str:
    """Write a time for people; what is no time stays as it is."""
    try:
        moment = datetime.datetime.fromisoformat(created)
    except ValueError:
        return created
    zone = " UTC" if moment.utcoffset() == datetime.timedelta(0) else moment.strftime(" UTC%z")
    return moment.strftime("%Y-%m-%d %H:%M") + (zone if moment.tzinfo else "")
