"""The HTML report: verdict first, then the evidence, then the detail; one file that needs no network."""

from __future__ import annotations

import datetime
from pathlib import Path

import polars as pl

from ctrsel.core.artifact import atomic_text
from ctrsel.records.evidence import Evidence
from ctrsel.records.review import Review
from ctrsel.records.run import Run
from ctrsel.report.document import render
from ctrsel.report.linked import cut_tables, link_to, write_tables
from ctrsel.report.sections.audit import audit as audit_section
from ctrsel.report.sections.champion import champion
from ctrsel.report.sections.detail import detail
from ctrsel.report.sections.evidence import evidence
from ctrsel.report.sections.facts import Facts
from ctrsel.report.sections.fields import fields
from ctrsel.report.sections.selection import selection
from ctrsel.report.sections.values import VALUES, values_frame
from ctrsel.report.sections.verdict import verdict
from ctrsel.report.wording import shorten

__all__ = ["LARGEST", "write_report"]

LARGEST = 3_000_000  # bytes of a page
# Fields whose values are listed, and how many of each: as many as the page has room for.
_DEPTHS = ((300, 20), (200, 10), (100, 10), (50, 10), (20, 10), (0, 0))


def write_report(run: Run, *, evidence: Evidence, review: Review | None = None, path: Path) -> Path:
    """Write the page of a run.

    Args:
        run: The run.
        evidence: What it found.
        review: How it stands against the champion; None where nothing was compared.
        path: Where the file goes; written whole or not at all, at most 3 MB. All rows of tables that are longer than the
            page shows lie in a folder `report-tables` beside it.

    Returns:
        The path.

    Raises:
        DataError: If a value of a sensitive field would be printed as it is.
    """
    facts = Facts(run=run, evidence=evidence, review=review)
    for opened, listed in _DEPTHS:
        page, frames = _page(facts, opened=opened, listed=listed)
        if len(page.encode()) <= LARGEST:
            break
    write_tables(path, frames)
    atomic_text(path, page)
    return path


def _page(facts: Facts, *, opened: int, listed: int) -> tuple[str, dict[str, pl.DataFrame | pl.LazyFrame]]:
    """Return the page and the tables that are too long for it, by file name."""
    run = facts.run
    frames: dict[str, pl.DataFrame | pl.LazyFrame] = {}
    values = values_frame(facts)
    if values is not None:
        frames[VALUES] = values
    sections = {
        "verdict": verdict(facts),
        "champion": champion(facts),
        "evidence": evidence(facts),
        "fields": fields(facts, opened=opened, listed=listed),
        "audit": audit_section(facts),
        "selection": selection(facts),
        "detail": detail(facts),
    }
    page = render(
        "page.html",
        name=shorten(run.name, 80),
        created=_moment(run.created),
        source=shorten(run.table.source, 80),
        values_file=link_to(VALUES) if values is not None else "",
        **cut_tables(sections, frames),
    )
    return page, frames


def _moment(created: str) -> str:
    """Write a time for people; what is no time stays as it is."""
    try:
        moment = datetime.datetime.fromisoformat(created)
    except ValueError:
        return created
    zone = " UTC" if moment.utcoffset() == datetime.timedelta(0) else moment.strftime(" UTC%z")
    return moment.strftime("%Y-%m-%d %H:%M") + (zone if moment.tzinfo else "")
