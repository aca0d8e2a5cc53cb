"""The commands of steps that train: train, select, explain; each takes a config or bare data."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ctrsel.cli.accounting import dropped_text
from ctrsel.cli.comparing_selectors import Comparison, compare, refuse_swallowed
from ctrsel.cli.groups import expand
from ctrsel.cli.help_texts import START, STEP, Out, examples
from ctrsel.cli.output import check_folder
from ctrsel.cli.ranking import MINIMAL, SHOWN, ranking_text
from ctrsel.cli.sizes import names_of, size_of, size_text
from ctrsel.cli.source import Source
from ctrsel.cli.speak import Say, aligned
from ctrsel.core.errors import ConfigError

if TYPE_CHECKING:
    from ctrsel.api.plan import Plan
    from ctrsel.train import Fit

__all__ = ["COMMANDS"]


@expand
def train(
    *,
    source: Source,
    learner: Annotated[
        list[str] | None,
        typer.Option(help="A learner: of the config, or net or boosted; repeatable. Default: the config's, else net."),
    ] = None,
    start: Annotated[str | None, typer.Option(help=START, show_default=False)] = None,
    out: Out = None,
    say: Say,
) -> None:
    """Train on all values, with early stopping on the validation rows; test rows are not read.

    The table is audited first: a suspected leak ends with exit code 3. OUT holds the model ('ctrsel predict' reads it),
    or one folder per learner.
    """
    with say.session() as speaker:
        extra = {} if source.configured or not learner else _learners(learner)
        if start is not None:
            extra["start"] = start
        with source.open(extra, bare=_learners(["net"])) as work:
            speaker.place = str(out or work.plan.out)
            work.audit()
            fits = work.train(learner)
            folders = {name: _place(out, name, fits) for name in fits}
            for name, fit in fits.items():
                folder = folders[name]
                if folder is not None:
                    fit.model.save(folder)
            result = {
                "models": [
                    {"learner": name, "out": folders[name], "digest": fit.model.digest, **_facts(fit)}
                    for name, fit in fits.items()
                ]
            }
            header = ["learner", "valid_auc", "valid_log_loss", "epochs", "parameters", "bytes", "seconds"]
            rows = [[name, *_facts(fit).values()] for name, fit in fits.items()]
            text = aligned(header, rows) + (f"\n\nsaved in {out}" if out is not None else "")
            speaker.show(result, text)


def _learners(names: list[str]) -> dict[str, Any]:
    return {"learners": {name: {"use": name} for name in names}, "select.learner": names[0]}


def _place(out: Path | None, name: str, fits: dict[str, Fit]) -> Path | None:
    if out is None:
        return None
    return out if len(fits) == 1 else out / name


def _facts(fit: Fit) -> dict[str, Any]:
    return {
        "valid_auc": float(fit.valid["auc"]),
        "valid_log_loss": float(fit.valid["log_loss"]),
        "epochs": fit.epochs,
        "parameters": fit.model.n_parameters,
        "bytes": fit.model.bytes_on_disk,
        "seconds": round(fit.seconds, 2),
    }


@expand
def select(
    *,
    source: Source,
    method: Annotated[
        list[str] | None,
        typer.Option(
            metavar="M[,M2]",
            help="Selectors (see 'ctrsel list'). Default: the config's, else gated and ranking.",
            show_default=False,
        ),
    ] = None,
    keep: Annotated[
        str | None,
        typer.Option(
            metavar="SHARE", help="Keep at most this share of the values: 20%, 0.2 (50%).", show_default=False
        ),
    ] = None,
    k: Annotated[
        int | None, typer.Option("--k", metavar="FIELDS", help="Keep so many fields.", show_default=False)
    ] = None,
    auto: Annotated[
        bool,
        typer.Option(
            "--auto", help="Keep the fewest values whose validation loss is within a standard error of the best size's."
        ),
    ] = False,
    always_keep: Annotated[
        list[str] | None, typer.Option(help="A field of which all values are kept; repeatable.", show_default=False)
    ] = None,
    never_use: Annotated[
        list[str] | None, typer.Option(help="A field that must not be used; repeatable.", show_default=False)
    ] = None,
    comparison: Comparison,
    out: Out = None,
    say: Say,
) -> None:
    """Choose fields and values, and retrain on the smaller table, beside the controls at the same size.

    The controls (random values, most frequent values) always run too. Of several selectors the first says how much all others
    keep at most: as much as it keeps itself. OUT holds, per selector, the feature set, the
    retrained model, and for what no control chose why each field and value went. Test rows are not read.

    With --compare selectors are compared under one protocol instead: all with one judge, one seed and three sizes, the best
    of them and the controls with all judges, seeds and sizes. OUT holds everything, and the same command goes on there.
    """
    with say.session() as speaker:
        comparing = comparison.compare is not None
        if comparing and (method or k is not None or auto):
            raise ConfigError("--compare: names the selectors itself, and sizes with --keep 10%,20%,50%")
        if not comparing:
            refuse_swallowed(comparison)
        if out is not None:
            check_folder(out)
        wishes = {
            "select.selectors": [{"use": name} for name in names_of(method, place="--method")] or None,
            "select.size": None if comparing else size_of(keep, k, auto),
            "select.always_keep": always_keep or None,
            "select.never_use": never_use or None,
        }
        extra = {k: v for k, v in wishes.items() if v is not None}
        with source.open(extra, bare={"rank": MINIMAL}) as work, contextlib.ExitStack() as alone:
            from ctrsel.api.cache import exclusive
            from ctrsel.api.plan import component_key

            speaker.place = str(out or work.plan.out)
            if out is not None and not comparing and not (work.saves and out.resolve() == work.plan.out.resolve()):
                alone.enter_context(exclusive(out))
            work.audit()
            if comparing:
                speaker.show(*compare(comparison, work, keep=keep, out=out))
                return
            outcomes = work.select()
            found, rows, dropped = [], [], []
            for name, (selector, outcome) in outcomes.items():
                features, folder = outcome.selection.features, None
                if out is not None:
                    folder = out / component_key(selector)
                    outcome.feature_set.save(folder / "feature_set")
                    outcome.fit.model.save(folder / "model")
                facts = {
                    "fields": len(features.fields),
                    "values": features.n_values,
                    "valid_auc": float(outcome.fit.valid["auc"]),
                    "valid_log_loss": float(outcome.fit.valid["log_loss"]),
                    "bytes": outcome.fit.model.bytes_on_disk,
                    "seconds": round(outcome.fit.seconds + outcome.selection.seconds, 2),
                }
                rows.append([name, *facts.values()])
                why = work.account(selector, outcome)
                if why is not None:
                    dropped.append(dropped_text(name, why))
                    if folder is not None:
                        why.save(folder / "account")
                told = {} if why is None else {"account": why.field_rows()}
                found.append({"name": name, "out": folder, "kept_fields": features.fields, **facts, **told})
            everything = {"fields": len(work.known.schema.names), "values": work.known.encoder.n_values}
            choice = work.size_choice()
            header = ["selection", "fields", "values", "valid_auc", "valid_log_loss", "bytes", "seconds"]
            text = [
                *([] if choice is None else [size_text(choice), ""]),
                aligned(header, rows),
                "",
                f"of {everything['fields']} fields and {everything['values']:,} values",
                *_held(rows, work.plan, values=everything["values"]),
                *(f"\n{lines}" for lines in dropped),
                *([f"saved in {out}"] if out is not None else []),
            ]
            tried = {} if choice is None else {"sizes": choice}
            speaker.show({"selections": found, "of": everything, **tried}, "\n".join(text))


def _held(rows: list[list[Any]], made: Plan, *, values: int) -> list[str]:
    """Say so where a later selector had less room than was asked for: all stand at the size of what the first one keeps."""
    chosen, wanted = rows[: len(made.selectors)], made.size
    if len(chosen) < 2 or wanted.auto:
        return []
    if wanted.fields is not None:
        kept, asked, what = chosen[0][1], wanted.fields, "fields"
    else:
        kept, asked, what = chosen[0][2], int(wanted.most * values + 1e-9), "values"
    if kept >= asked:
        return []
    return [
        f"{chosen[0][0]} keeps {kept:,} of the {asked:,} {what} asked for, and all others stand at its size; name another first, "
        "or each in a command of its own"
    ]


@expand
def explain(
    *,
    source: Source,
    model: Annotated[
        Path | None,
        typer.Option(help="Explain a saved model on DATA, which then needs no label.", show_default=False),
    ] = None,
    learner: Annotated[
        list[str] | None,
        typer.Option(help="Train and explain this learner; repeatable. Default: the config's, else boosted."),
    ] = None,
    max_rows: Annotated[int | None, typer.Option(help="Rows to explain.", show_default=False)] = None,
    out: Out = None,
    say: Say,
) -> None:
    """Attribute the log-odds of a sample of validation rows to the fields; the attributions add up, or it is an error."""
    with say.session() as speaker:
        from ctrsel.cli.explaining import explain_learners, explain_saved

        if model is not None:
            if source.configured:
                raise ConfigError("--model: explains a saved model on bare DATA, not on a config")
            speaker.place = str(out or "")
            found = {"model": explain_saved(model, source, rows=max_rows)}
        else:
            extra = {} if source.configured or not learner else _learners(learner)
            if max_rows is not None:
                extra |= {"explain.max_rows": max_rows, "explain.net_rows": max_rows}
            with source.open(extra, bare=_learners(["boosted"])) as work:
                speaker.place = str(out or work.plan.out)
                found = explain_learners(work, learner)
        text, result = [], []
        for name, explanation in found.items():
            ranking = explanation.to_ranking()
            folder = None if out is None else out if len(found) == 1 else out / name
            if folder is not None:
                explanation.save(folder)
            result.append(
                {
                    "model": name,
                    "method": explanation.method,
                    "rows": len(explanation.rows),
                    "checks": explanation.checks,
                    "unit": ranking.unit,
                    "fields": ranking.frame.sort("rank").to_dicts(),
                    "notes": explanation.notes,
                    "out": folder,
                }
            )
            checks = ", ".join(f"{k} {v:.2g}" for k, v in explanation.checks.items())
            text += [f"{name}: {explanation.method}, {len(explanation.rows)} rows ({ranking.unit}); checks: {checks}"]
            text += [ranking_text(ranking.frame.sort("rank").head(SHOWN)), ""]
        speaker.show({"explanations": result}, "\n".join(text).rstrip())


COMMANDS: tuple[tuple[str, Callable[..., None], str, str], ...] = (
    (
        "train",
        train,
        examples("ctrsel train clicks.parquet --label click --learner boosted --out model", "ctrsel train clicks.yaml"),
        STEP,
    ),
    (
        "select",
        select,
        examples(
            "ctrsel select clicks.parquet --label click --keep 30% --out small",
            "ctrsel select clicks.parquet --label click --method ranking --k 12",
            "ctrsel select clicks.yaml --auto",
            "ctrsel select clicks.yaml --compare gated,ranking --keep 10%,30%,60% --budget 1h",
        ),
        STEP,
    ),
    (
        "explain",
        explain,
        examples("ctrsel explain clicks.parquet --label click --out why", "ctrsel explain clicks.csv --model model"),
        STEP,
    ),
)
