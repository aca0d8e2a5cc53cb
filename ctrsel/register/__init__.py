"""Registration: a run's model becomes a version in an MLflow registry that a reviewer can accept or refuse.

MLflow itself is imported when a function here is called.
"""

from __future__ import annotations

from ctrsel.register.loading import is_registered, load_registered
from ctrsel.register.registration import find_registration, register_run

__all__ = ["find_registration", "is_registered", "load_registered", "register_run"]
