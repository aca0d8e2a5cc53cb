"""Trials of a tuning: one MLflow run with the whole leaderboard as files, and a nested run for each of the best few.

As a program (`python -m ctrsel.register.trials`) it reads where to and then what as two lines of JSON from standard
input: a command with a time to keep lets it open the store while trials run.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ctrsel.core.artifact import to_json
from ctrsel.core.building import build
from ctrsel.core.config import RegisterConfig
from ctrsel.records.leaderboard import Leaderboard, Trial
from ctrsel.register.promotion import user
from ctrsel.register.store import Store, quiet_mlflow

__all__ = ["TrialLogger", "log_leaderboard"]

_VALUE = 500  # characters of a parameter that MLflow keeps in any store


def log_leaderboard(folder: Path, *, config: RegisterConfig, out: Path, top: int) -> str:
    """Log a saved study, in place of what an earlier command logged of it, and return the run's id.

    Args:
        folder: What tuning wrote: `leaderboard/` and `best.yaml`.
        config: Where it goes.
        out: The run's folder.
        top: How many of the best get a nested run of their own.

    Raises:
        ConfigError: If the store cannot be used.
    """
    from mlflow.entities import Metric, Param

    board = Leaderboard.load(folder / "leaderboard")
    store = Store.of(config, out=Path(out))
    with quiet_mlflow(store.uri):
        client = store.client()
        experiment = store.experiment(client, board.name)
        before = client.search_runs([experiment], f"tags.`ctrsel.study` = '{folder.name}'")
        tags = {"ctrsel.study": folder.name, "mlflow.user": user(), "mlflow.source.name": "ctrsel"}
        parent = client.create_run(experiment, tags=tags, run_name=f"{board.name} tune").info.run_id
        now = int(time.time() * 1000)

        def write(run_id: str, trial: Trial, *, more: dict[str, Any]) -> None:
            numbers = {
                f"valid_{board.objective}": trial.score,
                "other_seeds": trial.fresh,
                "seconds": trial.seconds,
                "memory_bytes": trial.memory,
                "parameters": trial.parameters,
            }
            told = {"trial": trial.number, "learner": trial.learner, "origin": trial.origin, **trial.values, **more}
            client.log_batch(
                run_id,
                metrics=[Metric(k, float(v), now, 0) for k, v in numbers.items() if v is not None],
                params=[Param(k, _short(v)) for k, v in told.items()][:100],
            )

        best = None if board.best is None else board.trial(board.best)
        if best is not None:
            write(
                parent, best, more={"trials": len(board.trials), "objective": board.objective, "command": best.command}
            )
        client.log_artifacts(parent, str(folder / "leaderboard"), "leaderboard")
        if (folder / "best.yaml").is_file():
            client.log_artifact(parent, str(folder / "best.yaml"))
        for trial in [t for t in board.trials if t.score is not None][:top]:
            nested = {**tags, "mlflow.parentRunId": parent}
            run_id = client.create_run(experiment, tags=nested, run_name=f"trial {trial.number}").info.run_id
            write(run_id, trial, more={"outcome": trial.outcome, "command": trial.command})
            client.set_terminated(run_id, status="FINISHED")
        client.set_terminated(parent, status="FINISHED")
        for old in before:
            client.delete_run(old.info.run_id)
    return str(parent)


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else to_json(value)
    return text if len(text) <= _VALUE else text[: _VALUE - 3] + "..."


class TrialLogger:
    """A process that opens the store while trials run, and logs them at the end, which then takes a second or two.

    It is never killed, since that might leave a database half made: it ends when its standard input does.

    Args:
        name: Of the experiment.
        config: Where it goes.
        out: The run's folder.
        words: A file for what it says.
    """

    def __init__(self, name: str, *, config: RegisterConfig, out: Path, words: Path) -> None:
        words.parent.mkdir(parents=True, exist_ok=True)
        self._words = words
        with words.open("wb") as file:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "ctrsel.register.trials"],
                stdin=subprocess.PIPE,
                stdout=file,
                stderr=file,
                text=True,
                start_new_session=True,
            )
        self._tell({"name": name, "register": asdict(config), "out": str(out)})

    def log(self, folder: Path, *, top: int, seconds: float) -> str | None:
        """Log a saved study; return why it is not logged, None if it is.

        Args:
            folder: The study's.
            top: How many of the best get a nested run.
            seconds: For which it is waited.
        """
        self._tell({"folder": str(folder), "top": top})
        self.close()
        try:
            code = self._process.wait(timeout=max(seconds, 0.1))
        except subprocess.TimeoutExpired:
            return f"it is still at work after {seconds:.0f} s, and ends by itself"
        if code == 0:
            return None
        lines = self._words.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1] if lines else f"it ended with code {code}"

    def close(self) -> None:
        """Let it end."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()

    def _tell(self, what: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(what) + "\n")
            self._process.stdin.flush()


def _main() -> None:
    given = json.loads(sys.stdin.readline())
    config, out = build(RegisterConfig, given["register"], place="register"), Path(given["out"])
    store = Store.of(config, out=out)
    with quiet_mlflow(store.uri):
        store.experiment(store.client(), given["name"])
    line = sys.stdin.readline()
    if line:
        then = json.loads(line)
        log_leaderboard(Path(then["folder"]), config=config, out=out, top=then["top"])


if __name__ == "__main__":
    _main()
