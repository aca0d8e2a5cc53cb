"""FeatureSet: the decision which fields and values earn their place, as a partition of each field's codes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ctrsel.core.artifact import atomic_folder, digest_arrays, digest_json, read_array, read_manifest
from ctrsel.core.errors import DataError

__all__ = ["HIDDEN", "MISSING", "OTHER", "RESERVED", "FeatureSet", "FeatureSetDiff", "regrouped"]

MISSING, OTHER, HIDDEN = 0, 1, 2
RESERVED = 3  # codes 0..2 have a fixed meaning in every vocabulary; values start here


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureSetDiff:
    """What changes from one feature set to another: field names, and numbers of values per vocabulary.

    Attributes:
        fields_added: Fields that only the new set keeps.
        fields_removed: Fields that only the old one keeps.
        values_added: Values that only the new set keeps; vocabularies without any are left out, here and below.
        values_removed: Values that only the old one keeps.
        values_merged: Values that both keep, and that share their code with others of these in the new set only.
        values_parted: Likewise, in the old set only.
    """

    fields_added: tuple[str, ...]
    fields_removed: tuple[str, ...]
    values_added: Mapping[str, int]
    values_removed: Mapping[str, int]
    values_merged: Mapping[str, int]
    values_parted: Mapping[str, int]

    @property
    def nothing(self) -> bool:
        """Whether both keep the same."""
        return not any(
            (self.fields_added, self.fields_removed, self.values_added, self.values_removed, self.values_merged,
             self.values_parted)
        )  # fmt: skip


def regrouped(before: np.ndarray, after: np.ndarray) -> tuple[int, int]:
    """Return how many values share a code with another one after but not before, and before but not after.

    Args:
        before: Code of each value `[n]`.
        after: Likewise.

    Examples:
        >>> regrouped(np.array([3, 4, 5, 6]), np.array([3, 3, 3, 4])), regrouped(np.array([3, 3, 4]), np.array([3, 4, 5]))
        ((3, 0), (0, 2))
    """
    size = len(before)
    if not size:
        return 0, 0
    together = np.unique(np.stack([before, after]), axis=1, return_inverse=True, return_counts=True)
    pairs = together[2][together[1].ravel()]
    mates_before, mates_after = (np.bincount(c)[c] for c in (before, after))
    return int((mates_after > pairs).sum()), int((mates_before > pairs).sum())


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureSet:
    """Which fields and values are kept.

    The partition is keyed by vocabulary, since fields that share a vocabulary share its codes. `remaps[v][code]` is
    the new, dense code of an old one: reserved codes stay, a dropped value goes to `OTHER`, merged values share a code.

    Attributes:
        fields: Kept fields in table order. A field that stays a float is kept or dropped as a whole.
        remaps: Per vocabulary uint32 `[V]`, V = the vocabulary's codes before (reserved ones included).
        other: What row `OTHER` starts as in the retrained net: "zero", or "learned" from the dropped values' rows.
        scores: Per vocabulary float64 `[V]`: how strongly a value was wanted (a gate's parameter, a frequency); NaN = none.
        field_scores: By field, how strongly it was wanted, where the method decides on fields; None = no such scores.
        refused: Per vocabulary bool `[V]`: values that the method wants at no size; None = it refuses none.
        refused_fields: Fields that it wants at no size, where it decides on fields.
        method: Name of the selector.
        params: Its `{use: ..., parameters}`.
        encoder: Digest of the Encoder whose codes `remaps` maps.
        evidence: Digests of the Rankings that it rests on.

    Shape:
        V: codes of one vocabulary.
    """

    fields: tuple[str, ...]
    remaps: Mapping[str, np.ndarray]
    other: Literal["zero", "learned"] = "learned"
    scores: Mapping[str, np.ndarray] | None = None
    field_scores: Mapping[str, float] | None = None
    refused: Mapping[str, np.ndarray] | None = None
    refused_fields: tuple[str, ...] = ()
    method: str
    params: Mapping[str, Any]
    encoder: str
    evidence: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(set(self.fields)) != len(self.fields):
            raise DataError("feature set: each field is kept once")
        for name, score in (self.scores or {}).items():
            if name not in self.remaps or score.shape != self.remaps[name].shape:
                raise DataError(f"feature set: the scores of {name!r} must have one number per code that it maps")
        for name, mask in (self.refused or {}).items():
            if name not in self.remaps or mask.shape != self.remaps[name].shape or mask.dtype != np.bool_:
                raise DataError(
                    f"feature set: what is refused of {name!r} must be one truth value per code that it maps"
                )
        for name, remap in self.remaps.items():
            if remap.ndim != 1 or remap.dtype != np.uint32 or len(remap) < RESERVED:
                raise DataError(
                    f"feature set: the remap of {name!r} must be uint32 [V >= {RESERVED}], got {remap.dtype} {remap.shape}"
                )
            if remap[:RESERVED].tolist() != [MISSING, OTHER, HIDDEN]:
                raise DataError(
                    f"feature set: {name!r} must leave the reserved codes as they are, got {remap[:RESERVED].tolist()}"
                )
            values = remap[RESERVED:]
            if np.isin(values, (MISSING, HIDDEN)).any():
                raise DataError(f"feature set: a value of {name!r} is mapped to a reserved code other than {OTHER}")
            used = np.unique(values[values != OTHER])
            if not np.array_equal(used, np.arange(RESERVED, RESERVED + len(used), dtype=np.uint32)):
                raise DataError(f"feature set: the new codes of {name!r} must be dense from {RESERVED}")

    @staticmethod
    def from_keep(
        keep: Mapping[str, np.ndarray],
        *,
        fields: tuple[str, ...],
        method: str,
        params: Mapping[str, Any],
        encoder: str,
        other: Literal["zero", "learned"] = "learned",
        scores: Mapping[str, np.ndarray] | None = None,
        evidence: tuple[str, ...] = (),
    ) -> FeatureSet:
        """Build from one boolean mask `[V]` per vocabulary (reserved codes are kept whatever it says); order is kept.

        Examples:
            >>> fs = FeatureSet.from_keep({"ad": np.array([1, 1, 1, 1, 0, 1], bool)}, fields=("ad",), method="toy",
            ...                           params={}, encoder="")
            >>> fs.remaps["ad"].tolist(), fs.n_values
            ([0, 1, 2, 3, 1, 4], 2)
        """
        remaps = {}
        for name, mask in keep.items():
            wanted = np.asarray(mask, dtype=bool).copy()
            wanted[:RESERVED] = True
            new = np.cumsum(wanted).astype(np.uint32) - 1
            remaps[name] = np.where(wanted, new, OTHER).astype(np.uint32)
        return FeatureSet(
            fields=fields,
            remaps=remaps,
            other=other,
            scores=scores,
            method=method,
            params=params,
            encoder=encoder,
            evidence=evidence,
        )

    @property
    def n_fields(self) -> int:
        """How many fields are kept."""
        return len(self.fields)

    @property
    def n_values(self) -> int:
        """How many distinct values are kept, over all vocabularies, reserved codes not counted."""
        return sum(len(np.unique(r[RESERVED:][r[RESERVED:] != OTHER])) for r in self.remaps.values())

    def kept(self, vocabulary: str) -> np.ndarray:
        """Boolean `[V]`: which codes of a vocabulary are kept (reserved ones always)."""
        mask = np.asarray(self.remaps[vocabulary] != OTHER)
        mask[OTHER] = True
        return mask

    def diff(self, new: FeatureSet) -> FeatureSetDiff:
        """Say what changes from this set to `new`; both must decide on the same Encoder's codes.

        `AppliedFeatureSet.diff` tells the values by their texts, and compares sets of different Encoders.

        Raises:
            DataError: If they are about different Encoders.
        """
        if self.encoder != new.encoder:
            raise DataError(f"feature sets are about different encoders: {self.encoder} and {new.encoder}")
        added, removed, merged, parted = {}, {}, {}, {}
        for name in sorted({*self.remaps, *new.remaps}):
            size = len(self.remaps[name]) if name in self.remaps else len(new.remaps[name])
            before = self.kept(name) if name in self.remaps else np.zeros(size, bool)
            after = new.kept(name) if name in new.remaps else np.zeros(size, bool)
            added[name] = int((after & ~before)[RESERVED:].sum())
            removed[name] = int((before & ~after)[RESERVED:].sum())
            both = np.flatnonzero(before & after)
            both = both[both >= RESERVED]
            if name in self.remaps and name in new.remaps:
                merged[name], parted[name] = regrouped(self.remaps[name][both], new.remaps[name][both])
        return FeatureSetDiff(
            fields_added=tuple(f for f in new.fields if f not in self.fields),
            fields_removed=tuple(f for f in self.fields if f not in new.fields),
            values_added={k: v for k, v in added.items() if v},
            values_removed={k: v for k, v in removed.items() if v},
            values_merged={k: v for k, v in merged.items() if v},
            values_parted={k: v for k, v in parted.items() if v},
        )

    def _head(self) -> dict[str, Any]:
        return {
            "fields": list(self.fields),
            "other": self.other,
            "method": self.method,
            "params": dict(self.params),
            "encoder": self.encoder,
            "evidence": list(self.evidence),
            "vocabularies": list(self.remaps),
        }

    @property
    def digest(self) -> str:
        """Digest of the decision (scores and what was refused are evidence and do not count)."""
        head = {**self._head(), "vocabularies": sorted(self.remaps)}
        return digest_json({**head, "remaps": digest_arrays(self.remaps)})

    def save(self, path: Path, *, beside: Callable[[Path], None] | None = None) -> None:
        """Save as a folder: the manifest and one `.npy` per vocabulary and kind.

        Args:
            path: The folder.
            beside: Writes what else belongs into the folder that it is given, before that is put in place.
        """
        with atomic_folder(
            path,
            manifest={
                "format": "ctrsel.feature_set",
                "version": 1,
                **self._head(),
                "scored": None if self.scores is None else sorted(self.scores),
                # JSON has no numbers for what is none.
                "field_scores": None
                if self.field_scores is None
                else {n: s if math.isfinite(s) else None for n, s in self.field_scores.items()},
                "refused": None if self.refused is None else sorted(self.refused),
                "refused_fields": list(self.refused_fields),
            },
        ) as folder:
            for i, name in enumerate(self.remaps):
                np.save(folder / f"remap_{i}.npy", self.remaps[name], allow_pickle=False)
                if self.scores is not None and name in self.scores:
                    np.save(folder / f"score_{i}.npy", self.scores[name], allow_pickle=False)
                if self.refused is not None and name in self.refused:
                    np.save(folder / f"refused_{i}.npy", self.refused[name], allow_pickle=False)
            if beside is not None:
                beside(folder)

    @staticmethod
    def load(path: Path) -> FeatureSet:
        """Load what `save` wrote."""
        m = read_manifest(path, format="ctrsel.feature_set", version=1)
        try:
            return FeatureSet._read(Path(path), m)
        except (KeyError, TypeError, AttributeError) as error:
            raise DataError(f"{path}: the manifest is no feature set's: {type(error).__name__}: {error}") from error

    @staticmethod
    def _read(path: Path, m: Mapping[str, Any]) -> FeatureSet:
        place = {n: i for i, n in enumerate(m["vocabularies"])}
        remaps = {n: read_array(path / f"remap_{i}.npy") for n, i in place.items()}
        scores = None
        if m["scored"] is not None:
            scores = {n: read_array(path / f"score_{place[n]}.npy") for n in m["scored"]}
        refused = None
        if m.get("refused") is not None:
            refused = {n: read_array(path / f"refused_{place[n]}.npy") for n in m["refused"]}
        return FeatureSet(
            fields=tuple(m["fields"]),
            remaps=remaps,
            other=m["other"],
            scores=scores,
            field_scores=None
            if m.get("field_scores") is None
            else {n: math.nan if s is None else s for n, s in m["field_scores"].items()},
            refused=refused,
            refused_fields=tuple(m.get("refused_fields", ())),
            method=m["method"],
            params=m["params"],
            encoder=m["encoder"],
            evidence=tuple(m["evidence"]),
        )
