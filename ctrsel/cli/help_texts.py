"""Help that commands share: exit codes, examples, panels, and what recurring options say."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ctrsel.cli.failure import EXIT_CODES

__all__ = ["EXITS", "START", "STEP", "Out", "examples"]

EXITS = "Exit codes: " + " · ".join(f"[bold]{code}[/bold] {what}" for code, what in EXIT_CODES.items())
START = "A model that nets go on from: a saved model's or a run's folder, or models:/NAME@champion."
STEP = "Single steps (a config, or bare data and --label)"

Out = Annotated[Path | None, typer.Option("--out", "-o", help="A folder for the result.", show_default=False)]


def examples(*lines: str) -> str:
    """Return the epilog of a command: its examples, one a line."""
    return "Examples:\n\n" + "\n\n".join(f"[bold]{line}[/bold]" for line in lines)
