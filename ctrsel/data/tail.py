"""Tail: which texts stand behind `other` in a stored table, so that an increment counts them as if all rows were read again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from ctrsel.core.artifact import read_array
from ctrsel.data.coding import NONE
from ctrsel.data.fit import RawVocabulary
from ctrsel.data.texts import SortedTexts
from ctrsel.records.feature_set import OTHER
from ctrsel.records.schema import Field

__all__ = ["Tail", "TailField", "merged"]

_PIECE = 1_000_000  # rows


@dataclass(frozen=True, slots=True, kw_only=True)
class TailField:
    """The cells of one field that are `other`.

    Attributes:
        rows: int64 `[m]`, row numbers in the source, ascending.
        items: int64 `[m]`, place in the row's list; None for a field with one value a row.
        places: uint32 `[m]`, place of the text in the tail's texts.
    """

    rows: np.ndarray
    items: np.ndarray | None
    places: np.ndarray

    def pick(self, mask: np.ndarray) -> TailField:
        """Return some of the cells."""
        return TailField(
            rows=self.rows[mask], items=None if self.items is None else self.items[mask], places=self.places[mask]
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Tail:
    """The texts of a vocabulary that have no code, and where they stand.

    Attributes:
        fields: Per field of the vocabulary.
        texts: The texts: too rare in training, or met in validation and test only.
    """

    fields: dict[str, TailField]
    texts: SortedTexts

    @staticmethod
    def wanted(fields: Sequence[Field]) -> bool:
        """Whether a vocabulary can grow: buckets are fixed, and a hash has a code for every text."""
        return all(f.kind != "numeric" and f.hash_buckets is None for f in fields)

    @staticmethod
    def of(
        raw: RawVocabulary, codes: np.ndarray, *, stored: np.ndarray, first_row: int, scratch: Path | None = None
    ) -> Tail:
        """Gather the tail of freshly coded rows.

        Args:
            raw: Their texts and ids.
            codes: The code of each text `[v]`.
            stored: Boolean `[N]`: rows that are stored.
            first_row: Source number of raw row 0.
            scratch: A folder for many texts (see `SortedTexts.join`).
        """
        other = codes == OTHER
        kept = raw.texts.keep(other, scratch=scratch)
        into = np.cumsum(other, dtype=np.uint32) - np.uint32(1)  # place among all texts to place among the kept ones
        into[~other] = NONE
        into = np.append(into, NONE)  # of what is missing
        lut = np.full(len(raw.places) + 1, NONE, dtype=np.uint32)
        for start in range(0, len(raw.places), _PIECE):
            piece = slice(start, min(start + _PIECE, len(raw.places)))
            lut[piece] = np.take(into, raw.places[piece], mode="clip")
        del into, other
        fields: dict[str, TailField] = {}
        for f in raw.fields:
            rows, places = [], []
            for start in range(0, len(f.ids), _PIECE):
                found = np.take(lut, f.ids[start : start + _PIECE], mode="clip")
                at = np.flatnonzero(found != NONE)
                places.append(found[at])
                rows.append(at + start)
            row = np.concatenate(rows) if rows else np.zeros(0, dtype=np.int64)
            place = np.concatenate(places) if places else np.zeros(0, dtype=np.uint32)
            item = None
            if f.offsets is not None:
                of = np.searchsorted(f.offsets, row, side="right") - 1
                item, row = row - f.offsets[of], of
            keep = stored[row]
            fields[f.field.name] = TailField(
                rows=row[keep] + first_row, items=None if item is None else item[keep], places=place[keep]
            )
        return Tail(fields=fields, texts=kept)

    def joined(self, stays: np.ndarray, new: Tail) -> Tail:
        """Return the tail of both, without the old texts that have a code now.

        Args:
            stays: Boolean `[v]`: this tail's texts that still have none.
            new: The tail of further rows.
        """
        series = [*self.texts.keep(stays).chunks(_PIECE), *new.texts.chunks(_PIECE)]
        texts = SortedTexts.of(pl.concat(series).unique()) if series else new.texts
        of_old, of_new = (
            np.concatenate([texts.find(s) for s in t.texts.chunks(_PIECE)] or [np.zeros(0)]) for t in (self, new)
        )
        fields: dict[str, TailField] = {}
        for name, cells in self.fields.items():
            kept, further = cells.pick(stays[cells.places]), new.fields[name]
            fields[name] = TailField(
                rows=np.concatenate([kept.rows, further.rows]),
                items=None
                if kept.items is None or further.items is None
                else np.concatenate([kept.items, further.items]),
                places=np.concatenate([of_old[kept.places], of_new[further.places]]).astype(np.uint32),
            )
        return Tail(fields=fields, texts=texts).trimmed()

    def trimmed(self) -> Tail:
        """Return the tail without texts that stand nowhere."""
        used = np.zeros(len(self.texts), dtype=bool)
        for f in self.fields.values():
            used[f.places] = True
        into = (np.cumsum(used) - 1).astype(np.uint32)
        return Tail(
            fields={k: TailField(rows=f.rows, items=f.items, places=into[f.places]) for k, f in self.fields.items()},
            texts=self.texts.keep(used),
        )

    def save(self, folder: Path, number: int) -> None:
        """Write into a table's folder, as the tail of vocabulary `number`."""
        self.texts.save(folder / f"tail_{number}.arrow")
        for i, f in enumerate(self.fields.values()):
            np.save(folder / f"tail_{number}_{i}.rows.npy", f.rows, allow_pickle=False)
            np.save(folder / f"tail_{number}_{i}.places.npy", f.places, allow_pickle=False)
            if f.items is not None:
                np.save(folder / f"tail_{number}_{i}.items.npy", f.items, allow_pickle=False)

    @staticmethod
    def load(folder: Path, number: int, fields: Sequence[Field]) -> Tail:
        """Load what `save` wrote."""
        found = {
            f.name: TailField(
                rows=read_array(folder / f"tail_{number}_{i}.rows.npy", mapped=True),
                items=read_array(folder / f"tail_{number}_{i}.items.npy", mapped=True) if f.is_list else None,
                places=read_array(folder / f"tail_{number}_{i}.places.npy", mapped=True),
            )
            for i, f in enumerate(fields)
        }
        return Tail(fields=found, texts=SortedTexts.load(folder / f"tail_{number}.arrow"))


def merged(
    a: SortedTexts, counts_a: np.ndarray, b: SortedTexts, counts_b: np.ndarray
) -> tuple[SortedTexts, np.ndarray]:
    """Return the union of two sets of texts with their counts added."""
    series = [*a.chunks(_PIECE), *b.chunks(_PIECE)]
    if not series:
        return a, counts_a
    both = pl.DataFrame({"text": pl.concat(series), "count": np.concatenate([counts_a, counts_b]).astype(np.int64)})
    added = both.group_by("text").sum()
    texts = SortedTexts.of(added["text"])
    counts = np.zeros(len(texts), dtype=np.int64)
    counts[texts.find(added["text"])] = added["count"].to_numpy()
    return texts, counts
