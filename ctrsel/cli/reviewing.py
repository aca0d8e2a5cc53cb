"""The commands around registered versions: review, compare, promote, rollback."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ctrsel.cli.groups import expand
from ctrsel.cli.help_texts import examples
from ctrsel.cli.speak import Say

if TYPE_CHECKING:
    from ctrsel.api.named_rows import Rows
    from ctrsel.register.versions import VersionFacts

__all__ = ["COMMANDS"]

_ROWS = "On which rows"
_NAME = "MODEL (its newest version), MODEL@alias or MODEL/version."
_STORE = "Address of the registry, or a run's folder that keeps its own; else MLFLOW_TRACKING_URI."


@dataclass(frozen=True, slots=True, kw_only=True)
class On:
    """Rows to score versions on."""

    on: Annotated[
        str | None,
        typer.Option(
            metavar="DATA|CONFIG",
            help="Rows with outcomes: a file, a quoted pattern or a URI; or a run's config, which knows the delay.",
            rich_help_panel=_ROWS,
            show_default=False,
        ),
    ] = None
    newest: Annotated[
        str | None,
        typer.Option(
            help="Only the newest: 7d, 12h, or a number where time is one.", rich_help_panel=_ROWS, show_default=False
        ),
    ] = None
    as_of: Annotated[
        str | None, typer.Option(help="Later rows do not exist yet.", rich_help_panel=_ROWS, show_default=False)
    ] = None
    delay: Annotated[
        str | None,
        typer.Option(help="How long an outcome may take (7d).", rich_help_panel=_ROWS, show_default=False),
    ] = None
    format: Annotated[
        str | None, typer.Option(help="If the ending does not say.", rich_help_panel=_ROWS, show_default=False)
    ] = None
    by: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN",
            help="Compare by its values of 20 rows or more as well; repeatable.",
            rich_help_panel=_ROWS,
            show_default=False,
        ),
    ] = None

    def rows(self) -> Rows:
        """Return them as the functions take them."""
        from ctrsel.api.named_rows import Rows

        return Rows(
            data=self.on,
            newest=self.newest,
            as_of=self.as_of,
            delay=self.delay,
            format=self.format,
            segments=tuple(self.by or ()),
        )


@expand
def review(
    *,
    model: Annotated[str, typer.Argument(metavar="MODEL[@alias|/version]", help=_NAME)],
    on: On,
    store: Annotated[str | None, typer.Option(help=_STORE, show_default=False)] = None,
    say: Say,
) -> None:
    """Say of a registered version what its page says: check, differences to the champion, data, costs, log.

    Without --on the comparison is the one of its own run's test rows; with it both versions are scored on the rows given.
    """
    with say.session() as speaker:
        from ctrsel.api.reviewing import review_version
        from ctrsel.report.review import log_text, review_text

        facts, found, log = review_version(model, store=store, rows=on.rows())
        title = _title(facts)
        text = (
            review_text(found, title=title, log=log)
            if found is not None
            else "\n".join(
                [title, "registered without a review", "", *facts.description.splitlines(), log_text(log[-5:])]
            )
        )
        shown = None if found is None else found.to_dict()
        speaker.show({**_facts(facts), "review": shown, "log": log}, text)


@expand
def compare(
    *,
    first: Annotated[str, typer.Argument(metavar="A", help=f"The one to compare with: {_NAME}")],
    second: Annotated[str, typer.Argument(metavar="B", help="The other one.")],
    on: On,
    store: Annotated[str | None, typer.Option(help=_STORE, show_default=False)] = None,
    say: Say,
) -> None:
    """Score two registered versions on the same rows: B minus A, with paired intervals, by segment, with drift."""
    with say.session() as speaker:
        from ctrsel.api.reviewing import compare_versions
        from ctrsel.report.review import comparison_text

        a, b, found = compare_versions(first, second, rows=on.rows(), store=store)
        names = (f"{a.name}/{a.version}", f"{b.name}/{b.version}")
        speaker.show(
            {"first": _facts(a), "second": _facts(b), "comparison": found.to_dict()},
            comparison_text(found, names=names),
        )


@expand
def promote(
    *,
    model: Annotated[str, typer.Argument(metavar="MODEL/VERSION", help="Or MODEL@alias.")],
    reason: Annotated[str, typer.Option(help="Why; goes into the log.")],
    force: Annotated[
        bool, typer.Option("--force", help="Although rules failed; they are written down with the reason.")
    ] = False,
    on: On,
    store: Annotated[str | None, typer.Option(help=_STORE, show_default=False)] = None,
    say: Say,
) -> None:
    """Make a version the champion; refused with exit code 4 if its promotion check fails.

    A fresh process must load the version and predict its stored example. Where the champion is another one than the check
    was made against, --on makes it anew.
    """
    with say.session() as speaker:
        from ctrsel.api.reviewing import promote as promoted
        from ctrsel.report.review import log_text

        entry = promoted(model, reason=reason, force=force, rows=on.rows(), store=store)
        speaker.show({"entry": entry}, log_text([entry]))


@expand
def rollback(
    *,
    model: Annotated[str, typer.Argument(metavar="MODEL", help="The registered model.")],
    reason: Annotated[str, typer.Option(help="Why; goes into the log.")],
    to: Annotated[
        int | None, typer.Option(help="Which version, else the champion of before.", show_default=False)
    ] = None,
    store: Annotated[str | None, typer.Option(help=_STORE, show_default=False)] = None,
    say: Say,
) -> None:
    """Make the champion of before champion again: at once, with no other condition than a reason."""
    with say.session() as speaker:
        from ctrsel.api.reviewing import rollback as rolled_back
        from ctrsel.report.review import log_text

        entry = rolled_back(model, reason=reason, to=to, store=store)
        speaker.show({"entry": entry}, log_text([entry]))


def _facts(facts: VersionFacts) -> dict[str, Any]:
    found = asdict(facts)
    found["check"] = None if facts.check is None else facts.check.to_dict()
    return found


def _title(facts: VersionFacts) -> str:
    held = f" ({', '.join(facts.aliases)})" if facts.aliases else ""
    champion = "there is no champion" if facts.champion is None else f"champion: version {facts.champion}"
    return f"{facts.name}, version {facts.version}{held}; {champion}"


_REGISTRY = "Registered versions"
COMMANDS: tuple[tuple[str, Callable[..., None], str, str], ...] = (
    (
        "review",
        review,
        examples("ctrsel review clicks", "ctrsel review clicks@champion --on 'log/*.parquet' --newest 7d --by site"),
        _REGISTRY,
    ),
    ("compare", compare, examples("ctrsel compare clicks@champion clicks/7 --on june.parquet"), _REGISTRY),
    ("promote", promote, examples("ctrsel promote clicks/7 --reason 'better on mobile'"), _REGISTRY),
    ("rollback", rollback, examples("ctrsel rollback clicks --reason 'clicks fell by a tenth'"), _REGISTRY),
)
