"""Training: learners turn a Table into a Model."""

from __future__ import annotations

from ctrsel.core.catalog import Catalog
from ctrsel.train._contract import Fit, Learner

__all__ = ["CATALOG", "Fit", "Learner"]

CATALOG = Catalog(__name__, Learner, "learner")
