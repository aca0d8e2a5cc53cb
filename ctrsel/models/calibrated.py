"""CalibratedPredictor: another predictor's log-odds through a rising map per label.

References: Platt, "Probabilistic outputs for support vector machines", 1999; Kull, Silva Filho and Flach, "Beta
calibration", 2017; Zadrozny and Elkan, "Transforming classifier scores into accurate multiclass probability estimates",
2002. The map comes before the model's offset for sampled negatives: it is about the rows that were sampled.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ctrsel.core.artifact import atomic_text, digest_json, to_json
from ctrsel.core.errors import DataError, unknown_name
from ctrsel.models._contract import Predictor
from ctrsel.stats.log_odds_maps import MAPS, LogOddsMap

if TYPE_CHECKING:
    from ctrsel.data.encoder import Encoder
    from ctrsel.data.table import Table
    from ctrsel.records.feature_set import FeatureSet

__all__ = ["CalibratedPredictor"]

_NAMES = {cls: name for name, cls in MAPS.items()}


class CalibratedPredictor(Predictor):
    """A predictor and what its log-odds become.

    Attributes:
        base: The predictor.
        maps: One per label.
    """

    kind: ClassVar[str] = "calibrated"

    def __init__(self, *, base: Predictor, maps: tuple[LogOddsMap, ...]) -> None:
        self.base = base
        self.maps = maps

    @property
    def methods(self) -> tuple[str, ...]:
        """Names of the maps."""
        return tuple(_NAMES[type(m)] for m in self.maps)

    def logits(self, table: Table) -> np.ndarray:
        """Score all rows of a table, in order."""
        raw = self.base.logits(table)
        if raw.shape[1] != len(self.maps):
            raise DataError(f"a calibration of {len(self.maps)} labels cannot map log-odds of {raw.shape[1]}")
        mapped = [to(raw[:, t]).astype(np.float32) for t, to in enumerate(self.maps)]
        return np.stack(mapped, axis=1)

    def for_scoring(self) -> CalibratedPredictor:
        """Prepare the predictor under the same maps."""
        return CalibratedPredictor(base=self.base.for_scoring(), maps=self.maps)

    def narrow(self, old: Encoder, new: Encoder, features: FeatureSet) -> CalibratedPredictor:
        """Narrow the predictor under the same maps."""
        return CalibratedPredictor(base=self.base.narrow(old, new, features), maps=self.maps)

    def save(self, folder: Path) -> None:
        """Write `calibrated.json` and the predictor in a subfolder."""
        (folder / "base").mkdir()
        self.base.save(folder / "base")
        atomic_text(folder / "calibrated.json", to_json(self._head(), indent=1) + "\n")

    @classmethod
    def load(cls, folder: Path, encoder: Encoder) -> CalibratedPredictor:
        """Read what `save` wrote."""
        from ctrsel.models import CATALOG

        head = json.loads((folder / "calibrated.json").read_text(encoding="utf-8"))
        maps = []
        for saved in head["maps"]:
            if saved["method"] not in MAPS:
                raise unknown_name("calibration", saved["method"], MAPS, place=str(folder))
            numbers = {k: tuple(v) if isinstance(v, list) else v for k, v in saved["numbers"].items()}
            maps.append(MAPS[saved["method"]](**numbers))
        base = CATALOG.load(head["kind"], place=str(folder)).load(folder / "base", encoder)
        return cls(base=base, maps=tuple(maps))

    @property
    def n_parameters(self) -> int:
        """Of the predictor, and the numbers of the maps."""
        numbers = [n for m in self.maps for n in asdict(m).values()]
        return self.base.n_parameters + sum(len(n) if isinstance(n, tuple) else 1 for n in numbers)

    @property
    def digest(self) -> str:
        """Digest of the predictor and of the maps."""
        return digest_json([self._head(), self.base.digest])

    def _head(self) -> dict[str, object]:
        maps = [{"method": n, "numbers": asdict(m)} for n, m in zip(self.methods, self.maps, strict=True)]
        return {"kind": self.base.kind, "maps": maps}
