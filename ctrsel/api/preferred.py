"""Preferred: which of the tried learners is taken, and the file by which a run takes it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from ctrsel.core.config import RunConfig
from ctrsel.core.errors import ConfigError
from ctrsel.core.log import event
from ctrsel.records.leaderboard import Leaderboard, Trial
from ctrsel.train import CATALOG as LEARNERS

if TYPE_CHECKING:
    from ctrsel.tune.job import Job

__all__ = ["BEST", "best_yaml", "leaderboard", "tuned_config"]

BEST = "best.yaml"


def leaderboard(config: RunConfig, job: Job, seeds: tuple[int, ...], lines: tuple[Trial, ...]) -> Leaderboard:
    """Choose: by other seeds where they are known, since the best of many scores flatters itself."""
    from ctrsel.tune.job import better
    from ctrsel.tune.search import candidates

    objective, notes = config.tune.objective, []
    given = next((t for t in lines if t.score is not None and t.origin.endswith("as given")), None)
    best = next(iter(candidates(lines, top=1)), None)
    if best is None:
        best = next((t for t in lines if t.score is not None), None)
    else:
        tested, n = _tested(candidates(lines, top=config.tune.top))
        for i, trial in enumerate(tested):
            if i == 0 or better(fmean(trial.again[:n]), fmean(best.again[:n]), objective=objective):
                best = trial
        first = candidates(tuple(t for t in lines if t.origin.endswith("as given")), top=1)
        if (
            tested and first and first[0] not in tested
        ):  # it had no time: it is passed over only by what is clearly above
            given_score = first[0].score
            if given_score is not None and better(given_score, fmean(best.again[:n]), objective=objective):
                best = first[0]
        if len(tested) > 1:
            notes.append(f"the preferred one is the best of {len(tested)} trials by the mean of {n} other seeds")
        elif seeds:
            notes.append(
                "there was no time for other seeds: the best of several scores is too good by some of their noise"
            )
    if best is not None and best.outcome != "done":
        notes.append("the preferred one was ended early, and a run trains it to the end")
    return Leaderboard(
        name=config.name,
        objective=objective,
        table=job.table,
        never_use=job.never_use,
        seed=config.seed,
        seeds=seeds,
        trials=lines,
        best=None if best is None else best.number,
        start=None if given is None else given.number,
        notes=tuple(notes),
    )


def _tested(trials: tuple[Trial, ...]) -> tuple[list[Trial], int]:
    """Return those that can be compared by as many other seeds as at least two of them have, and how many that are."""
    known = sorted((len(t.again) for t in trials), reverse=True)
    n = known[min(1, len(known) - 1)] if known else 0
    return ([t for t in trials if len(t.again) >= n], n) if n else ([], 0)


def best_yaml(board: Leaderboard, command: str) -> str:
    """Write the preferred learner, and the best of each other one, as a part of a config."""
    import yaml

    best = next(t for t in board.trials if t.number == board.best)
    chosen: dict[str, Trial] = {best.learner: best}
    for trial in board.trials:
        if trial.score is not None and trial.outcome in ("done", "slow"):
            chosen.setdefault(trial.learner, trial)
    lines = [f"# The learners that '{shlex.join(shlex.split(command))}' prefers; paste them into a config, or:"]
    lines.append("#   ctrsel run CONFIG --tuned THIS_FILE")
    for name, trial in chosen.items():
        lines.append(f"# {name}: trial {trial.number}, validation {board.objective} {trial.score:.5f}, {trial.origin}")
    specs: Mapping[str, Any] = {"learners": {name: _ordered(t.spec) for name, t in chosen.items()}}
    text = yaml.safe_dump({**specs, "select": {"learner": best.learner}}, sort_keys=False, allow_unicode=True)
    return "\n".join(lines) + "\n" + text


def _ordered(spec: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "use": spec["use"],
        **{k: _ordered(v) if isinstance(v, Mapping) else v for k, v in spec.items() if k != "use"},
    }


def tuned_config(config: RunConfig, place: Path) -> RunConfig:
    """Return a config with learners that tuning preferred, by their names.

    The preferred one becomes `select.learner`, unless a selector needs gates, which trees have not.

    Args:
        config: Of a run.
        place: A folder that tuning wrote, or its `best.yaml`.

    Raises:
        ConfigError: If there is nothing to read.
    """
    import yaml

    place = Path(place)
    folders = (place, place / "tune") if place.is_dir() else ()
    file = next((f / BEST for f in folders if (f / BEST).is_file()), place)
    try:
        given = yaml.safe_load(file.read_text(encoding="utf-8"))
        learners, preferred = dict(given["learners"]), str(given["select"]["learner"])
    except (OSError, yaml.YAMLError, TypeError, KeyError, UnicodeDecodeError) as error:
        raise ConfigError(f"--tuned {place}: expected a folder or a file that 'ctrsel tune' wrote: {error}") from error
    kept = config.select.learner
    specs = config.select.selectors or ({"use": "gated"},)
    gates = any("gate" in s or s.get("use") == "gated" for s in specs)
    if not gates or hasattr(LEARNERS.create(learners[preferred], place=f"{file}: learners"), "backbone"):
        kept = preferred
    event("tuned", learners=", ".join(learners), preferred=preferred, selected_with=kept)
    return replace(config, learners={**config.learners, **learners}, select=replace(config.select, learner=kept))
