"""Steps: one way a file to turn a batch into an objective."""

from __future__ import annotations

from ctrsel.core.catalog import Catalog
from ctrsel.train.steps._contract import Step

__all__ = ["CATALOG", "Step"]

CATALOG = Catalog(__name__, Step, "step")
