"""Learners that take no time, or never end; processes of trials import them by name."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from ctrsel.core.errors import DataError
from ctrsel.core.ranges import choose, search
from ctrsel.train import Fit, Learner
from ctrsel.train.watch import report


@dataclass(frozen=True, slots=True, kw_only=True)
class Quick(Learner):
    """The better, the nearer `level` is to 0.8; a seed moves the score a little."""

    level: float = field(default=0.5, metadata=search(0.0, 1.0))
    steps: int = 3
    bytes: int = 0
    kind: str = field(default="plain", metadata=choose("plain", "odd"))

    def memory(self, table: Any) -> int:
        return self.bytes

    def fit(self, table: Any, features: Any = None, *, seed: int, **given: Any) -> Fit:
        assert "test" not in table.splits
        auc = 0.9 - abs(self.level - 0.8) + seed % 7 * 1e-3
        for step in range(1, self.steps + 1):
            report(step, auc=auc - 0.1 / step, log_loss=1 - auc)
        valid = {"auc": auc, "log_loss": 1 - auc}
        model: Any = SimpleNamespace(n_parameters=7)  # all that a trial asks of it
        return Fit(model=model, epochs=self.steps, seconds=0.0, history=(), valid=valid)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hanging(Learner):
    """Says `reports` times how it goes, then sleeps for ever."""

    reports: int = 0
    level: float = field(default=0.5, metadata=search(0.0, 1.0))

    def fit(self, table: Any, features: Any = None, *, seed: int, **given: Any) -> Fit:
        for step in range(1, self.reports + 1):
            report(step, auc=0.6 + step / 100, log_loss=0.5)
        while True:
            time.sleep(60)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failing(Learner):
    """Fails: by an error that says why, by one that does not, or by dying."""

    how: str = field(default="said", metadata=choose("said", "defect", "death"))

    def fit(self, table: Any, features: Any = None, *, seed: int, **given: Any) -> Fit:
        if self.how == "said":
            raise DataError("the loss is no number")
        if self.how == "defect":
            raise ZeroDivisionError("one by nothing")
        os.abort()
