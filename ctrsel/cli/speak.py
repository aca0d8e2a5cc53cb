"""Speaking: results on standard output, everything else on standard error."""

from __future__ import annotations

import contextlib
import json
import math
import os
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, is_dataclass
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer

from ctrsel.cli.failure import failure
from ctrsel.core.log import configure

__all__ = ["Say", "Speaker", "aligned", "fail", "plain"]

_PANEL = "How it speaks"


class Speaker:
    """Writes a command's one result.

    Args:
        as_json: One JSON object in place of the text.
        stream: Standard output, kept from everything else.
    """

    def __init__(self, *, as_json: bool, stream: TextIO) -> None:
        self.as_json = as_json
        self.stream = stream
        self.spoken = False
        self.place = ""  # what is being written, for errors that do not name it

    def show(self, result: Mapping[str, Any], text: str) -> None:
        """Write the result: the object with --json, else the text."""
        self.spoken = True
        print(json.dumps(plain(result), allow_nan=False) if self.as_json else text, file=self.stream, flush=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Say:
    """How a command speaks."""

    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print one JSON object on standard output.", rich_help_panel=_PANEL),
    ] = False
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Log warnings only, no progress.", rich_help_panel=_PANEL)
    ] = False
    log_json: Annotated[
        bool, typer.Option("--log-json", help="Log one JSON object a line.", rich_help_panel=_PANEL)
    ] = False

    @contextlib.contextmanager
    def session(self) -> Iterator[Speaker]:
        """Speak for the length of a command; whatever goes wrong ends in one sentence and an exit code."""
        configure(as_json=self.log_json, quiet=self.quiet)
        speaker = Speaker(as_json=self.as_json, stream=sys.stdout)
        try:
            # A library that prints must not spoil the result.
            with contextlib.redirect_stdout(sys.stderr):
                yield speaker
        except typer.Exit:
            raise
        except BaseException as error:
            stream = speaker.stream if self.as_json and not speaker.spoken else None
            raise typer.Exit(fail(error, json_to=stream, place=speaker.place)) from error


def fail(error: BaseException, *, json_to: TextIO | None, place: str = "") -> int:
    """Say what went wrong and return the exit code.

    Args:
        error: What was raised.
        json_to: Where the JSON object goes; None for none.
        place: What was being written.
    """
    found = failure(error, place=place)
    with contextlib.suppress(BrokenPipeError):
        if found.defect:
            traceback.print_exception(error, file=sys.stderr)
        if found.sentence is not None:
            print(f"error: {found.sentence}", file=sys.stderr, flush=True)  # noqa: T201  # the one sentence
        if json_to is not None and found.sentence is not None:
            print(json.dumps({"error": found.sentence, "exit_code": found.code}), file=json_to, flush=True)
    if found.sentence is None:
        # The interpreter flushes standard output at exit, which would complain once more.
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.__stdout__.fileno() if sys.__stdout__ else 1)
    return found.code


def aligned(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Lay out rows under a header, numbers to the right, without lines that a pipe would have to skip.

    A character that is none for a terminal, such as a line's end in a field's name, stands as a dot.

    Examples:
        >>> print(aligned(["field", "score"], [["ad", 0.51234], ["site", 12]]))
        field   score
        ad     0.5123
        site       12
    """
    cells = [[_cell(v) for v in row] for row in rows]
    numeric = [all(isinstance(row[j], int | float) or row[j] is None for row in rows) for j in range(len(header))]
    widths = [max(len(header[j]), *(len(c[j]) for c in cells), 0) for j in range(len(header))]
    lines = []
    for line in [list(header), *cells]:
        parts = [c.rjust(w) if right else c.ljust(w) for c, w, right in zip(line, widths, numeric, strict=True)]
        lines.append("  ".join(parts).rstrip())
    return "\n".join(lines)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        return ", ".join(map(_cell, value))
    if isinstance(value, int):
        return f"{value:,}"
    text = str(value)
    return text if text.isprintable() else "".join(c if c.isprintable() else "\u00b7" for c in text)


def plain(value: Any) -> Any:
    """Return plain values for JSON: numpy numbers as numbers, records as objects, NaN and infinities as null."""
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(v) for v in value]
    if is_dataclass(value) and not isinstance(value, type):
        import dataclasses

        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
