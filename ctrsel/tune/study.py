"""Study: what was tried and what came of it, shared by all commands that work on it; the only place that asks Optuna."""

from __future__ import annotations

import contextlib
import os
import socket
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import optuna
import psutil
from optuna.trial import FrozenTrial, TrialState

from ctrsel.core.artifact import to_json
from ctrsel.core.errors import ConfigError, MissingExtraError
from ctrsel.core.ranges import OneOf
from ctrsel.records.leaderboard import Outcome, Trial
from ctrsel.tune.job import Objective
from ctrsel.tune.journal import open_journal
from ctrsel.tune.pruning import KindPruner
from ctrsel.tune.sampler import NumberedSampler
from ctrsel.tune.space import Parameter, Space, Spec

__all__ = ["Asked", "Study"]

_ALIVE = 15.0  # seconds between two signs of life
_DEAD = 120.0  # seconds without one, after which a trial of another machine counts as dead
_TRIES = 2  # a trial whose command was killed is tried again at most so often
_STATES: dict[Outcome, TrialState] = {
    "done": TrialState.COMPLETE,
    # TPE takes a pruned trial by its best report, and one without any as the worst there is.
    "pruned": TrialState.PRUNED,
    "slow": TrialState.PRUNED,
    "hung": TrialState.PRUNED,
    "refused": TrialState.PRUNED,
    "failed": TrialState.PRUNED,
    "cut": TrialState.FAIL,  # says nothing about its values
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What to try next: a trial's number, and the learner, or why its values do not go together."""

    number: int
    learner: str
    spec: Mapping[str, Any]
    origin: str
    refused: str | None = None


class Study:
    """An Optuna study.

    Args:
        name: Of the study; the same name in the same storage is the same study.
        journal: The file that holds it, unless a storage is named.
        storage: A database's URL, such as postgresql+psycopg://user@host/database.
        objective: What is made better.
        seed: Of what is drawn.
        prune: Whether trials that are worse than their kind are ended.

    Raises:
        ConfigError: If the storage cannot be used.
    """

    def __init__(
        self,
        name: str,
        *,
        journal: Path,
        storage: str | None = None,
        objective: Objective = "auc",
        seed: int = 1,
        prune: Literal["median", "none"] = "median",
    ) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)  # it would log each trial; we do
        with _told(storage):
            self._database = None if storage is None else _database(storage)
            self._storage: optuna.storages.BaseStorage = self._database or open_journal(journal)
            self._study = optuna.create_study(
                study_name=name,
                storage=self._storage,
                sampler=NumberedSampler(seed),
                pruner=KindPruner() if prune == "median" else optuna.pruners.NopPruner(),
                direction="maximize" if objective == "auc" else "minimize",
                load_if_exists=True,
            )
        self.objective = objective
        self._mine: dict[int, optuna.Trial] = {}
        self._owner = _process(os.getpid())
        self._seen_alive = 0.0

    def close(self) -> None:
        """Let a database's connections go."""
        if self._database is not None:
            self._database.remove_session()
            self._database.engine.dispose()

    def begin(self, space: Space, *, cost: Callable[[Spec], float] | None = None) -> int:
        """Put what is tried first in the queue, unless it was tried, and return how many trials there are already.

        Args:
            space: Where the starts come from.
            cost: What a learner costs; of those that are not as given, the cheap ones come first. None = as they come.
        """
        known = len(self._trials())
        starts = list(space.starts())
        if cost is not None:
            starts.sort(key=lambda s: (not s.given, 0.0 if s.given else cost(space.spec(s))))
        for turn, start in enumerate(starts):
            values = {k: _label(v) for k, v in start.values.items()}
            attributes = {"origin": start.origin, "turn": turn}
            self._study.enqueue_trial(values, user_attrs=attributes, skip_if_exists=True)
        return known

    def adopt(self) -> int:
        """Tell trials whose command is gone from those that are at work, queue them again, and return how many."""
        found = 0
        for trial in self._trials(TrialState.RUNNING):
            if trial.number in self._mine or _lives(trial):
                continue
            with contextlib.suppress(RuntimeError, ValueError):  # another command was faster
                self._study.tell(trial.number, state=TrialState.FAIL)
                self._again(trial)
                found += 1
        for trial in self._trials(TrialState.FAIL):
            if _facts(trial).get("outcome") == "cut":
                self._again(trial)
        return found

    def _again(self, trial: FrozenTrial) -> None:
        same = [t for t in self._trials() if _values(t) == _values(trial)]
        if len(same) <= _TRIES and not any(t.state != TrialState.FAIL for t in same):
            attributes = {k: v for k, v in trial.user_attrs.items() if k in ("origin", "turn")}
            self._study.enqueue_trial(_values(trial), user_attrs={"origin": "drawn", **attributes})

    def ask(self, space: Space) -> Asked:
        """Begin the next trial."""
        trial = self._queued() or self._study.ask()
        trial.set_user_attr("owner", self._owner)
        origin = trial.user_attrs.get("origin", "drawn")
        refused = None
        try:
            learner, spec = space.draw(lambda p: _suggest(trial, p))
        except ConfigError as error:
            learner, spec, refused = str(trial.params.get("learner", next(iter(space.learners)))), {}, str(error)
        trial.set_user_attr("learner", learner)
        trial.set_user_attr("spec", to_json(spec))
        trial.set_user_attr("origin", origin)
        self._mine[trial.number] = trial
        return Asked(number=trial.number, learner=learner, spec=spec, origin=origin, refused=refused)

    def _queued(self) -> optuna.Trial | None:
        """Take the queued trial whose turn is first, so that a start that was killed is not behind the others; None if none is.

        Optuna itself takes queued trials by number, and one that is queued again has a late one.
        """
        study = self._storage.get_study_id_from_name(self._study.study_name)
        last = float("inf")
        for waiting in sorted(
            self._trials(TrialState.WAITING), key=lambda t: (t.user_attrs.get("turn", last), t.number)
        ):
            number = self._storage.get_trial_id_from_study_id_trial_number(study, waiting.number)
            if self._storage.set_trial_state_values(
                number, state=TrialState.RUNNING
            ):  # else another command was faster
                return optuna.Trial(self._study, number)
        return None

    def report(self, number: int, step: int, score: float) -> bool:
        """Note a report, and return whether the trial should be ended as worse than its kind."""
        trial = self._mine[number]
        trial.report(score, step)
        return trial.should_prune()

    def finish(self, number: int, outcome: Outcome, *, score: float | None = None, **facts: Any) -> None:
        """End a trial."""
        trial = self._mine.pop(number)
        trial.set_user_attr("facts", {"outcome": outcome, "score": score, **facts})
        self._study.tell(trial, score if outcome == "done" else None, state=_STATES[outcome])

    def breathe(self) -> None:
        """Give a sign of life for the trials at work, now and then."""
        if time.monotonic() - self._seen_alive > _ALIVE:
            self._seen_alive = time.monotonic()
            for trial in self._mine.values():
                trial.set_user_attr("alive", time.time())

    def again(self) -> dict[tuple[int, int], float]:
        """Return the scores with other seeds, by trial and seed."""
        found = (key.split("/") for key in self._study.user_attrs if key.startswith("again/"))
        return {(int(n), int(s)): float(self._study.user_attrs[f"again/{n}/{s}"]) for _, n, s in found}

    def set_again(self, number: int, seed: int, score: float) -> None:
        """Note a score with another seed."""
        self._study.set_user_attr(f"again/{number}/{seed}", score)

    def waiting(self) -> int:
        """Return how many trials are queued."""
        return len(self._trials(TrialState.WAITING))

    def trials(self, *, command: Callable[[int], str], seeds: tuple[int, ...] = ()) -> tuple[Trial, ...]:
        """Return what was tried, best first, then by number."""
        sign = -1.0 if self.objective == "auc" else 1.0
        again = self.again()
        lines = [
            _line(t, again=tuple(again[t.number, s] for s in seeds if (t.number, s) in again), command=command)
            for t in self._trials()
            if "spec" in t.user_attrs
        ]
        return tuple(sorted(lines, key=lambda t: (t.score is None, sign * (t.score or 0.0), t.number)))

    def _trials(self, *states: TrialState) -> list[FrozenTrial]:
        return list(self._study.get_trials(deepcopy=False, states=states or None))


def _line(trial: FrozenTrial, *, again: tuple[float, ...], command: Callable[[int], str]) -> Trial:
    import json

    facts = _facts(trial)
    if trial.state == TrialState.RUNNING:
        facts = {"outcome": "running"}
    elif not facts:
        facts = {"outcome": "cut", "reason": "its command was ended; it was queued again"}
    spec = json.loads(trial.user_attrs["spec"])
    score = facts.get("score")
    return Trial(
        number=trial.number,
        learner=trial.user_attrs["learner"],
        spec=spec,
        values=dict(trial.params),
        origin=trial.user_attrs.get("origin", "drawn"),
        outcome=facts["outcome"],
        score=score,
        steps=len(trial.intermediate_values),
        valid=facts.get("valid") or {},
        seconds=facts.get("seconds"),
        memory=facts.get("memory"),
        parameters=facts.get("parameters"),
        reason=facts.get("reason", ""),
        again=again,
        command=command(trial.number) if score is not None else "",
    )


def _facts(trial: FrozenTrial) -> dict[str, Any]:
    return dict(trial.user_attrs.get("facts", {}))


def _values(trial: FrozenTrial) -> dict[str, Any]:
    return dict(trial.params) or dict(trial.system_attrs.get("fixed_params", {}))


def _label(value: Any) -> Any:
    """Return what a storage can hold for a value: lists become their JSON."""
    return value if value is None or isinstance(value, str | bool | int | float) else to_json(value)


def _suggest(trial: optuna.Trial, parameter: Parameter) -> Any:
    span = parameter.range
    if isinstance(span, OneOf):
        options = {_label(option): option for option in span.options}
        return options[trial.suggest_categorical(parameter.name, list(options))]
    if span.whole:
        return trial.suggest_int(parameter.name, int(span.low), int(span.high), log=span.log)
    return trial.suggest_float(parameter.name, span.low, span.high, log=span.log)


def _process(pid: int) -> dict[str, Any]:
    """Return what names a process on any machine, also when its number was given to another one since."""
    return {
        "host": socket.gethostname(),
        "boot": psutil.boot_time(),
        "pid": pid,
        "born": psutil.Process(pid).create_time(),
    }


def _lives(trial: FrozenTrial) -> bool:
    """Whether the command that runs a trial is there; one of this very process that is not known here is not."""
    owner = trial.user_attrs.get("owner")
    if owner is None:  # asked for a moment ago, or left in that moment
        begun = trial.datetime_start
        return begun is not None and time.time() - begun.timestamp() < 2 * _ALIVE
    if owner["host"] == socket.gethostname() and abs(owner["boot"] - psutil.boot_time()) < 2:
        try:
            return owner["pid"] != os.getpid() and bool(
                abs(psutil.Process(owner["pid"]).create_time() - owner["born"]) < 1
            )
        except psutil.Error:
            return False
    return time.time() - float(trial.user_attrs.get("alive", 0.0)) < _DEAD


def _database(url: str) -> optuna.storages.RDBStorage:
    return optuna.storages.RDBStorage(url, engine_kwargs={"pool_pre_ping": True})


@contextlib.contextmanager
def _told(storage: str | None) -> Iterator[None]:
    """Say in one sentence that the storage cannot be used; a password is not said."""
    from sqlalchemy.exc import SQLAlchemyError

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except (ImportError, ModuleNotFoundError) as error:
            raise MissingExtraError(
                f"--storage: its database needs a driver ({error}); for PostgreSQL: pip install 'ctrsel[postgresql]'"
            ) from error
        except (SQLAlchemyError, OSError, ValueError) as error:
            reason = str(error).strip().split("\n", maxsplit=1)[0][:300]
            where = "the study's journal" if storage is None else "--storage"
            if storage is not None and "@" in storage:
                secret = storage.partition("://")[2].rpartition("@")[0]
                reason = reason.replace(secret, "***")
            raise ConfigError(f"{where}: cannot be used: {reason}") from error
