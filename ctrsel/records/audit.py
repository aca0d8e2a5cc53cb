"""Audit: what was found wrong or suspicious in a table before anything is trained on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from ctrsel.core.artifact import atomic_folder, digest_json, read_manifest

__all__ = ["Audit", "Finding", "Severity"]

Severity = Literal["note", "warn", "stop"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One finding: which rule, on which field, the number that shows it, and what to do.

    Attributes:
        rule: The check's name ("leak", "constant", ...).
        field: The field it is about, None if about the table.
        severity: note, warn, or stop (the run does not go on unless the config accepts it).
        number: The measured quantity that the rule compares, in the unit that `evidence` states.
        evidence: One sentence with the measured values; never holds a category value of a sensitive field.
        advice: One sentence.
        accepted: Whether the config names the field as accepted (a stop then becomes a warning).
    """

    rule: str
    field: str | None
    severity: Severity
    number: float | None
    evidence: str
    advice: str
    accepted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """All findings on a table and the facts that they were read from.

    Attributes:
        findings: Worst first.
        facts: Per field plain numbers (values, missing share, unseen share per split, drift, held-out AUC).
        table: Digest of the audited table.
    """

    findings: tuple[Finding, ...]
    facts: Mapping[str, Mapping[str, float | int | str | None]] = field(default_factory=dict)
    table: str = ""

    @property
    def stops(self) -> tuple[Finding, ...]:
        """Findings that stop a run."""
        return tuple(f for f in self.findings if f.severity == "stop" and not f.accepted)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "findings": [asdict(f) for f in self.findings],
            "facts": {k: dict(v) for k, v in self.facts.items()},
            "table": self.table,
        }

    @property
    def digest(self) -> str:
        """Digest of the content."""
        return digest_json(self.to_dict())

    def save(self, path: Path) -> None:
        """Save as a folder with one manifest."""
        with atomic_folder(path, manifest={"format": "ctrsel.audit", "version": 1, **self.to_dict()}):
            pass

    @staticmethod
    def load(path: Path) -> Audit:
        """Load what `save` wrote."""
        m = read_manifest(path, format="ctrsel.audit", version=1)
        return Audit(findings=tuple(Finding(**f) for f in m["findings"]), facts=m["facts"], table=m["table"])
