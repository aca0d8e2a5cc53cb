"""Leaderboard: what tuning has tried, best first, each line with all that its score can be computed by again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from ctrsel.core.artifact import atomic_folder, digest_json, read_manifest, to_json

__all__ = ["Leaderboard", "Outcome", "Trial"]

Outcome = Literal["done", "slow", "pruned", "hung", "cut", "refused", "failed", "running"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One line.

    Attributes:
        number: In the study.
        learner: Its name in the config.
        spec: `{use: ..., parameters}`, all of them.
        values: Of what was tried, by parameter name.
        origin: Where its values come from: "net as given", "drawn", ...
        outcome: done; slow (the time was over: its best report counts); pruned (worse than its kind); hung (silent for
            too long); cut (the time was over before a report); refused (would not fit in memory, or its values do not
            go together); failed; running.
        score: On validation; None if there is none. Of a trial that was ended early, the best until then.
        steps: Reports that came.
        valid: AUC and log-loss on validation, of a trial that is done.
        seconds: Of the whole trial.
        memory: Peak bytes of its process, the mapped table included.
        parameters: Numbers of the model.
        reason: Why there is no score, or why it was ended early.
        again: Scores of the same learner with other seeds, in their order.
        command: What computes the score again.
    """

    number: int
    learner: str
    spec: Mapping[str, Any]
    values: Mapping[str, Any]
    origin: str
    outcome: Outcome
    score: float | None = None
    steps: int = 0
    valid: Mapping[str, float]
    seconds: float | None = None
    memory: int | None = None
    parameters: int | None = None
    reason: str = ""
    again: tuple[float, ...] = ()
    command: str = ""

    @property
    def fresh(self) -> float | None:
        """Mean of the scores with other seeds, which did not decide that it is here."""
        return sum(self.again) / len(self.again) if self.again else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaderboard:
    """All trials of a study.

    Attributes:
        name: Of the config.
        objective: "auc", of which more is better, or "log_loss", nats per row.
        table: The saved table's folder that was trained on.
        never_use: Fields that were left out of it.
        seed: Of the trainings.
        seeds: The other seeds.
        trials: Best first; those without a score last.
        best: The preferred trial's number, None if no trial has a score.
        start: The best of the learners as given, None likewise.
        notes: What a reader must know, a sentence each.
    """

    name: str
    objective: Literal["auc", "log_loss"]
    table: str
    never_use: tuple[str, ...]
    seed: int
    seeds: tuple[int, ...]
    trials: tuple[Trial, ...]
    best: int | None
    start: int | None
    notes: tuple[str, ...] = ()

    def trial(self, number: int) -> Trial | None:
        """Return a line."""
        return next((t for t in self.trials if t.number == number), None)

    @property
    def digest(self) -> str:
        """Digest of the content."""
        return digest_json(self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        plain: dict[str, Any] = json.loads(to_json(asdict(self)))
        return plain

    def save(self, path: Path) -> None:
        """Save as a folder: the manifest with everything, and `trials.parquet`, a row per trial."""
        import polars as pl

        with atomic_folder(path, manifest={"format": "ctrsel.leaderboard", "version": 1, **self.to_dict()}) as folder:
            rows = [
                {
                    **{k: getattr(t, k) for k in ("number", "learner", "origin", "outcome", "score")},
                    "fresh": t.fresh,
                    "again": list(t.again),
                    "valid_auc": t.valid.get("auc"),
                    "valid_log_loss": t.valid.get("log_loss"),
                    **{k: getattr(t, k) for k in ("steps", "seconds", "memory", "parameters", "reason", "command")},
                    "values": to_json(dict(t.values)),
                    "spec": to_json(dict(t.spec)),
                }
                for t in self.trials
            ]
            schema: dict[str, Any] = {
                "number": pl.Int64,
                **dict.fromkeys(("learner", "origin", "outcome"), pl.String),
                **dict.fromkeys(("score", "fresh"), pl.Float64),
                "again": pl.List(pl.Float64),
                **dict.fromkeys(("valid_auc", "valid_log_loss"), pl.Float64),
                "steps": pl.Int64,
                "seconds": pl.Float64,
                **dict.fromkeys(("memory", "parameters"), pl.Int64),
                **dict.fromkeys(("reason", "command", "values", "spec"), pl.String),
            }
            pl.DataFrame(rows, schema=schema, orient="row").write_parquet(folder / "trials.parquet")

    @staticmethod
    def load(path: Path) -> Leaderboard:
        """Load what `save` wrote."""
        m = read_manifest(path, format="ctrsel.leaderboard", version=1)
        given = {k: v for k, v in m.items() if k not in ("format", "version")}
        trials = tuple(Trial(**{**t, "again": tuple(t["again"])}) for t in m["trials"])
        given |= {"trials": trials, **{k: tuple(m[k]) for k in ("never_use", "seeds", "notes")}}
        return Leaderboard(**given)
