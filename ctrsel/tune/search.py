"""Search: trials side by side, each in a process of its own, until the time is over or enough of them are done."""

from __future__ import annotations

import math
import selectors
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ctrsel.core.errors import ConfigError
from ctrsel.core.log import Progress, event
from ctrsel.core.memory import available_memory
from ctrsel.data.table import Table
from ctrsel.records.leaderboard import Outcome, Trial
from ctrsel.train import CATALOG as LEARNERS
from ctrsel.tune.job import Job, better, known_table
from ctrsel.tune.process import Running
from ctrsel.tune.space import AS_GIVEN, Space
from ctrsel.tune.study import Asked, Study

__all__ = ["Search", "candidates"]

_LIBRARIES = 300 << 20  # bytes that a process holds before it has a table
_HOPELESS = 5  # trials without a score, after which no further one is tried
_RESERVE = 0.25  # at most this share of the time is kept for other seeds
_MARGIN = 1.15  # other seeds may take a little longer
_SHORT = 0.1  # with less of the time left, none is started before it is known how long one takes; the least patience
_ADOPT = 15.0  # seconds between two looks for trials whose command is gone


@dataclass(kw_only=True)
class _Work:
    """A trial, or one of its other seeds, at work."""

    process: Running
    number: int
    need: int
    limit: float  # monotonic time until which it may be silent
    seed: int | None = None  # another seed
    given: bool = False  # a learner as given
    best: float | None = None
    reports: int = 0


@dataclass(kw_only=True)
class Search:
    """The loop.

    Attributes:
        study: Where trials come from and go to.
        space: What may be tried.
        job: What every trial has in common; learner and seed are filled in.
        workers: How many processes at once.
        began: Monotonic time.
        deadline: Monotonic time at which every process is ended.
        logs: Where the processes' own words go.
        seeds: Other seeds that the best are trained with.
        top: How many of the best.
    """

    study: Study
    space: Space
    job: Job
    workers: int
    began: float
    deadline: float
    logs: Path
    seeds: tuple[int, ...] = ()
    top: int = 3

    def __post_init__(self) -> None:
        self._table: Table = known_table(Path(self.job.table), self.job.never_use)
        self._at_work: list[_Work] = []
        self._pending: tuple[Asked, Job, int] | None = None
        self._ended = 0
        self._without = 0  # of those, how many have no score
        self._last = ""
        self._adopted = self.began

    def trials(self, *, at_most: int | None, bar: Progress) -> None:
        """Try until the time is over, or so many trials of this command are done.

        Raises:
            ConfigError: If nothing that was tried could be trained.
        """
        started = 0
        try:
            while True:
                left = self._until() - time.monotonic()
                if left <= 0:
                    break
                while len(self._at_work) < self.workers and self._worth(left):
                    if self._pending is None:
                        if at_most is not None and started >= at_most:
                            break
                        started += 1
                    if not self._start():
                        break
                if not self._at_work and self._pending is None and (not self._worth(left) or started == at_most):
                    break
                self._listen(min(left, 0.5), bar=bar)
                if self._ended == self._without >= _HOPELESS and self._best() is None:
                    raise ConfigError(f"tune: the first {self._ended} trials have no score; the last one: {self._last}")
            for work in list(self._at_work):
                self._end(work, "cut", reason="the time was over")
            if self._pending is not None:
                self.study.finish(self._pending[0].number, "cut", reason="the time was over")
        finally:
            self._kill()

    def other_seeds(self, *, bar: Progress) -> None:
        """Train the best, and the best of the learners as given, with other seeds until the time is over."""
        chosen = candidates(self._lines(), top=self.top)
        known = self.study.again()
        queue = [(t, seed) for seed in self.seeds for t in chosen if (t.number, seed) not in known]
        try:
            while (queue or self._at_work) and time.monotonic() < self.deadline:
                while queue and len(self._at_work) < self.workers:
                    trial, seed = queue.pop(0)
                    steps = None if trial.outcome == "done" else trial.steps
                    job = replace(self.job, learner=trial.spec, seed=seed, steps=steps)
                    process = Running(job, log=self.logs / f"{trial.number}-{seed}.txt")
                    self._at_work.append(_Work(process=process, number=trial.number, need=0, limit=math.inf, seed=seed))
                self._listen(min(self.deadline - time.monotonic(), 0.5), bar=bar)
            for work in list(self._at_work):
                self._end(work, "cut", reason="the time was over")
        finally:
            self._kill()

    def _start(self) -> bool:
        """Start a trial, if memory allows it now."""
        if self._pending is None:
            asked = self.study.ask(self.space)
            job = replace(self.job, learner=asked.spec)
            if asked.refused is not None:
                self._finish(asked.number, "refused", reason=asked.refused)
                return True
            try:
                need = LEARNERS.create(asked.spec, place=asked.learner).memory(self._table) or 0
            except ConfigError as error:
                self._finish(asked.number, "refused", reason=str(error))
                return True
            self._pending = asked, job, need + _LIBRARIES
        asked, job, need = self._pending
        promised = sum(max(0, w.need - w.process.resident) for w in self._at_work)
        free = available_memory() - promised
        if need > free:
            if self._at_work:
                return False  # when another one has ended
            self._pending = None
            reason = f"needs about {need / 2**30:.2f} GiB, {max(free, 0) / 2**30:.2f} GiB are free"
            self._finish(asked.number, "refused", reason=reason)
            return True
        self._pending = None
        now = time.monotonic()
        process = Running(job, log=self.logs / f"{asked.number}.txt")
        given = asked.origin.endswith(AS_GIVEN)
        work = _Work(process=process, number=asked.number, need=need, limit=self._patience(now), given=given)
        self._at_work.append(work)
        return True

    def _listen(self, seconds: float, *, bar: Progress) -> None:
        """Wait for a message, at most so long, and act on what came."""
        began = time.monotonic()
        with selectors.DefaultSelector() as waiting:
            for work in self._at_work:
                waiting.register(work.process.fd, selectors.EVENT_READ)
            if self._at_work:
                waiting.select(timeout=max(seconds, 0))
            else:
                time.sleep(max(seconds, 0))
        for work in list(self._at_work):
            for message in work.process.messages():
                if work in self._at_work:
                    self._hear(work, message)
            if work in self._at_work and time.monotonic() > work.limit:
                self._end(work, "hung", reason=f"silent since its report {work.reports}")
        self.study.breathe()
        if time.monotonic() - self._adopted > _ADOPT:
            self._adopted = time.monotonic()
            self.study.adopt()
        best = self._best()
        facts = {} if best is None else {"best": best.score, "trial": best.number}
        bar.advance(round(time.monotonic() - self.began) - round(began - self.began), ended=self._ended, **facts)

    def _hear(self, work: _Work, message: Mapping[str, Any]) -> None:
        if "step" in message:
            score = float(message["score"])
            work.reports += 1
            work.limit = self._patience(time.monotonic()) if work.seed is None else work.limit
            if work.best is None or better(score, work.best, objective=self.job.objective):
                work.best = score
            if work.seed is None and self.study.report(work.number, int(message["step"]), score):
                self._end(work, "pruned", reason=f"worse than half of its kind after {work.reports} reports")
        elif "done" in message:
            done = message["done"]
            facts = {"memory": message["memory"], "parameters": done["parameters"], "valid": done["valid"]}
            self._end(work, "done", score=float(done["score"]), **facts)
        else:
            self._end(work, "failed", reason=str(message["error"]))

    def _end(self, work: _Work, outcome: Outcome, *, score: float | None = None, **facts: Any) -> None:
        self._at_work.remove(work)
        seconds = work.process.seconds
        work.process.end()
        if outcome != "failed":
            work.process.log.unlink(missing_ok=True)
        if outcome == "cut" and work.best is not None:
            outcome = "slow"  # what was reached counts
        found = score if outcome == "done" else work.best
        if work.seed is not None:
            if outcome == "done" and score is not None:
                self.study.set_again(work.number, work.seed, score)
            event("other seed", trial=work.number, seed=work.seed, outcome=outcome, score=found, seconds=seconds)
            return
        self._finish(work.number, outcome, score=found, seconds=seconds, **facts)

    def _finish(self, number: int, outcome: Outcome, *, score: float | None = None, **facts: Any) -> None:
        self.study.finish(number, outcome, score=score, **facts)
        self._ended += 1
        self._without += score is None
        self._last = str(facts.get("reason", outcome))
        told: dict[str, Any] = {"number": number, "outcome": outcome}
        told |= {k: v for k, v in (("score", score), ("seconds", facts.get("seconds"))) if v is not None}
        if outcome != "done":
            told["reason"] = self._last
        event("trial", **told, left=round(self.deadline - time.monotonic()))

    def _kill(self) -> None:
        for work in self._at_work:
            work.process.end()
        self._at_work.clear()

    def _lines(self) -> tuple[Trial, ...]:
        return self.study.trials(command=lambda number: "", seeds=self.seeds)

    def _best(self) -> Trial | None:
        return next((t for t in self._lines() if t.outcome == "done"), None)

    def _until(self) -> float:
        """Return when the search has to make room for other seeds."""
        if not self.seeds or any(work.given for work in self._at_work):  # what is given is not ended for others
            return self.deadline
        known = self.study.again()
        chosen = candidates(self._lines(), top=self.top)
        if len(chosen) < 2:  # nothing to choose between
            return self.deadline
        missing = sum((t.seconds or 0.0) for t in chosen for s in self.seeds if (t.number, s) not in known)
        return self.deadline - min(missing * _MARGIN / self.workers, _RESERVE * (self.deadline - self.began))

    def _patience(self, now: float) -> float:
        """Return how long a trial may be silent: half of the time that is left, so that one that hangs leaves room."""
        return now + max((self._until() - now) / 2, _SHORT * (self.deadline - self.began))

    def _worth(self, left: float) -> bool:
        """Whether a trial that is started now can end in time; the first are started in any case."""
        took = [t.seconds for t in self._lines() if t.outcome == "done" and t.seconds is not None]
        return left > min(took) / 2 if took else left > _SHORT * (self.deadline - self.began)


def candidates(trials: tuple[Trial, ...], *, top: int) -> tuple[Trial, ...]:
    """Return whose score is worth another seed: the best, and the best of the learners as given.

    Args:
        trials: Best first.
        top: How many of the best.
    """
    done = [t for t in trials if t.score is not None and t.outcome in ("done", "slow")]
    given = next((t for t in done if t.origin.endswith(AS_GIVEN)), None)
    chosen = done[:top]
    return tuple(chosen if given is None or given in chosen else [*chosen, given])
