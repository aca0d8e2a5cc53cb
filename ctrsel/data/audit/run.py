"""Run every check of the catalogue on one table and gather facts per field."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from ctrsel.core.errors import unknown_name
from ctrsel.core.log import event
from ctrsel.data.audit.view import AuditView
from ctrsel.data.table import Table
from ctrsel.records.audit import Audit, Finding

__all__ = ["audit"]

_WORST_FIRST = ("stop", "warn", "note")


def audit(table: Table, *, accept: Collection[str] = ()) -> Audit:
    """Audit a table with its training, validation and (where it has one) test split.

    Args:
        table: The ingested table. Of the test split only values, and the base rate of the labels, are read.
        accept: Fields whose suspected leak is known and accepted: what would stop the run is a warning then.

    Returns:
        Findings, worst first, and plain facts per field.

    Raises:
        ConfigError: If `accept` names a field that the table has not.
        DataError: If the table has no labels, or no training or validation split.

    Examples:
        >>> from ctrsel.testing.tables import tiny_table
        >>> found = audit(tiny_table())
        >>> found.stops, [f.field for f in found.findings if f.rule == "row_id"]
        ((), ['id'])
    """
    from ctrsel.data.audit import CATALOG

    for name in accept:
        if name not in table.schema.names:
            raise unknown_name("field", name, table.schema.names, place="audit.accept")
    view = AuditView(table=table)
    findings = [f for name in CATALOG.names() for f in CATALOG.create(name).check(view)]
    findings = [_accepted(f) if f.field in accept else f for f in findings]
    findings.sort(key=lambda f: (_WORST_FIRST.index(f.severity), f.rule, f.field or ""))
    facts = {name: view.facts(name) for name in table.schema.names}
    found = Audit(findings=tuple(findings), facts=facts, table=table.digest)
    event("audit", fields=len(facts), findings=len(findings), stops=len(found.stops))
    return found


def _accepted(finding: Finding) -> Finding:
    if finding.severity != "stop":
        return finding
    return replace(finding, severity="warn", accepted=True)
