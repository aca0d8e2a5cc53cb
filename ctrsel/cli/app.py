"""The program `ctrsel`: its commands, its exit codes, and what happens when it is interrupted."""

from __future__ import annotations

import contextlib
import inspect
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import Annotated, Any

import typer

from ctrsel.cli import (
    accounting,
    auditing,
    delivering,
    exporting,
    files,
    ingesting,
    learned,
    progressive,
    ranking,
    reviewing,
    serving,
    tuning,
    whole,
)
from ctrsel.cli.failure import Terminated
from ctrsel.cli.help_texts import EXITS
from ctrsel.cli.speak import fail
from ctrsel.core.errors import ConfigError
from ctrsel.core.launch import Launch

__all__ = ["app", "interruptible", "main"]

_USAGE_ERROR: Any = typer.BadParameter.__bases__[0]  # typer brings its own copy of click, which has no public name

app = typer.Typer(
    name="ctrsel",
    help="Feature selection and AutoML for click-through-rate and other sparse, categorical, binary-outcome tables.\n\n"
    "From a raw table to a smaller, explained, registered model: ingest, audit, rank, train, select, explain, report.",
    epilog="Start with: [bold]ctrsel init clicks.parquet --label click[/bold], then [bold]ctrsel run clicks.yaml[/bold]\n\n"
    "Results go to standard output, logs and progress to standard error.\n\n" + EXITS,
    rich_markup_mode="rich",
    add_completion=False,
    no_args_is_help=False,
    pretty_exceptions_enable=False,
)


def _flowing(command: Callable[..., None]) -> str:
    """Return a command's docstring with each paragraph on one line, for the terminal to wrap."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in (inspect.getdoc(command) or "").split("\n\n"))


for module in (
    whole,
    tuning,
    ingesting,
    auditing,
    ranking,
    learned,
    progressive,
    files,
    reviewing,
    delivering,
    serving,
    exporting,
    accounting,
):
    for name, command, epilog, panel in module.COMMANDS:
        app.command(
            name,
            help=_flowing(command),
            short_help=_flowing(command).split(": ")[0].split("; ")[0].split("\n")[0].rstrip("."),
            epilog=epilog,
            rich_help_panel=panel,
        )(command)


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        import ctrsel

        print(f"ctrsel {ctrsel.__version__}")  # noqa: T201  # the command's output
    elif context.invoked_subcommand is None:
        context.get_help()  # with rich markup it prints as it goes


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program and return its exit code.

    Of several processes that a launcher such as `torchrun` started, the first one runs it; see `ctrsel.together`.

    Args:
        argv: The arguments; None for the process's own.
    """
    if Launch.of() is None:
        return _main(argv)
    from ctrsel.train.together import together

    return together(lambda: _main(argv)) or 0


def _main(argv: Sequence[str] | None) -> int:
    args = list(sys.argv[1:] if argv is None else argv)
    json_to = sys.stdout if "--json" in args else None
    with interruptible():
        try:
            code = app(args=args, standalone_mode=False, prog_name="ctrsel")
            sys.stdout.flush()
            return int(code or 0)
        except typer.Exit as stop:
            return int(stop.exit_code)
        except SystemExit as stop:  # the reader of our output has gone (`ctrsel --help | head`)
            return int(stop.code or 0)
        except typer.Abort:
            return fail(KeyboardInterrupt(), json_to=json_to)
        except _USAGE_ERROR as error:
            return fail(ConfigError(_usage(error, args)), json_to=json_to)
        except BaseException as error:  # the last place that can say what happened
            return fail(error, json_to=json_to)


def _usage(error: BaseException, args: Sequence[str]) -> str:
    context = getattr(error, "ctx", None)
    message = error.format_message() if hasattr(error, "format_message") else str(error)
    sentence = " ".join(message.split()).rstrip(".") or "the arguments cannot be read"
    where = context.command_path if context is not None else "ctrsel"
    # A value of the wrong type: say which one.
    for option in getattr(getattr(error, "param", None), "opts", ()):
        at = args.index(option) if option in args else len(args)
        if at + 1 < len(args) and repr(args[at + 1]) not in sentence:
            sentence += f", got {args[at + 1]!r}"
    return f"{where}: {sentence[0].lower()}{sentence[1:]}; see '{where} --help'"


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Let SIGTERM clean up like Ctrl-C; without this a killed run would leave half-written files behind."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        raise Terminated

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
