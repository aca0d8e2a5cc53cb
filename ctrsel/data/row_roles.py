"""Rows: what the columns that are no fields say of each raw row, and which rows may be used."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ctrsel.core.config import IngestConfig, SchemaConfig
from ctrsel.core.errors import ConfigError, DataError
from ctrsel.data.faults import Faults
from ctrsel.data.infer import infer_fields
from ctrsel.data.numbers import check_fields
from ctrsel.data.raw import RawRows
from ctrsel.data.roles import read_group, read_label, read_weight
from ctrsel.data.time_column import Moment, as_moment, duration, read_time
from ctrsel.records.schema import Schema

__all__ = ["Roles", "read_roles", "window"]


@dataclass(frozen=True, kw_only=True)
class Roles:
    """What the columns that are no fields say of each raw row.

    Attributes:
        positive: Boolean `[N]`.
        values: The label's two values.
        time: int64 `[N]` or None.
        moment: How time counts.
        group: int64 `[N]` or None.
        weight: float64 `[N]` or None.
    """

    positive: np.ndarray
    values: tuple[str, ...]
    time: np.ndarray | None
    moment: Moment | None
    group: np.ndarray | None
    weight: np.ndarray | None


def read_roles(
    raw: RawRows, config: SchemaConfig, settings: IngestConfig, faults: Faults, *, memory: int, scratch: Path
) -> tuple[Schema, Roles]:
    """Read what decides on rows: label, time, group, weight; complete the schema; find texts in numeric fields."""
    label, values, positive = read_label(raw, config.label, faults, memory=memory, scratch=scratch)
    schema = infer_fields(raw, config, settings, label=label)
    check_fields(raw, schema, faults)
    time, moment = (None, None) if config.time is None else read_time(raw, config.time, faults)
    return schema, Roles(
        positive=positive,
        values=values,
        time=time,
        moment=moment,
        group=None if config.group is None else read_group(raw, config.group, memory=memory, scratch=scratch),
        weight=None if config.weight is None else read_weight(raw, config.weight, faults),
    )


def window(
    roles: Roles, faults: Faults, *, delay: str | None, as_of: str | None, some: bool = True
) -> tuple[np.ndarray, int, int]:
    """Decide which rows may be used: not rejected, not later than `as_of`, and old enough for their outcome to be known.

    Args:
        roles: Of the rows.
        faults: Which of them are out.
        delay: How long an outcome may take.
        as_of: Rows after this time do not exist yet; None for the newest row's time.
        some: Whether at least one row must be left.

    Returns:
        Boolean `[N]`, how many rows are too young, and how many lie in the future.

    Raises:
        ConfigError: If a delay or a time is given without a time column.
    """
    usable = ~faults.bad
    if delay is None and as_of is None:
        return usable, 0, 0
    if roles.time is None or roles.moment is None:
        place = "schema.label.delay" if delay is not None else "data.as_of"
        raise ConfigError(f"{place}: needs schema.time, the column that says when a row happened")
    if not usable.any():
        return usable, 0, 0
    now = int(roles.time[usable].max()) if as_of is None else as_moment(as_of, roles.moment, place="data.as_of")
    future = usable & (roles.time > now)
    usable &= ~future
    young = np.zeros(len(usable), dtype=bool)
    if delay is not None:
        young = usable & (roles.time > now - duration(delay, roles.moment, place="schema.label.delay"))
        usable &= ~young
    if some and not usable.any():
        raise DataError(
            f"no row is old enough: {int(future.sum())} rows are later than the time as of which the table is made, and "
            f"{int(young.sum())} are younger than schema.label.delay"
        )
    return usable, int(young.sum()), int(future.sum())
