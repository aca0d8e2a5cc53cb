"""Comparing selectors: what `ctrsel select --compare` is told, says and writes."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ctrsel.cli.sizes import names_of
from ctrsel.cli.speak import aligned
from ctrsel.core.errors import ConfigError

if TYPE_CHECKING:
    from ctrsel.cli.work import Work
    from ctrsel.records.selection_comparison import SelectionComparison

__all__ = ["Comparison", "compare", "refuse_swallowed"]

_PANEL = "Comparing selectors (with --compare)"
PAGE = "selection"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Who is compared, by whom, and how far."""

    compare: Annotated[
        str | None,
        typer.Option(
            metavar="M[,M2,...]|all",
            help="Compare these selectors with each other and with the controls; --keep then takes several sizes: "
            "10%,20%,50%. Test rows are read after one was named by validation.",
            rich_help_panel=_PANEL,
            show_default=False,
        ),
    ] = None
    budget: Annotated[
        str | None,
        typer.Option(
            help="Wall-clock time, such as 10m or 1h30m; what does not fit is 'not run', and the same command goes on.",
            rich_help_panel=_PANEL,
            show_default=False,
        ),
    ] = None
    judge: Annotated[
        list[str] | None,
        typer.Option(
            help="DeepFM, DCN-V2, LightGBM (all three), or a learner of the config; repeatable.",
            rich_help_panel=_PANEL,
            show_default=False,
        ),
    ] = None
    workers: Annotated[
        int,
        typer.Option(help="Trainings and searches at once, each in a process of its own.", rich_help_panel=_PANEL),
    ] = 1
    seeds: Annotated[int, typer.Option(help="Of the second stage, paired.", rich_help_panel=_PANEL)] = 5
    best: Annotated[int, typer.Option(help="Selectors that go on to it.", rich_help_panel=_PANEL)] = 4
    margin: Annotated[float, typer.Option(help="Of non-inferiority, in AUC.", rich_help_panel=_PANEL)] = 0.002
    fields: Annotated[
        bool, typer.Option("--fields", help="Sizes are shares of the fields, not values.", rich_help_panel=_PANEL)
    ] = False
    here: Annotated[
        bool,
        typer.Option(
            "--here",
            help="Search in this process: quicker for small tables, memory less exact.",
            rich_help_panel=_PANEL,
        ),
    ] = False


def refuse_swallowed(asked: Comparison) -> None:
    """Refuse options that say how selectors are compared where none are.

    Raises:
        ConfigError: If one is given.
    """
    for option in dataclasses.fields(asked):
        if getattr(asked, option.name) != option.default:
            raise ConfigError(f"--{option.name}: says how selectors are compared; add --compare")


def compare(asked: Comparison, work: Work, *, keep: str | None, out: Path | None) -> tuple[dict[str, Any], str]:
    """Compare, write what there is to be written, and return the values and the text.

    Args:
        asked: The options.
        work: The data and the config.
        keep: The sizes, shares with commas between them; None for the usual ones.
        out: Where everything is kept; None for a folder in the run's.
    """
    from ctrsel.api.comparing import compare_selectors
    from ctrsel.api.contestants import every_selector
    from ctrsel.api.judges import judges_of
    from ctrsel.api.min_counts import COUNTS
    from ctrsel.api.protocol import SHARES, Protocol
    from ctrsel.api.tuning import read_budget
    from ctrsel.report.selection_comparison import write_comparison

    config, plan = work.plan.config, work.plan
    names = every_selector() if asked.compare == "all" else names_of([str(asked.compare)], place="--compare")
    if asked.seeds < 1:
        raise ConfigError(f"--seeds: must be at least 1, got {asked.seeds}")
    if out is None and not work.saves:
        raise ConfigError("--compare: name a folder for what is measured with --out; the same command goes on there")
    protocol = Protocol(
        judges=judges_of(plan.learners, preferred=config.select.learner, names=asked.judge or ()),
        learner=plan.learner,
        seeds=tuple(config.seed + i for i in range(asked.seeds)),
        best=asked.best,
        unit="fields" if asked.fields else "values",
        margin=asked.margin,
        always_keep=config.select.always_keep,
        groups=config.select.groups,
        apart=not asked.here,
        # Who says from how many rows on a value counts is not asked again.
        min_counts=COUNTS if config.ingest.min_count == 1 else (),
        shares=SHARES if keep is None else _shares(keep),
    )
    folder = out if out is not None else plan.out / "compare"
    found = compare_selectors(
        work.usable,
        selectors=names,
        protocol=protocol,
        folder=folder,
        budget=None if asked.budget is None else read_budget(asked.budget),
        name=config.name,
        workers=asked.workers,
    )
    page = folder / "page"
    write_comparison(found, folder=page, name=PAGE)
    run = None
    if config.register.enabled and (work.saves or config.register.tracking_uri is not None):
        from ctrsel.register.comparisons import log_comparison

        run = log_comparison(found, files=page, config=config.register, out=plan.out)
    values = {"out": folder, "page": page / f"{PAGE}.md", "mlflow_run": run, "comparison": found.to_dict()}
    return values, _text(found, page / f"{PAGE}.md")


def _shares(keep: str) -> tuple[float, ...]:
    from ctrsel.select.wanted import share_of

    shares = []
    for text in keep.split(","):
        share = share_of(text)
        if share is None:
            raise ConfigError(f"--keep: expected shares such as 10%,20%,50%, got {text!r}")
        shares.append(share)
    return tuple(sorted(set(shares)))


def _text(found: SelectionComparison, page: Path) -> str:
    from ctrsel.report.selection_comparison import verdict_at

    naming = found.naming
    rows = []
    for c in found.contestants:
        curves = [found.curve(c.name, judge, "valid") for judge in found.judges]
        areas = ["-" if curve is None or curve.area is None else f"{curve.area:.4f}" for curve in curves]
        seconds = list(c.seconds.values())
        told = c.refused or ("named" if c.name == naming.selector else "")
        spent = f"{sum(seconds) / len(seconds):.1f}" if seconds else "-"
        first = "-" if c.screened is None else f"{c.screened:.4f}"
        rows.append([c.name, c.role, first, *areas, spent, told])
    head = ["contestant", "role", "first stage", *(f"area, {j}" for j in found.judges), "seconds", ""]
    lines = ["areas under AUC against size, on the validation rows", aligned(head, rows), ""]
    if naming.selector is not None:
        for judge in found.judges:
            for share in found.shares:
                said = verdict_at(found, naming.selector, share, judge)
                lines.append(f"{naming.selector} at {share:.0%}, {judge}: {said}")
    lines += [f"note: {note}" for note in found.notes]
    return "\n".join([*lines, "", f"table and drawing: {page}"])
