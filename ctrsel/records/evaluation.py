"""Evaluation: how well one model does on one split, with intervals; says which split it has read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ctrsel.core.artifact import atomic_folder, digest_json, read_array, read_manifest

__all__ = ["Evaluation", "Metric"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A number with its interval at 95 % (None where there is none) and the method of the interval."""

    value: float | None
    low: float | None = None
    high: float | None = None
    method: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """The metrics of one model on one split, per label.

    Attributes:
        model: Digest of the model.
        split: Which split was read ("valid", "test").
        rows: How many rows.
        metrics: By name: auc, log_loss, normalised_entropy, calibration_ratio, ece, base_rate, and grouped_auc where a group is set.
        segments: Per segment rows: `{"field": ..., "value": ..., "rows": ..., "observed": ..., "predicted": ..., "ratio": ...}`.
        reliability: 20 equal-mass bins: predicted, observed, low, high, rows.
        label: Which label.
        logits: Per-row scores, float32 `[N]`, in table order; None when not kept.
    """

    model: str
    split: str
    rows: int
    metrics: Mapping[str, Metric]
    segments: tuple[Mapping[str, Any], ...] = ()
    reliability: tuple[Mapping[str, float], ...] = ()
    label: str = ""
    logits: np.ndarray | None = field(default=None, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON, without the per-row scores."""
        return {
            "model": self.model,
            "split": self.split,
            "rows": self.rows,
            "label": self.label,
            "metrics": {k: asdict(v) for k, v in self.metrics.items()},
            "segments": [dict(s) for s in self.segments],
            "reliability": [dict(r) for r in self.reliability],
        }

    @property
    def digest(self) -> str:
        """Digest of the metrics."""
        return digest_json(self.to_dict())

    def save(self, path: Path) -> None:
        """Save as a folder: the manifest, and `logits.npy` where they are kept."""
        with atomic_folder(
            path,
            manifest={"format": "ctrsel.evaluation", "version": 1, **self.to_dict(), "scored": self.logits is not None},
        ) as folder:
            if self.logits is not None:
                np.save(folder / "logits.npy", self.logits, allow_pickle=False)

    @staticmethod
    def load(path: Path) -> Evaluation:
        """Load what `save` wrote."""
        m = read_manifest(path, format="ctrsel.evaluation", version=1)
        logits = read_array(Path(path) / "logits.npy") if m["scored"] else None
        return Evaluation(
            model=m["model"],
            split=m["split"],
            rows=m["rows"],
            label=m["label"],
            metrics={k: Metric(**v) for k, v in m["metrics"].items()},
            segments=tuple(m["segments"]),
            reliability=tuple(m["reliability"]),
            logits=logits,
        )
