"""SizeChoice: which sizes of a selection were tried, what each cost in validation loss, and which was taken."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from ctrsel.core.artifact import atomic_folder, digest_json, read_manifest

__all__ = ["SizeChoice", "TriedSize"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TriedSize:
    """One size.

    Attributes:
        number: What was asked for, in the unit of the choice.
        fields: How many fields were kept.
        values: How many values were kept.
        loss: Mean log-loss on the validation rows, nats per row.
        above: Its difference to the best size's.
        error: Standard error of that difference, paired by row.
    """

    number: int
    fields: int
    values: int
    loss: float
    above: float
    error: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeChoice:
    """All sizes that were tried.

    Attributes:
        unit: What sizes are counted in.
        tried: Smallest first; sizes at which the selector keeps the same set stand once.
        best: The number of the size with the least loss.
        chosen: The number of the smallest size within one standard error of it.
        seeds: Of the trainings that were averaged.
    """

    unit: Literal["values", "fields"]
    tried: tuple[TriedSize, ...]
    best: int
    chosen: int
    seeds: tuple[int, ...]

    @property
    def digest(self) -> str:
        """Digest of the content."""
        return digest_json(self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {**asdict(self), "tried": [asdict(t) for t in self.tried], "seeds": list(self.seeds)}

    def save(self, path: Path) -> None:
        """Save as a folder with a manifest."""
        with atomic_folder(path, manifest={"format": "ctrsel.size_choice", "version": 1, **self.to_dict()}):
            pass

    @staticmethod
    def load(path: Path) -> SizeChoice:
        """Load what `save` wrote."""
        m = read_manifest(path, format="ctrsel.size_choice", version=1)
        return SizeChoice(
            unit=m["unit"],
            tried=tuple(TriedSize(**t) for t in m["tried"]),
            best=m["best"],
            chosen=m["chosen"],
            seeds=tuple(m["seeds"]),
        )
