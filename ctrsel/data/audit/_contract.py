"""Check: one rule of the audit."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ctrsel.data.audit.view import AuditView
    from ctrsel.records.audit import Finding

__all__ = ["Check"]


class Check(ABC):
    """A frozen dataclass of thresholds; reads the shared facts of a view and keeps no state."""

    @abstractmethod
    def check(self, view: AuditView) -> list[Finding]:
        """Return what was found, nothing if all is well.

        Every finding names the measured number beside the threshold that it passed, and what to do. It never holds a
        text of a sensitive field, nor of a value with fewer than 20 rows (see `AuditView.shown`).
        """
