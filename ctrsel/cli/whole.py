"""The commands of a whole run: init writes a config, run does what it says."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ctrsel.cli.groups import expand
from ctrsel.cli.help_texts import EXITS, START, examples
from ctrsel.cli.speak import Say, Speaker
from ctrsel.core.errors import ConfigError, PromotionRefusedError, RefusedError, UnreachableError

if TYPE_CHECKING:
    from ctrsel.core.config import RunConfig
    from ctrsel.records.review import Review
    from ctrsel.records.run import Run

__all__ = ["COMMANDS", "run_result", "stored_review"]


@expand
def init(
    *,
    data: Annotated[str, typer.Argument(metavar="DATA", help="A file or a quoted pattern.")],
    label: Annotated[str, typer.Option("--label", "-l", help="The label column.")],
    positive: Annotated[
        str | None, typer.Option(help="Its positive value; known for 0/1, yes/no, ...", show_default=False)
    ] = None,
    valid: Annotated[str | None, typer.Option(help="Validation file.", show_default=False)] = None,
    test: Annotated[str | None, typer.Option(help="Test file.", show_default=False)] = None,
    format: Annotated[str | None, typer.Option(help="If the ending does not say.", show_default=False)] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="The config; '-' prints it. Default: DATA's name with .yaml.", show_default=False
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a config that is there.")] = False,
    say: Say,
) -> None:
    """Write a commented config with the schema that the data suggest.

    A sample of the rows is read. Every field gets a line with its kind, distinct values and missing share; columns
    that look like ids, times, groups or weights are pointed out in comments, never decided.
    """
    with say.session() as speaker:
        from ctrsel.api.starter import starter_config
        from ctrsel.core.artifact import atomic_text

        target = out or Path(f"{Path(data).name.split('.')[0].strip('*?[]-_ ') or 'data'}.yaml")
        shown = str(target) == "-"
        if not shown and target.exists() and not force:
            raise ConfigError(f"{target}: is there already; choose another --out, or replace it with --force")
        speaker.place = str(target)
        text = starter_config(data, label, positive=positive, valid=valid, test=test, format=format)
        if not shown:
            atomic_text(target, text)
        result = {"config": None if shown else str(target), "text": text}
        speaker.show(
            result, text.rstrip("\n") if shown else f"{target} written; read it, then: ctrsel run {target} --dry-run"
        )


@expand
def run(
    *,
    config: Annotated[
        Path | None, typer.Argument(metavar="CONFIG", help="The config (.yaml).", show_default=False)
    ] = None,
    config_option: Annotated[Path | None, typer.Option("--config", "-c", help="The same.", show_default=False)] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print rows, values, bytes, memory and time per stage; do nothing.")
    ] = False,
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Set a key of the config; repeatable.", show_default=False),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="The run's folder, else the config's or runs/NAME.", show_default=False),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Of everything drawn, else the config's.", show_default=False)
    ] = None,
    start: Annotated[str | None, typer.Option(help=START, show_default=False)] = None,
    tuned: Annotated[
        Path | None,
        typer.Option(
            help="Take the learners that 'ctrsel tune' preferred, from its folder or file.", show_default=False
        ),
    ] = None,
    say: Say,
) -> None:
    """Do the whole way: ingest, audit, rank, train, select, retrain, evaluate, explain, report, register.

    A stage whose inputs have not changed since an earlier run in the same folder is reused; after an interruption the
    same command goes on from the last finished stage.
    """
    with say.session() as speaker:
        from ctrsel.cli.source import settings
        from ctrsel.core.config import load_config

        if (config is None) == (config_option is None):
            raise ConfigError(f"name one config (.yaml), got {'none' if config is None else 'two'}")
        given = {"out": None if out is None else str(out), "seed": seed, "start": start}
        overrides = {**{k: v for k, v in given.items() if v is not None}, **settings(assignments or [])}
        made = load_config(config or config_option or "", overrides=overrides)
        speaker.place = made.out or f"runs/{made.name}"
        if tuned is not None:
            from ctrsel.api.preferred import tuned_config

            made = tuned_config(made, tuned)
        if dry_run:
            from ctrsel.api.estimate import estimate
            from ctrsel.cli.estimated import estimate_text

            found = estimate(made)
            speaker.show(found.to_dict(), estimate_text(found))
            return
        _run(made, speaker)


def _run(config: RunConfig, speaker: Speaker) -> None:
    from ctrsel.api.run import run as whole_run
    from ctrsel.records.run import Run
    from ctrsel.report.summary import summary_table

    refused: PromotionRefusedError | UnreachableError | RefusedError | None = None
    out = Path(config.out or f"runs/{config.name}")
    try:
        done = whole_run(config)
        record, review = done.run, done.review
    except PromotionRefusedError as error:
        # Everything is written by now, so the reader gets the table and the refusal.
        record, review, refused = Run.load(out / "run"), stored_review(out), error
    except (UnreachableError, RefusedError) as error:
        if not error.result:  # it came before the run was finished
            raise
        record, refused = Run.load(out / "run"), error
        review = stored_review(out)
    result = run_result(record, out)
    if refused is not None:
        result |= {"error": str(refused), "exit_code": refused.exit_code, **refused.result}
    speaker.show(
        result, "\n".join([summary_table(record, report=out / "report.html", review=review), *_footer(record, out)])
    )
    if refused is not None:
        raise refused


def stored_review(out: Path) -> Review | None:
    """Return the review that lies in a run's folder, None if there is none."""
    from ctrsel.core.artifact import MANIFEST
    from ctrsel.records.review import Review

    return Review.load(out / "review") if (out / "review" / MANIFEST).is_file() else None


def run_result(record: Run, out: Path) -> dict[str, Any]:
    """Return a run as the one JSON object."""
    whole = record.to_dict()
    return {
        "name": record.name,
        "out": str(out),
        "report": str(out / "report.html"),
        "model": str(out / "model"),
        "feature_set": str(out / "feature_set"),
        "verdict": whole["verdict"],
        "contenders": whole["contenders"],
        "registration": whole["registration"],
        "table": whole["table"],
        "stages": whole["stages"],
        "digest": record.digest,
    }


def _footer(record: Run, out: Path) -> list[str]:
    """Say where the files are and what was not done again, in the layout of the table above it."""
    reused = [str(s["name"]) for s in record.stages if s["reused"]]
    if not reused:
        stages = (
            f"{len(record.stages)}, all done now; the same command reuses them while nothing they depend on changes"
        )
    else:
        stages = f"{len(record.stages)}, of which {len(reused)} were reused, since nothing they depend on has changed"
        if len(reused) < len(record.stages):
            stages += f"; done now: {', '.join(str(s['name']) for s in record.stages if not s['reused'])}"
    lines = {"files": str(out), "stages": stages}
    return [
        textwrap.fill(
            text,
            120,
            initial_indent=f"{name:<9}",
            subsequent_indent=" " * 9,
            break_long_words=False,
            break_on_hyphens=False,
        )
        for name, text in lines.items()
    ]


_NEW = "A whole run"
COMMANDS: tuple[tuple[str, Callable[..., None], str, str], ...] = (
    (
        "init",
        init,
        examples("ctrsel init clicks.parquet --label click", "ctrsel init 'log/day-*.csv' -l click -o clicks.yaml"),
        _NEW,
    ),
    (
        "run",
        run,
        examples(
            "ctrsel run clicks.yaml --dry-run",
            "ctrsel run clicks.yaml",
            "ctrsel run clicks.yaml --set select.size=0.3 --out runs/small",
        )
        + "\n\n"
        + EXITS,
        _NEW,
    ),
)
