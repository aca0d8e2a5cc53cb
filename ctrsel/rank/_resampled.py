"""Tables made of a table for a null: fewer rows, labels of other rows, and fields beside shuffled copies of themselves.

References: Kursa and Rudnicki, "Feature selection with the Boruta package", 2010 (shadows); Altmann et al., "Permutation
importance: a corrected feature importance measure", 2010 (labels); Good, "Permutation, parametric and bootstrap tests of
hypotheses", 2005, chapter 3 (which rows may change places).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from ctrsel.core.errors import ConfigError, DataError
from ctrsel.core.seeds import generator
from ctrsel.data.table import Ragged

if TYPE_CHECKING:
    from ctrsel.data.table import Table

__all__ = ["SHUFFLES", "Shuffle", "givers", "random_rows", "relabelled", "resolved", "subset", "with_shadows"]

Shuffle = Literal["auto", "rows", "shift", "within"]
SHUFFLES = ("auto", "rows", "shift", "within")

_BLOCKS = 20  # of time, where rows change places within blocks


def resolved(shuffle: Shuffle, table: Table, *, place: str) -> tuple[Shuffle, str]:
    """Return how rows of this table change places, and that in words.

    Raises:
        ConfigError: If rows shall change places within groups or blocks of time, and the table has neither.
    """
    if shuffle == "auto":
        shuffle = "rows" if table.group is None and table.time is None else "shift"
    if shuffle == "rows":
        return shuffle, "rows shuffled freely"
    by = "groups" if table.group is not None else "time" if table.time is not None else None
    if shuffle == "within":
        if by is None:
            raise ConfigError(f"{place}: 'within' needs a table with groups or time, and it has neither")
        return (
            shuffle,
            "rows shuffled within groups" if by == "groups" else f"rows shuffled within {_BLOCKS} blocks of time",
        )
    return shuffle, f"rows shifted round in the order of {by or 'the source'}"


def givers(table: Table, *, shuffle: Shuffle, rng: np.random.Generator) -> np.ndarray:
    """Return for each row the row whose values it is to take, int64 `[N]`, a permutation.

    "rows": any order. "shift": all rows move on by one random distance in the order of group and time, so that
    neighbours stay neighbours. "within": any order within a group, or within a block of time where there are no groups.

    Args:
        table: The rows of one split.
        shuffle: As above.
        rng: What draws.
    """
    n = table.n_rows
    if shuffle == "rows":
        return rng.permutation(n)
    keys = [k for k in (table.row, table.time, table.group) if k is not None]
    order = np.lexsort(keys)
    given = np.empty(n, dtype=np.int64)
    if shuffle == "shift":
        # Not nearly round: a short way would leave most of what depends on each other in place.
        distance = int(rng.integers(n // 20, n - n // 20 + 1)) if n > 1 else 0
        given[order] = np.roll(order, distance)
        return given
    block = np.arange(n) * _BLOCKS // max(n, 1) if table.group is None else np.asarray(table.group)[order]
    given[order] = order[np.lexsort((rng.random(n), block))]
    return given


def random_rows(table: Table, *, rng: np.random.Generator) -> np.ndarray:
    """Return the row numbers `[N]` in a random order, in which rows of one group stand together."""
    if table.group is None:
        return rng.permutation(table.n_rows)
    _, place = np.unique(table.group, return_inverse=True)
    return np.argsort(rng.permutation(int(place.max()) + 1)[place], kind="stable") if len(place) else place


def subset(table: Table, train: np.ndarray, valid: np.ndarray) -> Table:
    """Return a table of these training and validation rows, numbers of the whole table."""
    n = len(train)
    return replace(table.take(np.concatenate([train, valid])), splits={"train": (0, n), "valid": (n, n + len(valid))})


def relabelled(table: Table, *, shuffle: Shuffle, seed: int, names: tuple[str | int, ...]) -> Table:
    """Return a table whose rows have the labels and the weight of other rows of their split.

    Label and weight move together, since a weight may depend on the label (sampled negatives).

    Args:
        table: With labels; its splits must cover all rows.
        shuffle: As in `givers`.
        seed: Of the draw.
        names: Of the stream (see `generator`).

    Raises:
        DataError: If the table has no labels.
    """
    if table.labels is None:
        raise DataError("labels can be shuffled only where there are any")
    at = _all_givers(table, shuffle=shuffle, rng=generator(seed, *names))
    return replace(table, labels=table.labels[at], weight=None if table.weight is None else table.weight[at])


def _all_givers(table: Table, *, shuffle: Shuffle, rng: np.random.Generator) -> np.ndarray:
    at = np.arange(table.n_rows)
    for name, (start, stop) in table.splits.items():
        at[start:stop] = start + givers(table.part(name), shuffle=shuffle, rng=rng)
    return at


def with_shadows(
    table: Table, names: tuple[str, ...], *, shuffle: Shuffle, seed: int, stream: tuple[str | int, ...]
) -> tuple[Table, dict[str, str]]:
    """Return a table that has a shuffled copy of some fields beside all its own, and the copies' names by field.

    A copy shares its field's vocabulary, buckets and moments, and its values stay in their split.

    Args:
        table: Its splits must cover all rows.
        names: Which fields are copied.
        shuffle: As in `givers`.
        seed: Of the draws, one a field.
        stream: Of the draws (see `generator`).
    """
    encoder = table.encoder
    schema, shadows = encoder.schema, {}
    taken = {f.name for f in (*schema.fields, *schema.cross_inputs)} | {label.name for label in schema.labels}
    for name in names:
        shadow = f"{name} (shadow)"
        while shadow in taken:
            shadow += "'"
        shadows[name] = shadow
        taken.add(shadow)
    columns = dict(table.columns)
    for name, shadow in shadows.items():
        at = _all_givers(table, shuffle=shuffle, rng=generator(seed, *stream, name))
        column = table.columns[name]
        columns[shadow] = column.take(at) if isinstance(column, Ragged) else column[at]
    copies = [replace(schema.field(name), name=shadow) for name, shadow in shadows.items()]
    # A copy of a cross has no parts: its codes are what they are.
    plain = [replace(f, kind="categorical", parts=()) if f.is_cross else f for f in copies]
    wider = replace(
        encoder,
        schema=replace(schema, fields=(*schema.fields, *plain)),
        edges={**encoder.edges, **{s: encoder.edges[n] for n, s in shadows.items() if n in encoder.edges}},
        moments={**encoder.moments, **{s: encoder.moments[n] for n, s in shadows.items() if n in encoder.moments}},
    )
    return replace(table, encoder=wider, columns=columns), shadows
