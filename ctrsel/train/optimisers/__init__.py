"""Optimisers: one rule a file by which gradients become steps."""

from __future__ import annotations

from ctrsel.core.catalog import Catalog
from ctrsel.train.optimisers._contract import Optimiser, Updates

__all__ = ["CATALOG", "Optimiser", "Updates"]

CATALOG = Catalog(__name__, Optimiser, "optimiser")
