"""Difference of two applied feature sets: by the texts of values, so that the two may decide on different Encoders."""

from __future__ import annotations

from typing import Literal

import numpy as np
import polars as pl

from ctrsel.data.applied import AppliedFeatureSet
from ctrsel.data.vocabulary import Vocabulary
from ctrsel.records.feature_set import RESERVED
from ctrsel.records.schema import Field
from ctrsel.records.set_difference import FieldDifference, SetDifference

__all__ = ["difference"]

_KINDS = ("gained", "lost", "merged", "parted")


def difference(before: AppliedFeatureSet, after: AppliedFeatureSet, *, top: int = 5) -> SetDifference:
    """Say what changes from one feature set to another.

    Args:
        before: The old one.
        after: The new one.
        top: So many texts of each kind and field are told, the most frequent ones in training; of merged values, those
            of the most frequent groups.

    Returns:
        The difference. Fields of hash buckets are compared by the numbers of their buckets.
    """
    old, new = ({f.name: f for f in s.encoder.fields} for s in (before, after))
    found: list[FieldDifference] = []
    same: list[str] = []
    for name in dict.fromkeys([*old, *new]):
        told = _field(name, old.get(name), new.get(name), before, after, top=top)
        if told is None:
            same.append(name)
        else:
            found.append(told)
    return SetDifference(fields=tuple(found), same=tuple(same))


def _field(
    name: str, old: Field | None, new: Field | None, before: AppliedFeatureSet, after: AppliedFeatureSet, *, top: int
) -> FieldDifference | None:
    codes, rows, sizes = [], [], []
    for field, of in ((old, before), (new, after)):
        vocabulary = None if field is None or field.is_float else of.encoder.vocabularies[field.vocabulary]
        texts, own, counts = _known(vocabulary)
        codes.append(dict(zip(texts, own, strict=True)))
        rows.append(dict(zip(texts, counts, strict=True)))
        sizes.append(0 if vocabulary is None else vocabulary.size - RESERVED)
    both = [t for t in codes[0] if t in codes[1]]
    kinds: dict[str, list[str]] = {
        "gained": [t for t in codes[1] if t not in codes[0]],
        "lost": [t for t in codes[0] if t not in codes[1]],
        **_regrouped(both, [codes[0][t] for t in both], [codes[1][t] for t in both]),
    }
    if old is not None and new is not None and not any(kinds.values()):
        return None
    change: Literal["added", "removed", "changed"]
    change = "added" if old is None else "removed" if new is None else "changed"
    sensitive = any(f is not None and f.sensitive for f in (old, new))

    def most(kind: str) -> tuple[str, ...]:
        of = rows[0] if kind == "lost" else rows[1]
        return tuple(sorted(kinds[kind], key=lambda t: (-of[t], t))[:top])

    return FieldDifference(
        name=name,
        change=change,
        before=sizes[0],
        after=sizes[1],
        gained=len(kinds["gained"]),
        lost=len(kinds["lost"]),
        merged=len(kinds["merged"]),
        parted=len(kinds["parted"]),
        top={kind: most(kind) for kind in _KINDS if kinds[kind]} if not sensitive else {},
        sensitive=sensitive,
    )


def _known(vocabulary: Vocabulary | None) -> tuple[list[str], list[int], list[int]]:
    """Return the texts of a vocabulary, the code of each, and the training rows of that code."""
    if vocabulary is None:
        return [], [], []
    if vocabulary.hashed is not None:
        from ctrsel.data.applied import hashed_codes

        pairs = [(f"(bucket {b})", c) for b, c in enumerate(hashed_codes(vocabulary)) if c >= RESERVED]
        texts, codes = [t for t, _ in pairs], np.array([c for _, c in pairs], dtype=np.int64)
    else:
        texts, codes = vocabulary.values.to_list(), np.asarray(vocabulary.codes)
    return texts, codes.tolist(), np.asarray(vocabulary.counts)[codes].tolist()


def _regrouped(texts: list[str], before: list[int], after: list[int]) -> dict[str, list[str]]:
    """Return the texts that are taken together with others in one of two partitions only."""
    frame = pl.DataFrame(
        {"text": texts, "old": before, "new": after}, schema={"text": pl.String, "old": pl.Int64, "new": pl.Int64}
    )
    one = pl.len().over("old", "new")
    return {
        "merged": frame.filter(pl.len().over("new") > one)["text"].to_list(),
        "parted": frame.filter(pl.len().over("old") > one)["text"].to_list(),
    }
