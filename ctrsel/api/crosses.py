"""The choice of crosses: those that the config names, and the best of a ranking that are significant and can be made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ctrsel.core.config import CrossesConfig
from ctrsel.core.errors import ConfigError, DataError
from ctrsel.data.crosses import cross_cells, cross_field, cross_name
from ctrsel.data.table import Table
from ctrsel.records.cross_choice import CrossChoice, CrossChoices
from ctrsel.records.ranking import Ranking

__all__ = ["Crossed", "check_crosses", "choose_crosses"]

_TOLD = 10  # crosses that were not taken and stand in the record


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossed:
    """A table with its crosses.

    Attributes:
        table: The table that everything goes on with.
        plain: The table that it was made from; the same one where there are no crosses.
        choices: What was considered, None without a section `crosses` in the config.
        ranking: The ranking of crosses that was asked.
    """

    table: Table
    plain: Table
    choices: CrossChoices | None = None
    ranking: Ranking | None = None


def check_crosses(config: CrossesConfig, *, never_use: Sequence[str]) -> None:
    """Refuse what can be seen to be wrong before anything is read.

    Raises:
        ConfigError: Naming the key, the rule and the value.
    """
    if not config.use and not config.top:
        raise ConfigError("crosses: name some in crosses.use, or say in crosses.top how many of a ranking are wanted")
    if config.top < 0:
        raise ConfigError(f"crosses.top: must be at least 0, got {config.top}")
    if not 0 < config.max_q <= 1:
        raise ConfigError(f"crosses.max_q: must be in (0, 1], got {config.max_q}")
    if config.min_count < 1:
        raise ConfigError(f"crosses.min_count: must be at least 1, got {config.min_count}")
    for i, parts in enumerate(config.use):
        for name in parts:
            if name in never_use:
                raise ConfigError(f"crosses.use[{i}]: {name!r} stands in select.never_use as well")


def choose_crosses(table: Table, config: CrossesConfig, ranking: Ranking | None) -> CrossChoices:
    """Decide which crosses become fields; of the table the training rows are read.

    Args:
        table: Fields that may be used.
        config: The wishes.
        ranking: Of crosses, best first; None if none is asked.

    Returns:
        The taken ones first, then those of the ranking that were not taken, as far as they are of interest.

    Raises:
        ConfigError: If a named cross cannot be made, or the ranking is not one of crosses with q-values.
        DataError: If a named cross has no combination that is frequent enough.
    """
    evidence = _evidence(ranking)
    taken: list[CrossChoice] = []
    for parts in config.use:
        if any(set(c.fields) == set(parts) for c in taken):
            raise ConfigError(f"crosses.use: {cross_name(parts)!r} stands there twice")
        told = next((e for e in evidence if set(e["fields"]) == set(parts)), {})
        facts = _facts(table, parts, config.min_count)
        taken.append(_choice(parts, {**told, **facts}, taken=True, reason="named in crosses.use"))
    left: list[CrossChoice] = []
    wanted = config.top
    for told in evidence:
        parts = told["fields"]
        if any(set(c.fields) == set(parts) for c in taken):
            continue
        if not wanted and len(left) >= _TOLD:
            break
        facts = {}
        reason = ""
        if told["q"] is None:
            reason = "it has no q-value, so chance may explain it"
        elif not told["q"] <= config.max_q:
            reason = f"its q-value is above {config.max_q:g}: chance may explain it"
        elif not wanted:
            reason = f"beyond the best {config.top}"
        else:
            try:
                facts = _facts(table, parts, config.min_count)
            except (ConfigError, DataError) as error:
                reason = str(error)
        made = _choice(
            parts,
            {**told, **facts},
            taken=not reason,
            reason=reason or f"number {told['rank']} by {ranking.method.replace('_', ' ') if ranking else ''}",
        )
        if made.taken:
            taken.append(made)
            wanted -= 1
        else:
            left.append(made)
    return CrossChoices(choices=(*taken, *left[:_TOLD]), ranking=None if ranking is None else ranking.method)


def _evidence(ranking: Ranking | None) -> list[dict[str, Any]]:
    if ranking is None:
        return []
    if ranking.item != "cross" or not {"fields", "q"} <= set(ranking.frame.columns):
        raise ConfigError(
            f"crosses.ranker: {ranking.method!r} ranks items of kind {ranking.item!r} with the columns "
            f"{', '.join(ranking.frame.columns)}; a ranking of crosses with 'fields' and 'q' is needed"
        )
    score = "synergy" if "synergy" in ranking.frame.columns else "score"
    more = [c for c in ("beyond_additive",) if c in ranking.frame.columns]
    rows = ranking.frame.sort("rank").select("fields", "rank", "q", *more, synergy=score).to_dicts()
    return [{**row, "fields": tuple(row["fields"])} for row in rows]


def _facts(table: Table, parts: Sequence[str], min_count: int) -> dict[str, Any]:
    cells = cross_cells(table, cross_field(table.schema, parts, min_count=min_count))
    rows = cells.missing + cells.other + int(cells.counts.sum())
    return {"values": len(cells.keys), "covered": float(cells.counts.sum() / rows)}


def _choice(parts: Sequence[str], told: Mapping[str, Any], *, taken: bool, reason: str) -> CrossChoice:
    known = {
        k: told[k] for k in ("rank", "synergy", "beyond_additive", "q", "values", "covered") if told.get(k) is not None
    }
    return CrossChoice(name=cross_name(parts), fields=tuple(parts), taken=taken, reason=reason, **known)
