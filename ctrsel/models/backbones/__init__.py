"""Backbones: one network a file, from looked-up rows to logits."""

from __future__ import annotations

from ctrsel.core.catalog import Catalog
from ctrsel.models.backbones._contract import Backbone

__all__ = ["CATALOG", "Backbone"]

CATALOG = Catalog(__name__, Backbone, "backbone")
