"""Starts: the model that a training goes on from, by any name that a user has for it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ctrsel.core.config import RegisterConfig
from ctrsel.core.errors import ConfigError
from ctrsel.models.model import Model
from ctrsel.register import is_registered, load_registered
from ctrsel.train import Learner

__all__ = ["check_start", "open_start"]


def open_start(start: Model | str | Path, *, register: RegisterConfig | None = None, out: Path | None = None) -> Model:
    """Open a model to start from.

    Args:
        start: A model; `models:/<name>@<alias>`, `models:/<name>/<version>` or `runs:/<id>/<path>` of MLflow; or the folder
            of a saved model or of a finished run.
        register: Where versions are registered; None for `MLFLOW_TRACKING_URI`.
        out: The folder of the run, which holds the registry if nothing else is named.

    Raises:
        ConfigError: If the registry has no such model.
        DataError: If the folder holds none.
    """
    if isinstance(start, Model):
        return start
    if is_registered(str(start)):
        return load_registered(str(start), config=register or RegisterConfig(), out=out or Path())
    return Model.load(Path(start).expanduser())


def check_start(start: Model, learners: Mapping[str, Learner]) -> None:
    """Refuse a start that none of some learners can go on from.

    Raises:
        ConfigError: Naming its kind and the learners.
    """
    if not any(start.predictor.kind in learner.starts_from for learner in learners.values()):
        raise ConfigError(
            f"start: a model of kind {start.predictor.kind!r} is nothing that {', '.join(map(repr, learners))} can go on from"
        )
