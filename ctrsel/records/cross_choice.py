"""Cross choices: which crosses became fields, which did not, and why."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from ctrsel.core.artifact import atomic_folder, read_manifest

__all__ = ["CrossChoice", "CrossChoices"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossChoice:
    """One cross that was considered.

    Attributes:
        name: Its name as a field.
        fields: Its parts.
        taken: Whether it became a field.
        reason: Why, or why not, in words.
        rank: Its place in the ranking of crosses, None if there was none or it is not in it.
        synergy: What the parts tell together less what each tells alone, nats a row; negative where they overlap.
        beyond_additive: What they tell together beyond an additive model of them, nats a row.
        q: Its q-value in that ranking.
        values: Combinations with a code of their own, None if they were not counted.
        covered: Share of the training rows that have one of them.
    """

    name: str
    fields: tuple[str, ...]
    taken: bool
    reason: str
    rank: int | None = None
    synergy: float | None = None
    beyond_additive: float | None = None
    q: float | None = None
    values: int | None = None
    covered: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossChoices:
    """All crosses that were considered, the taken ones in the order in which they stand in the table.

    Attributes:
        choices: One for each cross.
        ranking: Name of the ranking that was asked, None if none was.
    """

    choices: tuple[CrossChoice, ...]
    ranking: str | None = None

    @property
    def taken(self) -> tuple[tuple[str, ...], ...]:
        """The parts of each cross that became a field."""
        return tuple(c.fields for c in self.choices if c.taken)

    def save(self, path: Path) -> None:
        """Save as a folder with one manifest."""
        with atomic_folder(path, manifest={"format": "ctrsel.crosses", "version": 1, **asdict(self)}):
            pass

    @staticmethod
    def load(path: Path) -> CrossChoices:
        """Load what `save` wrote."""
        m = read_manifest(path, format="ctrsel.crosses", version=1)
        choices = tuple(CrossChoice(**{**c, "fields": tuple(c["fields"])}) for c in m["choices"])
        return CrossChoices(choices=choices, ranking=m["ranking"])
