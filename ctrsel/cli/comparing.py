"""Comparing rankings: what `ctrsel rank --compare` reads, says and writes beyond the rankings themselves."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ctrsel.cli.output import FRAME_SUFFIXES, check_frame_path
from ctrsel.cli.speak import aligned
from ctrsel.core.errors import ConfigError, DataError

if TYPE_CHECKING:
    import polars as pl

    from ctrsel.records.ranking import Ranking
    from ctrsel.records.ranking_comparison import RankingComparison

__all__ = ["PAGE", "Compare", "With", "check_enough", "check_out", "compared", "read_saved", "write_comparison"]

PAGE = ".html"

Compare = Annotated[
    bool,
    typer.Option("--compare", help="Say how much the rankings agree; --out agreement.html draws it."),
]
With = Annotated[
    list[Path] | None,
    typer.Option(
        "--with",
        metavar="RANKING",
        help="A saved ranking to compare with, such as another day's: what --out wrote; repeatable. Without DATA, "
        "only these are compared.",
        show_default=False,
    ),
]


def check_out(out: Path | None, *, compare: bool, data: bool) -> None:
    """Refuse a place that nothing could be written to, before any work is done.

    Raises:
        ConfigError: If the ending is not known, or a page is wanted of what is not compared.
    """
    if out is None or not out.suffix:
        return
    if out.suffix.lower() == PAGE:
        if not compare:
            raise ConfigError(f"--out {out}: a page shows how much rankings agree; add --compare")
    elif not data:
        raise ConfigError(f"--out {out}: saved rankings are compared in a page (.html) or a folder, got {out.suffix}")
    else:
        check_frame_path(out)


def check_enough(rankings: int) -> None:
    """Refuse to compare fewer than two rankings.

    Raises:
        ConfigError: If there are fewer.
    """
    if rankings < 2:
        raise ConfigError("--compare: needs at least two rankings: name several with --by, or a saved one with --with")


def compared(made: Sequence[Ranking], saved: Mapping[str, Ranking]) -> tuple[RankingComparison, dict[str, Any], str]:
    """Compare rankings made now and saved ones, and return the comparison, its values and its text."""
    from ctrsel.rank.comparison import compare_rankings

    check_enough(len(made) + len(saved))
    if not saved:
        found = compare_rankings(made)
    else:
        now = (
            dict(zip(compare_rankings(made).names, made, strict=True)) if len(made) > 1 else {r.method: r for r in made}
        )
        taken = {f"{name} (saved)" if name in now else name: ranking for name, ranking in saved.items()}
        # Whoever names a saved ranking means it, whatever table it was made on; the notes say so.
        found = compare_rankings({**now, **taken}, across_tables=True)
    pairs = found.pairs()
    told = {"names": found.names, "p": found.p, "pairs": pairs.to_dicts(), "notes": found.notes, "digest": found.digest}
    head = [{"rbo": "overlap", "shared": "in both"}.get(c, c.replace("_", " ")) for c in pairs.columns]
    text = ["agreement of rankings (overlap is rank-biased, tau is Kendall's tau-b)", aligned(head, pairs.rows())]
    return found, told, "\n".join([*text, *(f"note: {n}" for n in found.notes)])


def write_comparison(found: RankingComparison, out: Path) -> None:
    """Write a page, or into a folder the page and the comparison; a file of rankings has no place for it."""
    from ctrsel.report.agreement import write_agreement

    if out.suffix.lower() == PAGE:
        write_agreement(found, path=out)
    elif not out.suffix:
        found.save(out / "comparison")
        write_agreement(found, path=out / "agreement.html")


def read_saved(paths: Sequence[Path]) -> dict[str, Ranking]:
    """Read saved rankings, each called by its path: folders of one or of several, or files of ranked items.

    Raises:
        DataError: If a path holds no ranking.
    """
    found: dict[str, Ranking] = {}
    for path in paths:
        for name, ranking in _read(path).items():
            if name in found:
                raise ConfigError(f"--with {path}: the ranking {name} is given twice")
            found[name] = ranking
    return found


def _read(path: Path) -> dict[str, Ranking]:
    from ctrsel.records.ranking import Ranking

    if path.is_dir():
        if (path / "manifest.json").is_file():
            return {str(path): Ranking.load(path)}
        inside = sorted(p.parent for p in path.glob("*/manifest.json") if _is_ranking(p))
        if not inside:
            raise DataError(f"--with {path}: this folder holds no saved ranking")
        return {str(folder): Ranking.load(folder) for folder in inside}
    if not path.is_file():
        raise DataError(f"--with {path}: there is no such file or folder")
    frame = _read_frame(path)
    for column in ("field", "score", "rank"):
        if column not in frame.columns:
            raise DataError(f"--with {path}: a ranking has the columns field, score and rank; {column!r} is missing")
    if "method" not in frame.columns:
        return {str(path): _ranking(frame, method=path.stem)}
    methods = frame["method"].unique(maintain_order=True).to_list()
    parts = {m: frame.filter(frame["method"] == m).drop("method") for m in methods}
    if len(parts) == 1:
        return {str(path): _ranking(part, method=m) for m, part in parts.items()}
    return {f"{path} ({m})": _ranking(part, method=m) for m, part in parts.items()}


def _is_ranking(manifest: Path) -> bool:
    try:
        return bool(json.loads(manifest.read_text(encoding="utf-8")).get("format") == "ctrsel.ranking")
    except (OSError, ValueError, AttributeError):
        return False


def _read_frame(path: Path) -> pl.DataFrame:
    import polars as pl

    from ctrsel.records.spreadsheet import read_sheet

    kind = path.suffix.lower()
    if kind not in FRAME_SUFFIXES:
        raise ConfigError(f"--with {path}: the name must end in one of {', '.join(FRAME_SUFFIXES)}, or be a folder")
    try:
        match kind:
            case ".parquet":
                return pl.read_parquet(path)
            case ".csv" | ".tsv":
                return read_sheet(path, separator="\t" if kind == ".tsv" else ",")
            case ".arrow":
                return pl.read_ipc(path)
            case _:
                return pl.read_json(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError(f"--with {path}: cannot be read as {kind[1:]}: {str(error).splitlines()[0]}") from error


def _ranking(frame: pl.DataFrame, *, method: str) -> Ranking:
    """Return the ranking of a file, which knows neither the parameters nor the table."""
    from ctrsel.records.ranking import Ranking

    # Stacked rankings have each other's columns, all null where they are not their own.
    own = frame.select(c for c in frame.columns if frame[c].null_count() < frame.height)
    item: Any = "cross" if "fields" in own.columns else "value" if "value" in own.columns else "field"
    return Ranking(method=method, params={}, unit="", null=None, frame=own.sort("rank"), item=item)
