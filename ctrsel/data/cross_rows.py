"""Crosses of few rows: codes from ids of the parts' texts, without a joint text per row.

What a cross's vocabulary says by joint texts, this says by numbers: each part's texts have ids, and a combination of ids
has a code. A row then costs one look-up per part, which several crosses share, instead of a text per cross.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from ctrsel.data.cross_texts import ABSENT, SEPARATOR
from ctrsel.data.vocabulary import smallest_uint
from ctrsel.records.feature_set import MISSING, OTHER

if TYPE_CHECKING:
    from ctrsel.data.encoder import Encoder
    from ctrsel.data.vocabulary import Vocabulary

__all__ = ["CrossCodes", "part_ids", "part_vocabularies"]

_DENSE = 1 << 18  # combinations whose codes are held in one array


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossCodes:
    """The code of each combination of part ids of one cross.

    Attributes:
        parts: The columns.
        sizes: Ids of each part: 0 missing, then its texts in order, last any other text.
        keys: Mixed-radix number of each combination with a code, rising.
        codes: Their codes.
        table: The code of every combination, where these are few.
    """

    parts: tuple[str, ...]
    sizes: tuple[int, ...]
    keys: np.ndarray
    codes: np.ndarray
    table: np.ndarray | None

    @staticmethod
    def of(vocabulary: Vocabulary, parts: tuple[str, ...], texts: Mapping[str, pl.Series]) -> CrossCodes:
        """Number the combinations of a cross.

        Args:
            vocabulary: The cross's.
            parts: The columns that it is made of.
            texts: The texts of each column, ascending; those of its crosses at least.
        """
        sizes = tuple(len(texts[p]) + 2 for p in parts)
        keys = np.zeros(len(vocabulary.values), dtype=np.int64)
        split = _split(vocabulary, len(parts))
        for i, (part, size) in enumerate(zip(parts, sizes, strict=True)):
            place = split[f"part_{i}"].cast(pl.Enum(texts[part])).to_physical().cast(pl.Int64)
            keys = keys * size + (place + 1).fill_null(0).to_numpy()
        order = np.argsort(keys)
        kind = smallest_uint(vocabulary.size)
        codes = vocabulary.codes[order].astype(kind)
        table = None
        if prod(sizes) <= _DENSE:
            table = np.full(prod(sizes), OTHER, dtype=kind)
            table[keys[order]] = codes
            table[0] = MISSING
        return CrossCodes(parts=parts, sizes=sizes, keys=keys[order], codes=codes, table=table)

    def encode(self, ids: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the code of each row `[n]`.

        Args:
            ids: Per column the id of each row's text, int64 `[n]`.
        """
        keys = ids[self.parts[0]]
        for part, size in zip(self.parts[1:], self.sizes[1:], strict=True):
            keys = keys * size + ids[part]
        if self.table is not None:
            return np.asarray(self.table[keys])
        found = np.where(keys == 0, self.codes.dtype.type(MISSING), self.codes.dtype.type(OTHER))
        if len(self.keys):
            places = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
            found = np.where(self.keys[places] == keys, self.codes[places], found)
        return np.asarray(found)


def part_ids(texts: pl.Series, names: pl.Series) -> np.ndarray:
    """Return the id of some texts among a column's, and last those of any other text and of a missing one, int64 `[n + 2]`.

    Examples:
        >>> part_ids(pl.Series(["a", "c"]), pl.Series(["a", "b", "c"])).tolist()
        [1, 3, 2, 3, 0]
    """
    known = names.cast(pl.Enum(texts), strict=False).to_physical().cast(pl.Int64)
    other = len(texts) + 1
    return np.concatenate([(known + 1).fill_null(other).to_numpy(), [other, 0]]).astype(np.int64)


def part_vocabularies(encoder: Encoder) -> Mapping[str, pl.Series]:
    """Return the texts of each column that crosses read, ascending, as far as they come in crosses.

    Crosses of very many values, whose texts stay in a file, are left out, and so are their columns if no other cross
    reads them.
    """
    found: dict[str, list[pl.Series]] = {}
    for cross in encoder.schema.crosses:
        vocabulary = encoder.vocabularies[cross.vocabulary]
        if vocabulary.values.enum is None:
            continue
        split = _split(vocabulary, len(cross.parts))
        for i, part in enumerate(cross.parts):
            found.setdefault(part, []).append(split[f"part_{i}"].drop_nulls().unique())
    return {part: pl.concat(texts).unique().sort().alias(part) for part, texts in found.items()}


def _split(vocabulary: Vocabulary, parts: int) -> pl.DataFrame:
    """Return the texts of each part of each joint text (see `split_text`), null where missing."""
    whole = [t.alias("text") for t in vocabulary.values.chunks()]
    texts = pl.concat(whole) if whole else pl.Series("text", [], dtype=pl.String)
    names = [f"part_{i}" for i in range(parts)]
    return (
        texts.to_frame()
        .select(pl.col("text").str.split_exact(SEPARATOR, parts - 1).struct.rename_fields(names))
        .unnest("text")
        .select(
            pl.when(pl.col(n) != ABSENT).then(pl.col(n).str.replace_all(r"(?s)\\(.)", "${1}")).alias(n) for n in names
        )
    )
