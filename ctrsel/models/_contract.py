"""Predictor: what turns the codes of one Encoder into logits."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

if TYPE_CHECKING:
    from ctrsel.data.encoder import Encoder
    from ctrsel.data.table import Table
    from ctrsel.records.feature_set import FeatureSet

__all__ = ["Predictor"]


class Predictor(ABC):
    """Fitted numbers that read one Encoder's codes; `kind` is its module's name, which a saved model holds."""

    kind: ClassVar[str]

    @abstractmethod
    def logits(self, table: Table) -> np.ndarray:
        """Return float32 logits `[N, T]` of the table's rows, in order."""

    def for_scoring(self) -> Predictor:
        """Return the same function, up to rounding, in the form that scores fastest; it shares the large arrays.

        What is saved, narrowed or trained on is the predictor itself.
        """
        return self

    @abstractmethod
    def narrow(self, old: Encoder, new: Encoder, features: FeatureSet) -> Predictor:
        """Return the same function on the codes that a FeatureSet leaves; ConfigError where that cannot be."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write into an existing, empty folder."""

    @classmethod
    @abstractmethod
    def load(cls, folder: Path, encoder: Encoder) -> Predictor:
        """Read what `save` wrote."""

    @property
    @abstractmethod
    def n_parameters(self) -> int:
        """How many numbers were learned."""

    @property
    @abstractmethod
    def digest(self) -> str:
        """Digest of the learned numbers and of how they are used."""
