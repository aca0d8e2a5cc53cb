"""The HTML report: verdict first, then the evidence, then the detail; one file that needs no network."""

from __future__ import annotations

import base64
import datetime
import hashlib
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape

from ctrsel.core.artifact import atomic_text
from ctrsel.records.audit import Audit
from ctrsel.records.evaluation import Evaluation
from ctrsel.records.explanation import Explanation
from ctrsel.records.feature_set import FeatureSet
from ctrsel.records.ranking import Ranking
from ctrsel.records.run import Run
from ctrsel.report.sections.audit import audit as audit_section
from ctrsel.report.sections.detail import detail
from ctrsel.report.sections.evidence import evidence
from ctrsel.report.sections.facts import Facts
from ctrsel.report.sections.fields import fields
from ctrsel.report.sections.selection import selection
from ctrsel.report.sections.verdict import verdict
from ctrsel.report.wording import shorten, visible

__all__ = ["write_report"]


def write_report(
    run: Run,
    *,
    audit: Audit,
    rankings: Sequence[Ranking],
    explanations: Sequence[Explanation],
    evaluations: Mapping[str, Evaluation],
    feature_set: FeatureSet | None,
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
    )
    style, script = _file("style.css"), _file("page.js")
    page = (
        _environment()
        .get_template("page.html")
        .render(
            name=shorten(run.name, 80),
            created=_moment(run.created),
            source=shorten(facts.run.table.source, 80),
            style=Markup(style),
            script=Markup(script),
            policy=_policy(style, script),
            verdict=verdict(facts),
            evidence=evidence(facts),
            fields=fields(facts),
            audit=audit_section(facts),
            selection=selection(facts),
            detail=detail(facts),
        )
    )
    atomic_text(path, page)
    return path


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        loader=jinja2.PackageLoader("ctrsel.report", "."),
        finalize=lambda value: visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["lines"] = _lines
    return environment


def _lines(words: str) -> Markup:
    """Escape a text whose line breaks are meant."""
    return Markup("\n").join(escape(visible(line)) for line in words.split("\n"))


def _moment(created: str) -> str:
    """Write a time for people; what is no time stays as it is."""
    try:
        moment = datetime.datetime.fromisoformat(created)
    except ValueError:
        return created
    zone = " UTC" if moment.utcoffset() == datetime.timedelta(0) else moment.strftime(" UTC%z")
    return moment.strftime("%Y-%m-%d %H:%M") + (zone if moment.tzinfo else "")


def _file(name: str) -> str:
    return resources.files("ctrsel.report").joinpath(name).read_text(encoding="utf-8")


def _policy(style: str, script: str) -> str:
    """Return the page's own rule for browsers: no request to anywhere, no script and no style but these two.

    Even text that slipped through the escaping could neither run nor fetch anything.
    """
    return f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; base-uri 'none'; form-action 'none'"


def _digest(content: Any) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
