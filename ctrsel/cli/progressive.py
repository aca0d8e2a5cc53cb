"""The command that judges a learner day by day, on rows that come after all that it has learned from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from ctrsel.cli.groups import expand
from ctrsel.cli.help_texts import STEP, examples
from ctrsel.cli.source import settings
from ctrsel.cli.speak import Say, aligned
from ctrsel.core.errors import ConfigError

__all__ = ["COMMANDS"]


@expand
def progressive(
    *,
    data: Annotated[
        Path,
        typer.Argument(metavar="CONFIG|TABLE", help="A config (.yaml), or the folder of a table with a time column."),
    ],
    by: Annotated[
        str | None,
        typer.Option(
            help="Length of a period: 1d, 12h, or a number where time is one. Default: one per distinct moment.",
            show_default=False,
        ),
    ] = None,
    days: Annotated[
        int | None, typer.Option(help="Test on the last so many periods. Default: all with a past.", show_default=False)
    ] = None,
    history: Annotated[int, typer.Option(help="Periods before the first one that is tested.")] = 1,
    warm: Annotated[
        bool, typer.Option("--warm", help="Go on from the day before, over the new rows; else train on all past rows.")
    ] = False,
    window: Annotated[
        int | None, typer.Option(help="Train on the last so many periods only.", show_default=False)
    ] = None,
    valid: Annotated[
        float, typer.Option(help="Share of the rows, the newest ones, that training is stopped by.")
    ] = 0.1,
    learner: Annotated[
        str | None,
        typer.Option(help="A learner of the config, or of the catalogue for a table.", show_default=False),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of everything drawn (1).", show_default=False)] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Set a key of the config; repeatable.", show_default=False),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="A folder for finished days, else the config's or none.", show_default=False),
    ] = None,
    say: Say,
) -> None:
    """Train to a day, test on that day, and so on; metrics per day and their mean.

    Codes and weights come from earlier rows only. The same command goes on from the last finished day, and takes days that
    have come since.
    """
    with say.session() as speaker:
        from ctrsel.api.progressive import progressive as whole
        from ctrsel.core.config import load_config

        speaker.place = str(out or data)
        wishes: dict[str, Any] = {"by": by, "days": days, "history": history, "warm": warm, "window": window}
        wishes |= {"valid": valid, **({} if seed is None else {"seed": seed})}
        if data.suffix.lower() in (".yaml", ".yml"):
            config = load_config(data, overrides=settings(assignments or []))
            found = whole(config, learner, out=out, **wishes)
        elif assignments:
            raise ConfigError("--set: sets keys of a config, got a table")
        else:
            found = whole(data, learner, out=out, **wishes)
        header, rows = found.rows()
        speaker.show({**found.to_dict(), "digest": found.digest}, aligned(header, rows))


COMMANDS: tuple[tuple[str, Callable[..., None], str, str], ...] = (
    (
        "progressive",
        progressive,
        examples(
            "ctrsel progressive clicks.yaml --by 1d --days 7 --warm", "ctrsel progressive store --learner boosted"
        ),
        STEP,
    ),
)
