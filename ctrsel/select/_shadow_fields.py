"""A table with a shuffled copy of every field beside it, for selectors that train whatever they like on it.

Reference: Kursa and Rudnicki, "Feature selection with the Boruta package", 2010, section 2.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ctrsel.rank._resampled import Shuffle, with_shadows

if TYPE_CHECKING:
    from ctrsel.data.table import Table

__all__ = ["shadowed_table"]


def shadowed_table(
    table: Table, names: tuple[str, ...], *, shuffle: Shuffle, seed: int, stream: tuple[str | int, ...]
) -> tuple[Table, dict[str, str]]:
    """Return the table with the shadows, and their names by field.

    A shadow has a vocabulary of its own with the same values: in a net that is keyed by vocabularies it would have its
    field's weights otherwise, and look as important. Shadows of fields that share a vocabulary share theirs.
    """
    wide, shadows = with_shadows(table, names, shuffle=shuffle, seed=seed, stream=stream)
    encoder = wide.encoder
    copies = set(shadows.values())
    taken, renamed = set(encoder.vocabularies), {}
    for f in encoder.fields:
        if f.name in copies and not f.is_float and f.vocabulary not in renamed:
            new = f"{f.vocabulary} (shadow)"
            while new in taken:
                new += "'"
            taken.add(new)
            renamed[f.vocabulary] = new
    fields = tuple(
        replace(f, vocabulary=renamed[f.vocabulary]) if f.name in copies and not f.is_float else f
        for f in encoder.fields
    )
    vocabularies = {**encoder.vocabularies, **{new: encoder.vocabularies[old] for old, new in renamed.items()}}
    own = replace(encoder, schema=replace(encoder.schema, fields=fields), vocabularies=vocabularies)
    return replace(wide, encoder=own), shadows
