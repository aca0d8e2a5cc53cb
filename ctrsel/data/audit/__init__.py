"""Audit: what is wrong or suspicious in a table before anything is trained on it; one check a file."""

from __future__ import annotations

from ctrsel.core.catalog import Catalog
from ctrsel.data.audit._contract import Check
from ctrsel.data.audit.run import audit
from ctrsel.data.audit.view import AuditView

__all__ = ["CATALOG", "AuditView", "Check", "audit"]

CATALOG: Catalog[Check] = Catalog(__name__, Check, "audit check")
