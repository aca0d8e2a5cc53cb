"""Job: one training that a score stands for; the same job always gives the same score."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from ctrsel.data.table import Table
from ctrsel.select import exclude
from ctrsel.train import CATALOG as LEARNERS
from ctrsel.train.watch import Stopped, watching

__all__ = ["Job", "Objective", "Scored", "better", "known_table", "score"]

Objective = Literal["auc", "log_loss"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What is trained, on what, and how it is scored.

    Attributes:
        table: A saved table's folder.
        never_use: Fields that are left out.
        learner: `{use: ..., parameters}`.
        seed: Of the training.
        objective: The validation metric.
        steps: End after so many reports, if it has not ended before, and score by the best of them; None = to the end.
    """

    table: str
    never_use: tuple[str, ...]
    learner: Mapping[str, Any]
    seed: int
    objective: Objective = "auc"
    steps: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)

    @staticmethod
    def from_dict(given: Mapping[str, Any]) -> Job:
        """Read what `to_dict` returned."""
        return Job(**{**given, "never_use": tuple(given["never_use"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """What came of a job.

    Attributes:
        score: AUC or log-loss (nats per row) on the validation split.
        valid: Both; empty where the training was ended before its end.
        steps: Reports that came.
        epochs: Epochs that were run; None for trees, or before the end.
        parameters: Numbers of the model; None before the end.
        seconds: Of the fit.
    """

    score: float
    valid: Mapping[str, float]
    steps: int
    epochs: int | None = None
    parameters: int | None = None
    seconds: float | None = None


def better(a: float, b: float, *, objective: Objective) -> bool:
    """Whether a score is better than another.

    Examples:
        >>> better(0.8, 0.7, objective="auc"), better(0.8, 0.7, objective="log_loss")
        (True, False)
    """
    return a > b if objective == "auc" else a < b


def known_table(folder: Path, never_use: tuple[str, ...]) -> Table:
    """Load what may be trained on: usable fields, no test rows."""
    table = exclude(Table.load(folder), never_use)
    return table.without("test") if "test" in table.splits else table


def score(job: Job, *, tell: Callable[[int, float], None] | None = None) -> Scored:
    """Train and score.

    Args:
        job: What to do.
        tell: Called with step and score after each report whose step is higher than all before.
    """
    best: float | None = None
    last = heard = 0

    def listen(step: int, auc: float, log_loss: float) -> None:
        nonlocal best, last, heard
        if step <= last:  # a learner made of learners begins again; what is compared is the first of them
            return
        last, heard = step, heard + 1
        now = auc if job.objective == "auc" else log_loss
        if best is None or better(now, best, objective=job.objective):
            best = now
        if tell is not None:
            tell(step, now)
        if heard == job.steps:
            raise Stopped

    learner = LEARNERS.create(job.learner, place="learner")
    table = known_table(Path(job.table), job.never_use)
    try:
        with watching(listen):
            fit = learner.fit(table, seed=job.seed)
    except Stopped:
        assert best is not None
        return Scored(score=best, valid={}, steps=heard)
    valid = {k: float(v) for k, v in fit.valid.items()}
    return Scored(
        score=valid[job.objective],
        valid=valid,
        steps=heard,
        epochs=fit.epochs,
        parameters=fit.model.n_parameters,
        seconds=fit.seconds,
    )
