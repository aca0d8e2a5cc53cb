"""Explainer: what attributes each row's logit to the fields, and checks itself every time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

import numpy as np

if TYPE_CHECKING:
    from ctrsel.data.table import Table
    from ctrsel.models.model import Model
    from ctrsel.records.explanation import Explanation

__all__ = ["Explainer"]


class Explainer(ABC):
    """A frozen dataclass of parameters.

    Attributes:
        rows: How many rows are explained unless the caller names them.
        general: Whether it explains any model; one made for a kind of model is preferred where it applies.
    """

    rows: int
    general: ClassVar[bool] = False

    @abstractmethod
    def accepts(self, model: Model) -> bool:
        """Whether it can explain this model."""

    @abstractmethod
    def explain(self, model: Model, table: Table, *, rows: np.ndarray, seed: int) -> Explanation:
        """Attribute the logits of these rows of a Table of the model's Encoder.

        Raises:
            CtrselError: If a check fails; an explanation that does not add up is never returned.
        """
