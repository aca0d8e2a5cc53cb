"""Account of a selection: why each field and value was kept, merged or dropped, read off the method's own evidence."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
from polars.io.plugins import register_io_source

from ctrsel.core.errors import ConfigError
from ctrsel.data.applied import AppliedFeatureSet
from ctrsel.data.table import Ragged, Table
from ctrsel.records.evaluation import Metric
from ctrsel.records.feature_set import MISSING, OTHER, RESERVED, FeatureSet
from ctrsel.records.schema import Field, Schema
from ctrsel.records.selection_account import VALUE_COLUMNS, FieldAccount, Reason, SelectionAccount
from ctrsel.select._wishes import merged_groups

__all__ = ["account"]

_REFUSES = "the method wants it at no size"
_PIECE = 1 << 20  # values that are told at a time


def account(
    table: Table,
    features: FeatureSet,
    *,
    always_keep: Sequence[str] = (),
    groups: Sequence[Sequence[str]] = (),
    whole: Schema | None = None,
    auc_lost: Mapping[str, Metric] | None = None,
) -> SelectionAccount:
    """Say what became of every field and value, and why.

    Args:
        table: What was selected from; its training split is counted.
        features: The decision, with its scores and what it refuses.
        always_keep: As in the problem.
        groups: Likewise.
        whole: The schema before `never_use` took fields away; None if none were.
        auc_lost: By kept field, what the retrained model loses without it.

    Raises:
        DataError: If the decision is about another Encoder's codes.
    """
    made = _Account(
        table=table,
        features=features,
        applied=AppliedFeatureSet.of(features, table.encoder),
        always_keep=frozenset(always_keep),
        groups={f: g for g in merged_groups(groups) if len(g) > 1 for f in g},
    )
    fields = [made.field(f, (auc_lost or {}).get(f.name)) for f in table.schema.fields]
    if whole is not None:
        fields += [_never_used(f) for f in whole.fields if f.name not in table.schema.names]
    return SelectionAccount(method=features.method, cut=made.cut, fields=tuple(fields), values=made.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Words:
    """What is said of the values of a vocabulary.

    Attributes:
        vocabulary: Its name.
        field: The first field that uses it.
        secret: Whether the texts must not be told.
        new: The code that each value has after the decision, uint32 `[V]`.
        scores: The method's, float64 `[V]`.
        place: The row of `said` for each value, uint8 `[V]`.
        said: Outcomes, reasons and sentences.

    Shape:
        V: values that have a code of their own.
    """

    vocabulary: str
    field: str
    secret: bool
    new: np.ndarray
    scores: np.ndarray
    place: np.ndarray
    said: pl.DataFrame


@dataclass(frozen=True, kw_only=True)
class _Account:
    """What the reasons are read off.

    Attributes:
        table: What was selected from.
        features: The decision.
        applied: The same with its texts.
        always_keep: Fields that must stay.
        groups: By field, the group that it belongs to.
    """

    table: Table
    features: FeatureSet
    applied: AppliedFeatureSet
    always_keep: frozenset[str]
    groups: Mapping[str, tuple[str, ...]]

    @cached_property
    def remaps(self) -> Mapping[str, np.ndarray]:
        return self.table.encoder.remaps(self.features)

    @cached_property
    def forced(self) -> frozenset[str]:
        """Vocabularies of `always_keep`."""
        fields = self.table.encoder.fields
        return frozenset(f.vocabulary for f in fields if f.name in self.always_keep and not f.is_float)

    @cached_property
    def cut(self) -> float | None:
        """The lowest score that is kept."""
        if self.features.field_scores is not None:
            given, by_values = self.features.field_scores, self.features.scores is not None
            chosen = (f for f in self.table.encoder.fields if f.name in self.features.fields)
            # Floats have no values: where values are counted they take no room, and stay wherever they stand.
            scores = [
                given.get(f.name, np.nan)
                for f in chosen
                if f.name not in self.always_keep and not (f.is_float and by_values)
            ]
        else:
            scores = []
            for name, score in (self.features.scores or {}).items():
                if name not in self.forced:
                    own = np.asarray(score, dtype=np.float64)[RESERVED:]
                    kept = own[self.remaps[name][RESERVED : RESERVED + len(own)] != OTHER]
                    scores.append(float(np.nanmin(kept)) if (~np.isnan(kept)).any() else np.nan)
        known = [s for s in scores if not np.isnan(s)]
        return min(known) if known else None

    @cached_property
    def refuses(self) -> str:
        """Why the method wants something at no size."""
        from ctrsel.select import CATALOG

        try:
            words = CATALOG.load(str(self.features.params.get("use", self.features.method))).refuses
            return words.format(**self.features.params)
        except (ConfigError, KeyError, IndexError):  # somebody's own selector
            return _REFUSES

    def field(self, f: Field, auc_lost: Metric | None) -> FieldAccount:
        kept = f.name in self.features.fields
        if f.is_float:
            score = self._field_score(f)
            reason, why = self._whole(f, kept, score)
            return FieldAccount(
                name=f.name, kind=f.kind, sensitive=f.sensitive, kept=kept, reason=reason, why=why, score=score,
                values=0, values_kept=0, values_merged=0, covered=float(kept), rare=0.0, auc_lost=auc_lost,
            )  # fmt: skip
        remap = self.remaps[f.vocabulary]
        codes = remap[RESERVED:] if kept else np.full(len(remap) - RESERVED, OTHER)
        own = codes[codes != OTHER]
        times = np.bincount(own) if len(own) else np.zeros(1, dtype=np.int64)
        rows = self._rows(f)
        all_rows = max(int(rows.sum()), 1)
        scores = self._scores(f.vocabulary)
        known = scores[~np.isnan(scores)]
        score = self._field_score(f)
        best = score if score is not None else (float(known.max()) if len(known) else None)
        n, n_kept = len(codes), int(np.count_nonzero(times))
        reason, why = self._whole(f, kept, best)
        if kept and reason == "kept":
            merged = int(times[times > 1].sum())
            gone = n - len(own)
            why = "all of its values are kept" if not gone and not merged else f"{n_kept:,} of {n:,} values are kept"
            why += f", into which {merged:,} were merged" if merged else ""
        return FieldAccount(
            name=f.name, kind=f.kind, sensitive=f.sensitive, kept=kept, reason=reason, why=why, score=best,
            values=n, values_kept=n_kept, values_merged=int(times[times > 1].sum()),
            covered=float(rows[RESERVED:][codes != OTHER].sum() / all_rows), rare=float(rows[OTHER] / all_rows),
            auc_lost=auc_lost,
        )  # fmt: skip

    def _whole(self, f: Field, kept: bool, score: float | None) -> tuple[Reason, str]:
        """Return why a field is kept or dropped."""
        if kept:
            if f.name in self.always_keep:
                return "always_keep", "always_keep names it"
            return "kept", "kept as it is" if f.is_float else "kept"
        counts = np.zeros(2) if f.is_float else np.asarray(self.table.encoder.vocabulary(f.name).counts)
        if not f.is_float and np.count_nonzero(counts) < (1 if f.is_list else 2):
            return "silent", "all of its training rows look alike, so it tells nothing"
        if f.name in self.groups:
            others = ", ".join(n for n in self.groups[f.name] if n != f.name)
            return (
                "group",
                f"dropped with its group ({others}), which is not among the best that this size has room for",
            )
        refused = None if self.features.refused is None or f.is_float else self.features.refused.get(f.vocabulary)
        if f.name in self.features.refused_fields or (
            refused is not None and len(refused) > RESERVED and refused[RESERVED:].all()
        ):
            return "refused", f"dropped, since {self.refuses}"
        if self.features.field_scores is not None:
            if score is None:
                return "not_scored", "the method gave it no score"
            order = sorted(self.features.field_scores, key=lambda n: -_number(self.features.field_scores, n))
            place = order.index(f.name) + 1
            if self.cut is None or score >= self.cut:
                return "no_room", (
                    f"its score {_short(score)} is place {place} of {len(order)}; what is kept leaves no room for it at this size"
                )
            return "below_cut", (
                f"its score {_short(score)} is place {place} of {len(order)}; {len(self.features.fields)} fields are kept, "
                f"down to {_short(self.cut)}"
            )
        if score is None:
            return "not_scored", "the method gave it no score"
        if self.cut is not None and score < self.cut:
            return (
                "below_cut",
                f"the best of its values scores {_short(score)}, and {_short(self.cut)} is the lowest that is kept",
            )
        return "silent_after", "with the values that there was room for, all of its training rows would look alike"

    def values(self) -> pl.LazyFrame:
        """Return the account of all values, told piece by piece whenever it is collected: there may be millions."""

        def pieces(
            columns: list[str] | None, predicate: pl.Expr | None, n_rows: int | None, _size: int | None
        ) -> Iterator[pl.DataFrame]:
            left = n_rows
            for frame in itertools.chain.from_iterable(map(self._pieces, self.table.encoder.vocabularies)):
                found = frame if left is None else frame.head(left)
                left = None if left is None else left - found.height
                found = found if predicate is None else found.filter(predicate)
                yield found if columns is None else found.select(columns)
                if left == 0:
                    return

        return register_io_source(pieces, schema=dict(VALUE_COLUMNS))

    def _pieces(self, vocabulary: str) -> Iterator[pl.DataFrame]:
        """Yield the account of a vocabulary's values, most frequent first, and at the end that of all rare ones."""
        v, words = self.table.encoder.vocabularies[vocabulary], self._words(vocabulary)
        counts = np.asarray(v.counts)
        order = np.argsort(-counts[RESERVED:], kind="stable")
        for begin in range(0, len(order), _PIECE):
            yield self._piece(words, order[begin : begin + _PIECE])
        if rare := int(counts[OTHER]):
            last = {
                "field": words.field, "value": None, "rows": rare, "outcome": "dropped", "reason": "rare", "into": None,
                "why": "rare values, which had no code of their own before the selection", "score": None,
            }  # fmt: skip
            yield pl.DataFrame([last], schema=dict(VALUE_COLUMNS))

    def _words(self, vocabulary: str) -> _Words:
        """Return what is said of each value of a vocabulary, as places in short lists of words."""
        v = self.table.encoder.vocabularies[vocabulary]
        fields = [f for f in self.table.encoder.fields if f.vocabulary == vocabulary and not f.is_float]
        stays = any(f.name in self.features.fields for f in fields)
        size = v.size - RESERVED
        new = self.remaps[vocabulary][RESERVED:] if stays else np.full(size, OTHER, dtype=np.uint32)
        scores = self._scores(vocabulary)
        forced = vocabulary in self.forced
        said = [
            ("kept", "always_keep", "always_keep names its field") if forced else ("kept", "kept", "kept"),
            ("merged", "merged", "the method does not tell it from others, and gives them one code"),
        ]
        place = (np.bincount(new, minlength=RESERVED) > 1)[new].astype(np.uint8)
        left = new == OTHER
        if not stays:
            said.append(("dropped", "field_dropped", f"its field is dropped: {self.field(fields[0], None).why}"))
            place[left] = 2
        else:
            refused = None if self.features.refused is None else self.features.refused.get(vocabulary)
            own = np.zeros(size, bool) if refused is None else refused[RESERVED : RESERVED + size]
            below = np.zeros(size, bool) if self.cut is None or self.features.field_scores else scores < self.cut
            cases: list[tuple[np.ndarray, str, str]] = [
                (own, "refused", f"dropped, since {self.refuses}"),
                (np.isnan(scores), "not_scored", "the method gave it no score"),
                (below, "below_cut", f"its score is below {_short(self.cut)}, the lowest that is kept at this size"),
                (np.ones(size, bool), "no_room", "wanted, but the size was used up before it"),
            ]
            for where, word, sentence in cases:
                place[left & where] = len(said)
                said.append(("dropped", word, sentence))
                left &= ~where
        return _Words(
            vocabulary=vocabulary,
            field=fields[0].name,
            secret=any(f.sensitive for f in fields),
            new=new,
            scores=scores,
            place=place,
            said=pl.DataFrame(said, schema=["outcome", "reason", "why"], orient="row"),
        )

    def _piece(self, words: _Words, own: np.ndarray) -> pl.DataFrame:
        """Return the account of some values of a vocabulary, by their places."""
        v = self.table.encoder.vocabularies[words.vocabulary]
        said = words.said[words.place[own]]
        texts = into = pl.Series([None], dtype=pl.String).new_from_index(0, len(own))
        if not words.secret:
            texts = v.one_text(own + RESERVED)
            merged = said["outcome"] == "merged"
            if merged.any():
                codes = np.where(merged.to_numpy(), words.new[own], MISSING)  # which has no text
                into = self.applied.texts(words.vocabulary, codes)
        return pl.DataFrame(
            {
                "field": pl.Series([words.field]).new_from_index(0, len(own)),
                "value": texts,
                "rows": np.asarray(v.counts)[own + RESERVED],
                **{name: said[name] for name in said.columns},
                "into": into,
                "score": pl.Series(words.scores[own]).fill_nan(None),
            },
            schema=dict(VALUE_COLUMNS),
        )

    def _scores(self, vocabulary: str) -> np.ndarray:
        size = self.table.encoder.vocabularies[vocabulary].size
        given = (self.features.scores or {}).get(vocabulary)
        out = np.full(size, np.nan)
        if given is not None:
            out[: len(given)] = given
        return out[RESERVED:]

    def _field_score(self, f: Field) -> float | None:
        found = (self.features.field_scores or {}).get(f.name)
        return None if found is None or np.isnan(found) else float(found)

    def _rows(self, f: Field) -> np.ndarray:
        """Count the training rows of each code of a field, or the items of its lists."""
        column, span = self.table.columns[f.name], self.table.span("train")
        codes = column.between(span).codes if isinstance(column, Ragged) else column[span]
        return np.bincount(codes, minlength=max(self.table.encoder.size(f.name), MISSING + RESERVED))


def _never_used(f: Field) -> FieldAccount:
    why = "made of a field that select.never_use names" if f.is_cross else "select.never_use names it"
    return FieldAccount(
        name=f.name, kind=f.kind, sensitive=f.sensitive, kept=False, reason="never_use", why=why, score=None,
        values=0, values_kept=0, values_merged=0, covered=0.0, rare=0.0,
    )  # fmt: skip


def _number(scores: Mapping[str, float] | None, name: str) -> float:
    found = (scores or {}).get(name, np.nan)
    return -np.inf if np.isnan(found) else found


def _short(score: float | None) -> str:
    return "none" if score is None else f"{score:.4g}"
