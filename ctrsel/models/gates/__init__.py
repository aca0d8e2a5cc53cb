"""Gates: one method a file that learns which values (or fields, or widths) earn their place."""

from __future__ import annotations

from ctrsel.core.catalog import Catalog
from ctrsel.models.gates._contract import Gate

__all__ = ["CATALOG", "Gate"]

CATALOG = Catalog(__name__, Gate, "gate")
