"""Tuning a config: its table once, then trials against the clock, and the preferred learners as a file for a run."""

from __future__ import annotations

import contextlib
import importlib.metadata
import math
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ctrsel.api.cache import StageCache, exclusive
from ctrsel.api.plan import plan
from ctrsel.api.preferred import BEST, best_yaml, leaderboard
from ctrsel.api.stages import Stages
from ctrsel.core.artifact import atomic_text, digest_json
from ctrsel.core.config import RunConfig, load_config
from ctrsel.core.errors import ConfigError, DataError, unknown_name
from ctrsel.core.log import event, logger, progress
from ctrsel.records.leaderboard import Leaderboard, Trial
from ctrsel.register.trials import TrialLogger
from ctrsel.train import CATALOG as LEARNERS

if TYPE_CHECKING:
    from ctrsel.tune.job import Job
    from ctrsel.tune.space import Space

__all__ = ["Recomputed", "Tuned", "read_budget", "score_again", "tune_learners"]

_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "": 1.0}
_CLOSING = 5.0  # seconds before the end of the time that are kept for MLflow
_LATE = 10.0  # seconds after it, after which MLflow is waited for no longer


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuned:
    """What tuning came to.

    Attributes:
        leaderboard: Everything that was tried.
        folder: Where it is saved: `leaderboard/` and `best.yaml`.
        known: Trials that earlier commands on the same study had begun.
    """

    leaderboard: Leaderboard
    folder: Path
    known: int

    @property
    def best(self) -> Trial | None:
        """The preferred trial."""
        number = self.leaderboard.best
        return None if number is None else self.leaderboard.trial(number)

    @property
    def start(self) -> Trial | None:
        """The best of the learners as given."""
        number = self.leaderboard.start
        return None if number is None else self.leaderboard.trial(number)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recomputed:
    """A score that was computed again: the seed, what the leaderboard says, and what came out now."""

    number: int
    seed: int
    told: float
    found: float


def read_budget(text: str | float) -> float:
    """Return seconds of a budget such as "10m", "90s" or "1h30m".

    Raises:
        ConfigError: If it is none, or not above 0.

    Examples:
        >>> read_budget("1h30m"), read_budget("90"), read_budget(2.5)
        (5400.0, 90.0, 2.5)
    """
    if isinstance(text, int | float):
        seconds = float(text)
    else:
        parts = re.findall(r"(\d+(?:\.\d+)?)\s*([hms]?)", text.strip().lower())
        whole = "".join(f"{n}{unit}" for n, unit in parts) == re.sub(r"\s", "", text.lower())
        seconds = sum(float(n) * _UNITS[unit] for n, unit in parts) if parts and whole else math.nan
    if not 0 < seconds < math.inf:
        raise ConfigError(f"--budget: expected a time such as 10m, 90s or 1h30m, got {text!r}")
    return seconds


def tune_learners(
    config: RunConfig | str | Path,
    *,
    budget: str | float = "10m",
    workers: int = 1,
    trials: int | None = None,
    learners: Sequence[str] = (),
    storage: str | None = None,
    command: str = "ctrsel tune CONFIG",
    began: float | None = None,
) -> Tuned:
    """Try learners and their parameters for a time; test rows are not read.

    What was tried before in the same folder or storage, by this command or another that is at work now, counts too.

    Args:
        config: What the data are and where tuning starts.
        budget: Wall-clock time; when it is over, processes of trials are ended.
        workers: Trials at once.
        trials: Begin at most so many; None = as many as the time allows.
        learners: Names of the config or the catalogue, in place of the config's `tune.learners`.
        storage: A database's URL for a study over several machines; None = a journal in the run's folder.
        command: What `--score NUMBER` is put behind in the leaderboard's commands.
        began: Monotonic time from which the budget counts; None = now.

    Raises:
        ConfigError: If the config is wrong, the storage cannot be used, or nothing could be trained.
        DataError, LeakError: As in a run.
    """
    began = time.monotonic() if began is None else began
    seconds = read_budget(budget)
    for name, number in (("workers", workers), ("trials", trials)):
        if number is not None and number < 1:
            raise ConfigError(f"--{name}: must be at least 1, got {number}")
    from ctrsel.tune.job import known_table
    from ctrsel.tune.search import Search
    from ctrsel.tune.study import Study

    made = _named(load_config(config) if isinstance(config, str | Path) else config, learners)
    space, logs = _space(made), made.register.enabled and made.tune.log > 0
    deadline = began + seconds - (min(_CLOSING, 0.05 * seconds) if logs else 0.0)
    with _ready(made, space, wait=seconds) as (folder, job):
        study = Study(
            _study_name(made, folder),
            journal=folder / "study.journal",
            storage=storage,
            objective=made.tune.objective,
            seed=made.seed,
            prune=made.tune.prune,
        )
        table = known_table(Path(job.table), job.never_use)
        known = study.begin(space, cost=lambda spec: LEARNERS.create(spec).multiply_adds(table))
        study.adopt()
    event("tune", study=str(folder), known=known, parameters=len(space.parameters()), workers=workers)
    seeds = tuple(made.seed + 1 + i for i in range(made.tune.seeds))
    search = Search(
        study=study,
        space=space,
        job=job,
        workers=workers,
        began=began,
        deadline=deadline,
        logs=folder / "logs",
        seeds=seeds,
        top=made.tune.top,
    )

    def written() -> Leaderboard:
        lines = study.trials(command=lambda number: f"{command} --score {number}", seeds=seeds)
        board = leaderboard(made, job, seeds, lines)
        board.save(folder / "leaderboard")
        if board.best is not None:
            for path in (folder / BEST, folder.parent / BEST):
                atomic_text(path, best_yaml(board, command))
        return board

    mlflow = None
    if logs:
        words = folder / "logs" / "mlflow.txt"
        mlflow = TrialLogger(made.name, config=made.register, out=plan(made).out, words=words)
    try:
        with progress("tune", round(seconds), unit="s") as bar:
            search.trials(at_most=trials, bar=bar)
            search.other_seeds(bar=bar)
        board = written()
    except BaseException as error:
        if mlflow is not None:
            mlflow.close()
        if isinstance(error, KeyboardInterrupt):
            written()
        raise
    finally:
        study.close()
    if board.best is None:
        reason = next((t.reason for t in board.trials if t.reason), "no trial was begun")
        raise ConfigError(f"tune: no trial has a score after {seconds:.0f} s ({reason}); raise --budget")
    if mlflow is not None:
        why = mlflow.log(folder, top=made.tune.log, seconds=began + seconds + _LATE - time.monotonic())
        if why is None:
            event("logged", study=folder.name, trials=made.tune.log)
        else:
            facts = {"reason": why}
            logger().warning("the best trials may not be in MLflow; the same command logs them", extra={"facts": facts})
    return Tuned(leaderboard=board, folder=folder, known=known)


def score_again(
    config: RunConfig | str | Path, number: int, *, learners: Sequence[str] = (), seeds: bool = False
) -> tuple[Recomputed, ...]:
    """Compute a leaderboard line's score again, and those with other seeds on request.

    Args:
        config: The config that was tuned.
        number: The trial.
        learners: As they were given when it was tuned.
        seeds: Whether the other seeds' scores are computed too.

    Raises:
        ConfigError: If there is no such line.
        DataError: If a score comes out differently.
    """
    from ctrsel.tune.job import score

    made = _named(load_config(config) if isinstance(config, str | Path) else config, learners)
    with _ready(made, _space(made), wait=0.0) as (folder, job):
        if not (folder / "leaderboard").is_dir():
            raise ConfigError(f"{folder}: nothing was tuned with this config and these data; do that first")
        board = Leaderboard.load(folder / "leaderboard")
    trial = board.trial(number)
    if trial is None or trial.score is None:
        known = [str(t.number) for t in board.trials if t.score is not None]
        raise unknown_name("trial", str(number), known, place=f"--score {number}")
    ended = None if trial.outcome == "done" else trial.steps
    jobs = [(made.seed, trial.score, ended)]
    if seeds:
        jobs += [(seed, told, ended) for seed, told in zip(board.seeds, trial.again, strict=False)]
    found = []
    for seed, told, steps in jobs:
        now = score(replace(job, learner=trial.spec, seed=seed, steps=steps)).score
        found.append(Recomputed(number=number, seed=seed, told=told, found=now))
        if now != told:
            raise DataError(f"trial {number}, seed {seed}: the leaderboard says {told!r}, computed again it is {now!r}")
    return tuple(found)


def _named(config: RunConfig, learners: Sequence[str]) -> RunConfig:
    """Return the config with exactly the learners that are to be tuned."""
    names = tuple(learners) or config.tune.learners or tuple(config.learners)
    chosen: dict[str, dict[str, Any]] = {}
    for name in names:
        if name in config.learners:
            chosen[name] = dict(config.learners[name])
        elif name in LEARNERS.names() or ":" in name:
            chosen[name] = {"use": name}
        else:
            known = {*config.learners, *LEARNERS.names()}
            raise unknown_name("learner", name, known, place="--learner" if learners else "tune.learners")
    selected = config.select.learner
    select = config.select if selected in chosen else replace(config.select, learner=next(iter(chosen)))
    return replace(config, learners=chosen, select=select)


def _space(config: RunConfig) -> Space:
    from ctrsel.tune.space import Space, read_range

    wished = {k: read_range(v, place=f"tune.ranges.{k}") for k, v in config.tune.ranges.items()}
    return Space(learners=config.learners, fixed=config.tune.fixed, wished=wished)


@contextlib.contextmanager
def _ready(config: RunConfig, space: Space, *, wait: float) -> Iterator[tuple[Path, Job]]:
    """Hold the run's folder with its table ingested and audited; yield the study's folder and what trials share."""
    from ctrsel.tune.job import Job

    made = plan(config)
    with exclusive(made.out, wait=wait):
        cache = StageCache(folder=made.out / "stages", version=importlib.metadata.version("ctrsel"))
        cache.sweep()
        stages = Stages(plan=made, cache=cache)
        plain = stages.ingest()
        stages.audit(plain)
        crossed = stages.cross(plain)
        unused = tuple(n for n in config.select.never_use if n in crossed.table.schema.names)
        taken = [list(c) for c in crossed.choices.taken] if crossed.choices else []
        basis = {"table": plain.digest, "crosses": taken, "unused": sorted(unused)}
        if crossed.table is plain:
            where = Path(str(getattr(plain.row, "filename", ""))).parent
        else:
            where = made.out / "tune" / f"table-{digest_json(basis)}"
            if not where.is_dir():
                crossed.table.save(where)
        settings = {"objective": config.tune.objective, "seed": config.seed, "space": space.describe()}
        folder = made.out / "tune" / f"study-{digest_json([basis, settings])[:8]}"
        folder.mkdir(parents=True, exist_ok=True)
        yield (
            folder,
            Job(table=str(where), never_use=unused, learner={}, seed=config.seed, objective=config.tune.objective),
        )


def _study_name(config: RunConfig, folder: Path) -> str:
    return f"{config.name}/{folder.name}"
