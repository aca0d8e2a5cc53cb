"""Models: a fitted Encoder and a predictor that turns its codes into logits.

This module loads neither torch nor LightGBM; a predictor's module is imported when a saved model names it.
"""

from __future__ import annotations

from ctrsel.core.catalog import Catalog
from ctrsel.models._contract import Predictor
from ctrsel.models.model import Model

__all__ = ["CATALOG", "Model", "Predictor"]

CATALOG = Catalog(__name__, Predictor, "predictor")
