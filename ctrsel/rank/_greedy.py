"""Greedy orders of fields: the best field first, then always the one whose criterion beside the chosen ones is highest.

Reference: Brown, Pocock, Zhao and Lujan, "Conditional likelihood maximisation: a unifying framework for information
theoretic feature selection", 2012 (the criteria as one family).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ctrsel.core.errors import ConfigError
from ctrsel.records.ranking import Ranking

if TYPE_CHECKING:
    from ctrsel.rank._field_terms import FieldTerms
    from ctrsel.rank.counts import TableCounts

__all__ = ["GreedyOrder", "check_k", "greedy", "greedy_ranking"]

_SAME = 12  # decimals to which criteria are compared: two names of one field differ by rounding only
_SAME_Z = 6


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GreedyOrder:
    """Fields in the order of choice; those beyond the k-th in the order of their criterion beside the k chosen.

    Attributes:
        order: Place of each field in the table.
        criterion: Its value when the field was chosen, or beside the k chosen.
        partner: Place in the table of the chosen field that decided most, -1 for none.
        chosen: How many were chosen: k.
    """

    order: tuple[int, ...]
    criterion: tuple[float, ...]
    partner: tuple[int, ...]
    chosen: int


def check_k(ranker: str, k: int | None) -> None:
    """Refuse an order of no fields.

    Raises:
        ConfigError: If `k` is below 1.
    """
    if k is not None and k < 1:
        raise ConfigError(f"{ranker}.k: must be at least 1 field or absent for all, got {k}")


def greedy(
    names: Sequence[str],
    relevance: np.ndarray,
    *,
    z: np.ndarray,
    terms: Callable[[int, Sequence[int]], np.ndarray],
    criterion: Callable[[np.ndarray, np.ndarray], np.ndarray],
    decisive: Callable[[np.ndarray], int],
    first: np.ndarray | None = None,
    k: int | None = None,
) -> GreedyOrder:
    """Choose k fields one by one, asking only for pairs of a chosen field and one that is not.

    Args:
        names: Of the fields; equal criteria stand in the order of `z`, then of names.
        relevance: What each field tells about the label alone `[F]`.
        z: The same in standard deviations `[F]`.
        terms: Given a newly chosen field and the C others left, returns one term for each, `[C]`, or several,
            `[C, T]`.
        criterion: Given the relevance `[C]` and the terms beside all chosen fields `[J, C]` or `[J, C, T]`, returns
            `[C]`.
        decisive: Given one field's terms `[J]` or `[J, T]`, returns the place of the one that decided most, -1 for none.
        first: Criterion while none is chosen `[F]`; None for the relevance.
        k: Fields to choose; None for all.

    Examples:
        >>> same = np.array([[0.0, 9.0, 0.0], [9.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
        >>> found = greedy(
        ...     ("a", "copy", "b"),
        ...     np.array([3.0, 3.0, 1.0]),
        ...     z=np.array([9.0, 9.0, 9.0]),
        ...     terms=lambda s, left: same[s, left],
        ...     criterion=lambda relevance, terms: relevance - terms.mean(axis=0),
        ...     decisive=lambda terms: int(terms.argmax()),
        ... )
        >>> found.order, found.criterion
        ((0, 2, 1), (3.0, 1.0, -1.5))
    """
    left = sorted(range(len(names)), key=lambda i: names[i])
    steps = len(left) if k is None else min(k, len(left))
    seen = np.zeros((0, 0))  # a row per chosen field, a column per field left
    order: list[int] = []
    values: list[float] = []
    partners: list[int] = []

    def take(found: np.ndarray) -> int:
        best = int(np.lexsort((-np.round(z[left], _SAME_Z), -np.round(found, _SAME)))[0])
        which = decisive(seen[:, best]) if order else -1
        partners.append(order[which] if which >= 0 else -1)
        order.append(left.pop(best))
        values.append(float(found[best]))
        return best

    for step in range(len(left)):
        if step <= steps:
            found = criterion(relevance[left], seen) if step else (relevance if first is None else first)[left]
        best = take(found)
        found = np.delete(found, best)
        seen = np.delete(seen, best, axis=1) if step else seen
        if step < steps and left:
            new = terms(order[-1], left)[None]
            seen = np.concatenate([seen, new]) if step else new
    return GreedyOrder(order=tuple(order), criterion=tuple(values), partner=tuple(partners), chosen=steps)


def greedy_ranking(
    found: GreedyOrder,
    terms: FieldTerms,
    counts: TableCounts,
    *,
    params: Mapping[str, Any],
    unit: str,
    null: str,
    notes: Sequence[str] = (),
) -> Ranking:
    """Return the order as a ranking whose score is the lowest criterion so far, so that it falls with the rank."""
    import polars as pl

    frame = pl.DataFrame(
        {
            "field": [terms.names[i] for i in found.order],
            "score": np.minimum.accumulate(np.array(found.criterion, dtype=np.float64)),
            "rank": np.arange(1, len(found.order) + 1),
            "criterion": np.array(found.criterion, dtype=np.float64),
            "mi_minus_expected": terms.relevance[list(found.order)],
            "partner": [None if i < 0 else terms.names[i] for i in found.partner],
            "chosen": np.arange(len(found.order)) < found.chosen,
        },
        schema_overrides={"field": pl.String, "rank": pl.Int64, "partner": pl.String},
    )
    after = len(found.order) - found.chosen
    told = [f"the last {after} fields stand in the order of their criterion beside the first {found.chosen}"]
    return Ranking(
        method=str(params["use"]),
        params=params,
        unit=unit,
        null=null,
        frame=frame,
        refused=terms.refused,
        notes=(*terms.notes, *notes, *(told if after else [])),
        table=counts.table,
    )
