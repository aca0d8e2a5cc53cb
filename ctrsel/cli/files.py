"""The commands around finished files: report, and the list of what can be named in a config."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from ctrsel.cli.groups import expand
from ctrsel.cli.help_texts import examples
from ctrsel.cli.speak import Say, plain
from ctrsel.cli.whole import run_result, stored_review
from ctrsel.core.errors import unknown_name

__all__ = ["COMMANDS"]

_CATALOGS = {
    "rankers": "ctrsel.rank",
    "learners": "ctrsel.train",
    "backbones": "ctrsel.models.backbones",
    "gates": "ctrsel.models.gates",
    "steps": "ctrsel.train.steps",
    "selectors": "ctrsel.select",
    "explainers": "ctrsel.explain",
    "checks": "ctrsel.data.audit",
}


@expand
def report(
    *,
    run: Annotated[
        Path, typer.Argument(metavar="RUN_DIR|CONFIG", help="A finished run's folder, or the config it was run by.")
    ],
    rewrite: Annotated[bool, typer.Option("--rewrite", help="Write the page again from the finished stages.")] = False,
    say: Say,
) -> None:
    """Print the final table of a finished run and where its report is; write the page again where it is gone."""
    with say.session() as speaker:
        from ctrsel.records.run import Run
        from ctrsel.report.summary import summary_table

        folder = run
        if run.suffix.lower() in (".yaml", ".yml"):
            from ctrsel.core.config import load_config

            config = load_config(run)
            folder = Path(config.out or f"runs/{config.name}")
        record = Run.load(folder / "run")
        speaker.place = str(folder)
        page = folder / "report.html"
        written = rewrite or not page.is_file()
        if written:
            record = _rewrite(record.config, folder)
        text = summary_table(record, report=page, review=stored_review(folder)) + (
            "\nthe report was written again" if written else ""
        )
        speaker.show(run_result(record, folder), text)


def _rewrite(config: Any, folder: Path) -> Any:
    """Do the run again, of which every finished stage is reused."""
    from ctrsel.api.run import run as whole_run
    from ctrsel.core.building import build
    from ctrsel.core.config import RunConfig

    made = build(RunConfig, config, place=f"{folder}/run")
    quiet = dataclasses.replace(made.register, require_promotion=False)
    # The folder may have been moved since; where it was not, the config stays as it is, since it is part of the digest.
    moved = Path(made.out or f"runs/{made.name}").resolve() != folder.resolve()
    return whole_run(dataclasses.replace(made, out=str(folder) if moved else made.out, register=quiet)).run


@expand
def list_components(
    *,
    kind: Annotated[
        str | None, typer.Argument(metavar="[KIND]", help=f"One of: {', '.join(_CATALOGS)}.", show_default=False)
    ] = None,
    say: Say,
) -> None:
    """List what can be named in a config after 'use': each component with its parameters and their defaults."""
    with say.session() as speaker:
        if kind is not None and kind not in _CATALOGS:
            raise unknown_name("kind", kind, _CATALOGS, place="ctrsel list")
        found: dict[str, list[dict[str, Any]]] = {}
        lines = []
        for title in [kind] if kind is not None else list(_CATALOGS):
            catalog = importlib.import_module(_CATALOGS[title]).CATALOG
            found[title] = [_describe(name, catalog.load(name)) for name in catalog.names()]
            lines.append(title)
            for entry in found[title]:
                lines.append(f"  {entry['use']}: {entry['summary']}")
                lines += [f"      {name} = {value}" for name, value in entry["parameters"].items()]
            lines.append("")
        speaker.show(found, "\n".join(lines).rstrip())


def _describe(name: str, component: type) -> dict[str, Any]:
    text = inspect.getdoc(component) or ""
    # A class may say no more than that it holds parameters; then its module says what it is.
    if text.startswith("Parameters of"):
        text = inspect.getdoc(inspect.getmodule(component)) or text
    first = " ".join(text.split("\n\n")[0].split())
    parameters = {}
    for f in dataclasses.fields(component):
        value = f.default
        if f.default_factory is not dataclasses.MISSING:
            value = f.default_factory()
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            from ctrsel.core.catalog import describe

            value = describe(value)["use"]
        parameters[f.name] = "(required)" if value is dataclasses.MISSING else plain(value)
    return {"use": name, "summary": first, "parameters": parameters}


_AROUND = "Finished runs and models"
COMMANDS: tuple[tuple[str, Callable[..., None], str, str], ...] = (
    ("report", report, examples("ctrsel report runs/clicks", "ctrsel report runs/clicks --rewrite --json"), _AROUND),
    ("list", list_components, examples("ctrsel list", "ctrsel list gates --json"), _AROUND),
)
