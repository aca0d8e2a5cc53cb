"""Evidence: what a run found, beside its record; everything that its page is written from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ctrsel.core.artifact import atomic_folder, read_manifest
from ctrsel.records.audit import Audit
from ctrsel.records.evaluation import Evaluation
from ctrsel.records.explanation import Explanation
from ctrsel.records.feature_set import FeatureSet
from ctrsel.records.ranking import Ranking
from ctrsel.records.selection_account import SelectionAccount

__all__ = ["Evidence"]

_FORMAT = "ctrsel.evidence"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What a run found.

    Attributes:
        audit: Of the table.
        rankings: In the order of the config; the first one gave the order of the fields.
        explanations: Of the trees and of the chosen net.
        evaluations: By contender's name, on the test split.
        feature_set: The chosen one; None = nothing was selected.
        account: Why each field and value was kept or dropped; None where nobody asked.

    Examples:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp()) / "evidence"
        >>> Evidence(audit=Audit(findings=())).save(folder)
        >>> Evidence.load(folder).rankings
        ()
    """

    audit: Audit
    rankings: tuple[Ranking, ...] = ()
    explanations: tuple[Explanation, ...] = ()
    evaluations: Mapping[str, Evaluation] = field(default_factory=dict)
    feature_set: FeatureSet | None = None
    account: SelectionAccount | None = None

    def save(self, path: Path) -> None:
        """Save as a folder: the manifest, and a folder for each record."""
        manifest: dict[str, Any] = {
            "format": _FORMAT,
            "version": 1,
            "rankings": [r.method for r in self.rankings],
            "explanations": len(self.explanations),
            "evaluations": list(self.evaluations),
            "feature_set": self.feature_set is not None,
            "account": self.account is not None,
        }
        with atomic_folder(path, manifest=manifest) as folder:
            self.audit.save(folder / "audit")
            for i, ranking in enumerate(self.rankings):
                ranking.save(folder / "rankings" / str(i))
            for i, explanation in enumerate(self.explanations):
                explanation.save(folder / "explanations" / str(i))
            for i, evaluation in enumerate(self.evaluations.values()):
                evaluation.save(folder / "evaluations" / str(i))
            if self.feature_set is not None:
                self.feature_set.save(folder / "feature_set")
            if self.account is not None:
                self.account.save(folder / "account")

    @staticmethod
    def load(path: Path) -> Evidence:
        """Load what `save` wrote.

        Raises:
            DataError: If it is not there, or damaged.
        """
        m, place = read_manifest(path, format=_FORMAT, version=1), Path(path)
        return Evidence(
            audit=Audit.load(place / "audit"),
            rankings=tuple(Ranking.load(place / "rankings" / str(i)) for i in range(len(m["rankings"]))),
            explanations=tuple(Explanation.load(place / "explanations" / str(i)) for i in range(m["explanations"])),
            evaluations={n: Evaluation.load(place / "evaluations" / str(i)) for i, n in enumerate(m["evaluations"])},
            feature_set=FeatureSet.load(place / "feature_set") if m["feature_set"] else None,
            account=SelectionAccount.load(place / "account") if m["account"] else None,
        )
