"""The command that tunes: learners and their parameters tried for a time, and a score of its leaderboard computed again."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ctrsel.cli.groups import expand
from ctrsel.cli.help_texts import EXITS, examples
from ctrsel.cli.source import settings
from ctrsel.cli.speak import Say, Speaker, aligned
from ctrsel.core.errors import ConfigError

if TYPE_CHECKING:
    from ctrsel.api.tuning import Tuned
    from ctrsel.core.config import RunConfig
    from ctrsel.records.leaderboard import Trial

__all__ = ["COMMANDS"]

_SHOWN = 10  # lines of the leaderboard on the terminal


@expand
def tune(
    *,
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="The config (.yaml).")],
    budget: Annotated[
        str | None,
        typer.Option(help="Wall-clock time, such as 10m or 1h30m; trials at work are ended then.", show_default=False),
    ] = None,
    workers: Annotated[int, typer.Option(help="Trials at once, each in a process of its own.")] = 1,
    trials: Annotated[
        int | None, typer.Option(help="Begin at most so many, however much time is left.", show_default=False)
    ] = None,
    learner: Annotated[
        list[str] | None,
        typer.Option(
            help="A learner of the config or the catalogue; repeatable. Default: the config's tune.learners, else all.",
            show_default=False,
        ),
    ] = None,
    storage: Annotated[
        str | None,
        typer.Option(
            help="A database for a study over several machines: postgresql+psycopg://...; $NAME is read from the "
            "environment. Default: a journal in the run's folder.",
            show_default=False,
        ),
    ] = None,
    score: Annotated[
        int | None,
        typer.Option(metavar="TRIAL", help="Compute this trial's score again, and compare.", show_default=False),
    ] = None,
    seeds: Annotated[bool, typer.Option("--seeds", help="With --score: those with other seeds as well.")] = False,
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Set a key of the config; repeatable.", show_default=False),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="The run's folder, else the config's or runs/NAME.", show_default=False),
    ] = None,
    say: Say,
) -> None:
    """Try learners and their parameters for a time: what is preferred on the validation rows; test rows are not read.

    The learners of the config are tried first as they are, so the result is never below them. The same command goes on
    where an earlier one stopped; several may work on one study. The best are trained with other seeds too, since the
    best of many scores flatters itself. 'ctrsel run CONFIG --tuned FOLDER' takes what is preferred.
    """
    began = _began()
    with say.session() as speaker:
        from ctrsel.core.config import load_config
        from ctrsel.data.paths import expand as expanded

        if (budget is None) == (score is None):
            raise ConfigError("tune: give --budget, or --score with a trial's number")
        overrides = {**({} if out is None else {"out": str(out)}), **settings(assignments or [])}
        made = load_config(config, overrides=overrides)
        speaker.place = made.out or f"runs/{made.name}"
        if score is not None:
            _again(made, score, tuple(learner or ()), seeds, speaker)
            return
        from ctrsel.api.tuning import tune_learners

        words = ["ctrsel", "tune", str(config)]
        words += [w for name in learner or () for w in ("--learner", name)]
        words += [w for given in assignments or () for w in ("--set", given)]
        words += [] if out is None else ["--out", str(out)]
        found = tune_learners(
            made,
            budget=str(budget),
            workers=workers,
            trials=trials,
            learners=tuple(learner or ()),
            storage=None if storage is None else expanded(storage),
            command=shlex.join(words),
            began=began,
        )
        speaker.show(*_told(found, str(config), seconds=time.monotonic() - began))


def _began() -> float:
    """Return when the time began, monotonic: with the program itself, which takes seconds to start on a busy machine."""
    import psutil

    now = time.monotonic()
    if Path(sys.argv[0]).name != "ctrsel":  # called by another program, which began long ago
        return now
    return now - max(0.0, time.time() - float(psutil.Process().create_time()))


def _again(config: RunConfig, number: int, learners: tuple[str, ...], seeds: bool, speaker: Speaker) -> None:
    from ctrsel.api.tuning import score_again

    found = score_again(config, number, learners=learners, seeds=seeds)
    lines = [f"trial {f.number}, seed {f.seed}: {f.found!r}, as the leaderboard says" for f in found]
    speaker.show({"scores": found}, "\n".join(lines))


def _told(found: Tuned, config: str, *, seconds: float) -> tuple[dict[str, Any], str]:
    board, best, start = found.leaderboard, found.best, found.start
    assert best is not None
    header = ["trial", "learner", "origin", "outcome", board.objective, "other seeds", "seconds", "MiB"]
    rows = [
        [
            *(t.number, t.learner, t.origin, t.outcome, _digits(t.score), _digits(t.fresh)),
            *(round(t.seconds or 0.0, 1), None if t.memory is None else t.memory >> 20),
        ]
        for t in board.trials[:_SHOWN]
    ]
    lines = [aligned(header, rows), "", *_words(found, best, start), ""]
    lines += [f"computed again by: {best.command}", f"taken by:          ctrsel run {config} --tuned {found.folder}"]
    lines += [f"saved in:          {found.folder}", f"seconds:           {seconds:.0f}"]
    result = {
        "out": found.folder,
        "best": best,
        "given": start,
        "outcomes": _counts(board.trials),
        "notes": board.notes,
        "leaderboard": board.trials,
        "seconds": seconds,
    }
    return result, "\n".join(lines)


def _words(found: Tuned, best: Trial, start: Trial | None) -> list[str]:
    """Say in plain words what came of it."""
    board = found.leaderboard
    metric = {"auc": "validation AUC", "log_loss": "validation log-loss"}[board.objective]
    fresh = (
        ""
        if best.fresh is None
        else f", {_digits(best.fresh)} with {len(best.again)} other {'seed' if len(best.again) == 1 else 'seeds'}"
    )
    lines = [f"Preferred: trial {best.number} ({best.learner}, {best.origin}), {metric} {_digits(best.score)}{fresh}."]
    if start is not None and start.number != best.number:
        against = "" if start.fresh is None else f", {_digits(start.fresh)} with other seeds"
        lines.append(f"As given: trial {start.number} ({start.learner}), {_digits(start.score)}{against}.")
    elif start is not None:
        lines.append("Nothing that was tried is better than what was given.")
    counts = _counts(board.trials)
    lines.append(f"{len(board.trials)} trials: " + ", ".join(f"{n} {name}" for name, n in counts.items()) + ".")
    reasons: dict[str, list[int]] = {}
    for trial in sorted(board.trials, key=lambda t: t.number):
        if trial.outcome in ("failed", "refused"):
            reasons.setdefault(trial.reason, []).append(trial.number)
    lines += [f"  {', '.join(map(str, numbers))}: {reason}" for reason, numbers in reasons.items()]
    return [*lines, *(note[0].upper() + note[1:] + "." for note in board.notes)]


def _counts(trials: tuple[Trial, ...]) -> dict[str, int]:
    order = ("done", "slow", "pruned", "hung", "cut", "refused", "failed", "running")
    return {name: n for name in order if (n := sum(t.outcome == name for t in trials))}


def _digits(value: float | None) -> str:
    return "-" if value is None else f"{value:.5f}"


_TUNING = "A whole run"
COMMANDS: tuple[tuple[str, Callable[..., None], str, str], ...] = (
    (
        "tune",
        tune,
        examples(
            "ctrsel tune clicks.yaml --budget 10m",
            "ctrsel tune clicks.yaml --budget 1h --workers 4 --learner net",
            "ctrsel tune clicks.yaml --score 17",
        )
        + "\n\n"
        + EXITS,
        _TUNING,
    ),
)
