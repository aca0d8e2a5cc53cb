"""Selector: one way to decide which values are kept."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ctrsel.models.model import Model
    from ctrsel.records.feature_set import FeatureSet
    from ctrsel.select.problem import Problem

__all__ = ["Selection", "Selector"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """A decision, the weights that its retraining starts from (None = fresh), and how it was found."""

    features: FeatureSet
    snapshot: Model | None = None
    history: tuple[Mapping[str, float], ...] = ()
    seconds: float = 0.0


class Selector(ABC):
    """A frozen dataclass of parameters; selects on the training and validation splits only."""

    @abstractmethod
    def select(self, problem: Problem, *, size: int, seed: int) -> Selection:
        """Decide which values are kept: at most `size` of them, the wishes of the problem honoured."""
