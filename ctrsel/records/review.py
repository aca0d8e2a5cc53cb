"""Review: what a reviewer reads of one version, without a click elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ctrsel.core.artifact import atomic_folder, digest_json, read_manifest
from ctrsel.records.audit import Finding
from ctrsel.records.check import Check
from ctrsel.records.run import Run
from ctrsel.records.set_difference import FieldDifference, SetDifference
from ctrsel.records.window import WindowComparison

__all__ = ["Costs", "Review"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """What a model weighs: bytes of its saved folder, milliseconds per 1,000 raw rows on one thread, fields and values."""

    bytes: int
    milliseconds: float
    fields: int
    values: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """What is said of one version.

    Attributes:
        model_name: The registered model.
        headline: One sentence with the numbers of its own run.
        data: source, digest, rows by split, base rates, label, notes.
        trained: learner, selector, seed, digest of the config, versions of the libraries, when.
        champion: The version that was champion then, None if there was none.
        check: Whether it may become champion.
        comparison: Champion and it on the same rows; None if there was none to compare with.
        costs: Its own.
        champion_costs: The champion's, measured beside it.
        changes: Fields and values gained and lost against the champion; texts of 20 rows or more only.
        findings: Of the audit, worst first.
        scores: Inner edges of ten bins of equal mass of its logits on the run's test rows, for drift later on.
        scored: How many rows those were.
    """

    model_name: str
    headline: str
    data: Mapping[str, Any]
    trained: Mapping[str, Any]
    champion: int | None
    check: Check
    costs: Costs
    champion_costs: Costs | None = None
    comparison: WindowComparison | None = None
    changes: SetDifference | None = None
    findings: tuple[Finding, ...] = ()
    scores: tuple[float, ...] = ()
    scored: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        found = asdict(self)
        found["check"] = self.check.to_dict()
        return found

    @staticmethod
    def from_dict(given: Mapping[str, Any]) -> Review:
        """Rebuild from `to_dict`."""
        g = dict(given)
        changes, comparison, costs = g.pop("changes"), g.pop("comparison"), g.pop("champion_costs")
        return Review(
            check=Check.from_dict(g.pop("check")),
            costs=Costs(**g.pop("costs")),
            champion_costs=None if costs is None else Costs(**costs),
            comparison=None if comparison is None else WindowComparison.from_dict(comparison),
            changes=None if changes is None else _changes(changes),
            findings=tuple(Finding(**f) for f in g.pop("findings")),
            scores=tuple(g.pop("scores")),
            **g,
        )

    def is_of(self, run: Run) -> bool:
        """Whether it was made of this run, and not of one that lay in the same folder before."""
        own = (self.data.get("digest"), self.trained.get("model"), self.trained.get("config"))
        return own == (run.table.digest, run.chosen.model, digest_json(run.config))

    def save(self, path: Path) -> None:
        """Save as a folder with one manifest."""
        with atomic_folder(path, manifest={"format": "ctrsel.review", "version": 1, "review": self.to_dict()}):
            pass

    @staticmethod
    def load(path: Path) -> Review:
        """Load what `save` wrote.

        Raises:
            DataError: If there is none, or of another format.
        """
        return Review.from_dict(read_manifest(path, format="ctrsel.review", version=1)["review"])


def _changes(given: Mapping[str, Any]) -> SetDifference:
    fields = [{**f, "top": {k: tuple(v) for k, v in f["top"].items()}} for f in given["fields"]]
    return SetDifference(fields=tuple(FieldDifference(**f) for f in fields), same=tuple(given["same"]))
