"""The command `deliver`: registers finished runs that wait for a registry that could not be reached or refused access."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from ctrsel.cli.groups import expand
from ctrsel.cli.help_texts import examples
from ctrsel.cli.speak import Say
from ctrsel.core.errors import ConfigError

__all__ = ["COMMANDS"]


@expand
def deliver(
    *,
    config: Annotated[
        Path | None,
        typer.Argument(metavar="CONFIG", help="The run's config, for its folder and its registry.", show_default=False),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="The run's folder, in place of the config's.", show_default=False),
    ] = None,
    say: Say,
) -> None:
    """Register the finished runs that wait in a folder's outbox, oldest first, each once.

    A run goes there if MLflow cannot be reached, or refuses access, at its end. Each is compared with the champion of now on
    its own test rows; one that is older than the champion's run is registered and refused. Without a config the registry is
    the one that the run itself named, or MLFLOW_TRACKING_URI.
    """
    with say.session() as speaker:
        if config is None and out is None:
            raise ConfigError("name a run's config (.yaml) or its folder by --out")
        from ctrsel.api.outbox import deliver as delivered
        from ctrsel.core.config import load_config

        made = None if config is None else load_config(config)
        folder = out or Path("runs" if made is None else made.out or f"runs/{made.name}")
        found = delivered(made, out=folder)
        lines = [f"registered {r.model_name}, version {r.version}: {r.ui_command}" for r in found]
        text = "\n".join(lines) or f"nothing waits in {folder / 'outbox'}"
        speaker.show({"delivered": [asdict(r) for r in found]}, text)


COMMANDS: tuple[tuple[str, Callable[..., None], str, str], ...] = (
    (
        "deliver",
        deliver,
        examples("ctrsel deliver clicks.yaml", "ctrsel deliver --out runs/clicks --json"),
        "Registered versions",
    ),
)
