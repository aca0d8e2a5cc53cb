"""The command that ranks fields, and pairs of fields; and a ranking as text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ctrsel.cli.comparing import PAGE, Compare, With, check_enough, check_out, compared, read_saved, write_comparison
from ctrsel.cli.groups import expand
from ctrsel.cli.help_texts import STEP, examples
from ctrsel.cli.output import write_frame
from ctrsel.cli.source import Source
from ctrsel.cli.speak import Say, Speaker, aligned

if TYPE_CHECKING:
    from ctrsel.data.table import Table
    from ctrsel.records.ranking import Ranking

__all__ = ["COMMANDS", "MINIMAL", "SHOWN", "ranking_text"]

SHOWN = 40  # lines of a ranking on the terminal
PAIRS = "interactions"  # the ranker of --pairs
MINIMAL = [{"use": "mutual_information"}]  # what bare data are ranked by unless something else is asked for


@expand
def rank(
    *,
    source: Source,
    by: Annotated[
        list[str] | None,
        typer.Option(help="A ranker (see 'ctrsel list'); repeatable. Default: the config's, else mutual_information."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="ranking.parquet, .csv, .tsv, .arrow, .json, or a folder.", show_default=False
        ),
    ] = None,
    pairs: Annotated[
        str | None,
        typer.Option(
            help="Rank pairs of fields too, by 'interactions': auto (screened on a sample of rows where all rows would "
            "take long), or all (says first what it takes).",
            metavar="auto|all",
            show_default=False,
        ),
    ] = None,
    compare: Compare = False,
    saved: With = None,
    say: Say,
) -> None:
    """Rank the fields; training rows score, validation rows check, test rows are not read.

    The result has the columns field, score and rank, and the evidence of its method. Several rankers are stacked, with
    a column that names the method. --pairs ranks pairs of fields beside the rankers of --by. With --compare it also
    says how much the rankings agree.
    """
    with say.session() as speaker:
        compare = compare or bool(saved)
        data = not saved or source.data is not None or source.config is not None
        check_out(out, compare=compare, data=data)
        others = read_saved(saved or ())
        if not data:
            _compare_saved(others, out, speaker)
            return
        wanted: list[dict[str, Any]] = [{"use": name} for name in by or () if pairs is None or name != PAIRS]
        if pairs is not None:
            wanted.append({"use": PAIRS, "pairs": pairs})
        # Nothing is selected here, so that a selector by a ranking that was not asked for is no mistake.
        extra: dict[str, Any] = {"rank": wanted, "select.selectors": [{"use": "gated"}]} if wanted else {}
        with source.open(extra, bare={"rank": MINIMAL}) as work:
            import polars as pl

            speaker.place = str(out or work.plan.out)
            if pairs == "all":
                typer.echo(_pair_cost(work.table), err=True)
            if compare:
                check_enough(len(work.plan.rankers) + len(others))
            rankings = work.rank()
            found, told, agreed = compared(rankings, others) if compare else (None, None, "")
            if found is not None and out is not None:
                write_comparison(found, out)
            if out is not None and out.suffix.lower() == PAGE:
                pass  # the page is about the agreement; the rankings themselves are on standard output
            elif out is not None and out.suffix:
                stacked = [r.frame.select(pl.lit(r.method).alias("method"), pl.all()) for r in rankings]
                write_frame(pl.concat(stacked, how="diagonal_relaxed") if len(stacked) > 1 else rankings[0].frame, out)
            elif out is not None:
                for ranking in rankings:
                    ranking.save(out / ranking.method)
            result: dict[str, Any] = {"out": out, "rankings": []}
            text = []
            for ranking in rankings:
                frame = ranking.frame.sort("rank")
                result["rankings"].append(
                    {
                        "method": ranking.method,
                        "unit": ranking.unit,
                        "null": ranking.null,
                        "items": frame.to_dicts(),
                        "refused": ranking.refused,
                        "notes": ranking.notes,
                    }
                )
                text += [f"{ranking.method} ({ranking.unit})", ranking_text(frame.head(SHOWN))]
                if frame.height > SHOWN:
                    text.append(f"... and {frame.height - SHOWN} more")
                text += [f"refused {name}: {why}" for name, why in ranking.refused.items()]
                text += [f"note: {note}" for note in ranking.notes]
                text.append("")
            if told is not None:
                result["comparison"] = told
                text += [agreed, ""]
            text.append(f"written to {out}" if out is not None else "")
            speaker.show(result, "\n".join(text).rstrip())


def _pair_cost(table: Table) -> str:
    from ctrsel.data.table import Ragged
    from ctrsel.rank.driver import FLOAT_BUCKETS
    from ctrsel.rank.pair_cost import estimate, workers

    span = table.span("train")
    names = [n for n, column in table.columns.items() if not isinstance(column, Ragged)]
    sizes = [table.encoder.size(n) for n in names if not table.schema.field(n).is_float]
    sizes += [FLOAT_BUCKETS] * (len(names) - len(sizes))
    return f"estimate: {estimate(rows=span.stop - span.start, sizes=sizes, threads=workers(None))}"


def _compare_saved(saved: Mapping[str, Ranking], out: Path | None, speaker: Speaker) -> None:
    speaker.place = str(out or "")
    found, told, text = compared((), saved)
    if out is not None:
        write_comparison(found, out)
    end = f"\n\nwritten to {out}" if out is not None else ""
    speaker.show({"out": out, "rankings": [], "comparison": told}, text + end)


def ranking_text(frame: Any) -> str:
    """Lay out a ranking's frame: rank, field and score first, then the evidence."""
    first = [c for c in ("rank", "field", "score") if c in frame.columns]
    told = {*first, "fields"}  # a cross is named by its fields
    names = [*first, *(c for c in frame.columns if c not in told)]
    return aligned(names, frame.select(names).rows())


COMMANDS: tuple[tuple[str, Callable[..., None], str, str], ...] = (
    (
        "rank",
        rank,
        examples(
            "ctrsel rank clicks.parquet --label click --out ranking.parquet",
            "ctrsel rank clicks.yaml --by mutual_information --by boosted_shap --compare --out agreement.html",
            "ctrsel rank --with monday.parquet --with tuesday.parquet",
        ),
        STEP,
    ),
)
