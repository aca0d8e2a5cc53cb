"""Compare rankings: how much they agree pair by pair, with most weight on their tops.

Reference: Webber, Moffat and Zobel, "A similarity measure for indefinite rankings", 2010 (rank-biased overlap).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ctrsel.core.errors import ConfigError, DataError
from ctrsel.records.ranking_comparison import RankingComparison
from ctrsel.stats.agreement import (
    kendall_tau,
    rank_biased_chance,
    rank_biased_overlap,
    rank_biased_weight,
    top_overlap,
)

if TYPE_CHECKING:
    from ctrsel.records.ranking import Ranking

__all__ = ["TOPS", "compare_rankings"]

TOPS = (5, 10, 20)  # tops that are compared unless others are asked for, as far as there are more items


def compare_rankings(
    rankings: Sequence[Ranking] | Mapping[str, Ranking],
    *,
    p: float = 0.9,
    top: Sequence[int] | None = None,
    across_tables: bool = False,
) -> RankingComparison:
    """Compare rankings of the same kind of items: rank-biased overlap, Kendall's tau, overlap of the tops.

    Items are compared by name, so a field that one ranking refused takes no part in its tau, and lengthens the other
    ranking's tail in the overlap.

    Args:
        rankings: At least two, by name or in a row; in a row each is called by its method, and by the parameters in which
            two of one method differ.
        p: Chance that a reader goes on to the next item; 0.9 puts 86 % of the weight on the first ten.
        top: Tops to compare; None for 5, 10 and 20 as far as there are more items than that, or half of the items.
        across_tables: Whether rankings of different tables (two days, two data sets) are meant to be compared.

    Raises:
        ConfigError: If there are fewer than two rankings, or p or top are out of range.
        DataError: If the rankings are of different kinds of items, of different tables, or one has no items.

    Examples:
        >>> from ctrsel.rank import rank
        >>> from ctrsel.rank.mutual_information import MutualInformation
        >>> from ctrsel.testing.tables import tiny_table
        >>> made = rank(tiny_table(), [MutualInformation(), MutualInformation(by="z")], seed=1)
        >>> compare_rankings(made).names
        ('mutual_information (by=effect)', 'mutual_information (by=z)')
    """
    named = dict(rankings) if isinstance(rankings, Mapping) else _named(rankings)
    if len(named) < 2:
        raise ConfigError(f"compare_rankings: needs at least two rankings, got {len(named)}")
    _check(named, across_tables=across_tables)
    held = {name: _ranks(ranking) for name, ranking in named.items()}
    longest = max(len(ranks) for ranks in held.values())
    tops = _tops(top, items=longest)
    orders = list(held.values())

    def matrix(measure: Callable[[Mapping[Hashable, int], Mapping[Hashable, int]], float | None]) -> np.ndarray:
        found = np.empty((len(orders), len(orders)))
        for i, a in enumerate(orders):
            for j, b in enumerate(orders[: i + 1]):
                value = measure(a, b)
                found[i, j] = found[j, i] = np.nan if value is None else value
        return found

    items, ranks = _table(named, held)
    return RankingComparison(
        names=tuple(named),
        methods=tuple(r.method for r in named.values()),
        item=next(iter(named.values())).item,
        p=p,
        rbo=matrix(lambda a, b: rank_biased_overlap(a, b, p=p)),
        tau=matrix(kendall_tau),
        tops={k: matrix(lambda a, b, k=k: top_overlap(a, b, k=k)) for k in tops},  # type: ignore[misc]  # k is bound
        shared=matrix(lambda a, b: len(a.keys() & b.keys())).astype(np.int64),
        items=items,
        ranks=ranks,
        rankings=tuple(r.digest for r in named.values()),
        tables=tuple(r.table for r in named.values()),
        notes=_notes(named, items=items.height, p=p),
    )


def _named(rankings: Sequence[Ranking]) -> dict[str, Ranking]:
    """Call each ranking by its method, two of one method by the parameters in which they differ, or else by number."""
    found: dict[str, Ranking] = {}
    methods = Counter(r.method for r in rankings)
    for ranking in rankings:
        name = ranking.method
        if methods[name] > 1:
            others = [r.params for r in rankings if r.method == name]
            apart = [k for k in ranking.params if any(o.get(k) != ranking.params[k] for o in others)]
            told = ", ".join(f"{k}={ranking.params[k]}" for k in apart)
            name = f"{name} ({told})" if told else name
        count, base = 1, name
        while name in found:
            count += 1
            name = f"{base} #{count}"
        found[name] = ranking
    return found


def _check(named: Mapping[str, Ranking], *, across_tables: bool) -> None:
    (first, one), *rest = named.items()
    for name, ranking in named.items():
        if not ranking.frame.height:
            raise DataError(f"compare_rankings: {name!r} ranks no item, so nothing can agree with it")
    for name, other in rest:
        if other.item != one.item:
            raise DataError(
                f"compare_rankings: {first!r} ranks items of kind {one.item!r} and {name!r} of kind {other.item!r}; "
                "only items of one kind can be compared"
            )
    known = {name: r.table for name, r in named.items() if r.table}
    if len(set(known.values())) > 1 and not across_tables:
        (first, table), *others = known.items()
        name, other_table = next((n, t) for n, t in others if t != table)
        raise DataError(
            f"compare_rankings: {first!r} was made on the table {table} and {name!r} on {other_table}; "
            "say across_tables=True if different data are meant to be compared"
        )


def _tops(top: Sequence[int] | None, *, items: int) -> tuple[int, ...]:
    if top is None:
        return tuple(k for k in TOPS if k < items) or (max(items // 2, 1),)
    for k in top:
        if k < 1:
            raise ConfigError(f"compare_rankings.top: must be at least 1 item, got {k}")
    return tuple(dict.fromkeys(int(k) for k in top))


def _ranks(ranking: Ranking) -> dict[Hashable, int]:
    """Return the rank by item; items of equal rank count as tied, whatever rank the next one has."""
    ranks = ranking.frame["rank"].to_numpy()
    best = np.searchsorted(ranks, ranks) + 1  # ranks rise
    return dict(zip(_keys(ranking), best.tolist(), strict=True))


def _keys(ranking: Ranking) -> list[Hashable]:
    """Return what identifies each item; a cross is its fields in any order."""
    frame = ranking.frame
    if ranking.item == "cross":
        return [tuple(sorted(fields)) for fields in frame["fields"].to_list()]
    return list(frame.select("field", "value").rows()) if ranking.item == "value" else frame["field"].to_list()


def _table(named: Mapping[str, Ranking], held: Mapping[str, Mapping[Hashable, int]]) -> tuple[Any, np.ndarray]:
    """Return all items, best mean rank first (an item that a ranking lacks stands behind its last one), and the ranks."""
    import polars as pl

    columns = ["field", "value"] if next(iter(named.values())).item == "value" else ["field"]
    told: dict[Hashable, tuple[Any, ...]] = {}
    for ranking in named.values():
        for key, row in zip(_keys(ranking), ranking.frame.select(columns).rows(), strict=True):
            told.setdefault(key, row)
    ranks = np.array([[ranks.get(key, 0) for key in told] for ranks in held.values()], dtype=np.int64)
    lengths = np.array([[len(ranks) + 1] for ranks in held.values()])
    order = np.argsort(np.where(ranks > 0, ranks, lengths).mean(axis=0), kind="stable")
    rows = list(told.values())
    frame = pl.DataFrame([rows[i] for i in order], schema=dict.fromkeys(columns, pl.String), orient="row")
    return frame, ranks[:, order]


def _notes(named: Mapping[str, Ranking], *, items: int, p: float) -> tuple[str, ...]:
    notes = [
        f"rank-biased overlap with p = {p:g}: the first 10 items have {rank_biased_weight(10, p=p):.0%} of the weight; "
        f"two random orders of {items:,} items have an overlap of {rank_biased_chance(items, p=p):.2f} on average"
    ]
    if len({r.table for r in named.values() if r.table}) > 1:
        notes.append("the rankings were made on different tables; items were matched by name")
    unknown = [name for name, r in named.items() if not r.table]
    if unknown:
        notes.append(f"not known on which table: {', '.join(unknown)}")
    for name, ranking in named.items():
        if ranking.refused:
            held = list(ranking.refused)
            more = f" and {len(held) - 5} more" if len(held) > 5 else ""
            notes.append(f"{name} gives no score to {', '.join(held[:5])}{more}")
    return tuple(notes)
