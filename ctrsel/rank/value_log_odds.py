"""ValueLogOdds: which values of which field carry it: log-odds with shrinkage and interval, a test, their information.

References: Monroe, Colaresi and Quinn, "Fightin' words", 2008 (log-odds of single items with a prior); Morris, "Parametric
empirical Bayes inference", 1983 (the prior from the values themselves); Benjamini and Hochberg, "Controlling the false
discovery rate", 1995 (q).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from ctrsel.core.catalog import describe
from ctrsel.core.errors import ConfigError
from ctrsel.rank._contract import CountRanker
from ctrsel.rank._nulls import dependence_notes
from ctrsel.records.ranking import Ranking
from ctrsel.stats.multiple import benjamini_hochberg
from ctrsel.stats.value_effects import ValueEffects, value_effects

if TYPE_CHECKING:
    import polars as pl

    from ctrsel.rank.counts import TableCounts

__all__ = ["ValueLogOdds"]

_UNITS = {"effect": "nats", "log_odds": "log-odds", "z": "sd"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueLogOdds(CountRanker):
    """Every value of every field against all training rows of the field.

    Columns of the ranking: `value` (its text; its code where texts are not at hand), `rows`, `positives`, `rate`,
    `log_odds` (of the value less those of all rows, drawn to 0 by as much as the field's values differ beyond chance),
    `low` and `high` (its 95 % interval), `z` (positive rows less their mean under shuffled labels, in standard
    deviations), `p` (exact, two-sided), `q` (Benjamini-Hochberg over all values of all fields), `mi` (the value's term of
    the field's information), `expected_mi` (its mean under shuffled labels), `mi_minus_expected` (all in nats per row;
    over all values of a field they add up to the field's), `share` (of the field's; null where the field has no
    value with a `q` of at most `alpha`).
    Missing and rare cells are values as well.

    Attributes:
        by: What the score is. "effect": `mi_minus_expected` where `q` is at most `alpha`, 0 where chance may explain the
            value. "log_odds" and "z": the size of these columns, `log_odds` 0 where chance may explain it.
        alpha: Share of false discoveries among the values with a score, for "effect" and "log_odds".
        top: How many values the ranking lists, over all fields.
        per_field: How many values of each field it lists at least.
    """

    by: Literal["effect", "log_odds", "z"] = "effect"
    alpha: float = 0.05
    top: int = 1000
    per_field: int = 10

    def __post_init__(self) -> None:
        if self.by not in _UNITS:
            raise ConfigError(f"value_log_odds.by: must be one of {', '.join(_UNITS)}, got {self.by!r}")
        if not 0 < self.alpha < 1:
            raise ConfigError(f"value_log_odds.alpha: must be between 0 and 1, got {self.alpha}")
        if self.top < 1:
            raise ConfigError(f"value_log_odds.top: must be at least 1, got {self.top}")
        if self.per_field < 0:
            raise ConfigError(f"value_log_odds.per_field: must not be negative, got {self.per_field}")

    def score(self, counts: TableCounts) -> Ranking:
        """Rank the values; ties stand in the order of |z|, then of the fields, then of the codes."""
        refused = dict(counts.refused)
        found: dict[str, ValueEffects] = {}
        for name, field in counts.fields.items():
            effects = value_effects(field.train.positives, field.train.totals)
            if effects is None:
                refused[name] = "the training rows are of one class, or there are none"
            else:
                found[name] = effects
        order, q, scored = self._order(found)
        frame = self._frame(counts, found, order, q)
        return Ranking(
            method="value_log_odds",
            params=describe(self),
            unit=_UNITS[self.by],
            null="exact distribution of a value's positive rows under shuffled labels",
            frame=frame,
            refused=refused,
            notes=(
                *counts.notes,
                *dependence_notes(counts),
                f"{scored:,} values were scored, the first {frame.height:,} are listed",
            ),
            table=counts.table,
            item="value",
        )

    def _order(self, found: dict[str, ValueEffects]) -> tuple[list[tuple[str, int, float]], dict[str, np.ndarray], int]:
        """Return the listed values (field, code, score) best first, the q-values by field `[C]`, and how many there are."""
        sizes = [e.totals.size for e in found.values()]
        repeats = np.concatenate([e.repeats for e in found.values()] or [np.zeros(0, np.int64)])
        p = np.concatenate([e.p_value for e in found.values()] or [np.zeros(0)])
        # A false discovery is a value, not a case: each case stands as often as it has values.
        first = np.cumsum(repeats) - repeats
        q_of = benjamini_hochberg(np.repeat(p, repeats))[first] if repeats.size else p
        q = dict(zip(found, np.split(q_of, np.cumsum(sizes)[:-1]), strict=True)) if found else {}
        listed: list[tuple[float, float, int, int]] = []
        for place, (name, effects) in enumerate(found.items()):
            score, size = self._score(effects, q[name]), np.abs(effects.z)
            # Best cases first, until their values are enough; then the values themselves, in the order of their codes.
            best = np.lexsort((-size, -score))
            enough = int(np.searchsorted(np.cumsum(effects.repeats[best]), max(self.top, self.per_field))) + 1
            wanted = np.zeros(effects.totals.size, dtype=bool)
            wanted[best[:enough]] = True
            codes = np.flatnonzero((effects.case >= 0) & wanted[effects.case])
            case = effects.case[codes]
            ranked = np.lexsort((codes, -size[case], -score[case]))[: max(self.top, self.per_field)]
            listed += [(-score[case[i]], -size[case[i]], place, int(codes[i])) for i in ranked.tolist()]
        names, seen, kept = list(found), Counter[int](), []
        for i, (score_, _, place, code) in enumerate(sorted(listed)):
            seen[place] += 1
            if i < self.top or seen[place] <= self.per_field:
                kept.append((names[place], code, -float(score_) + 0.0))
        return kept, q, int(repeats.sum())

    def _score(self, effects: ValueEffects, q: np.ndarray) -> np.ndarray:
        if self.by == "z":
            return np.abs(effects.z)
        size = effects.information - effects.expected if self.by == "effect" else np.abs(effects.log_odds)
        return np.where(q <= self.alpha, np.maximum(size, 0.0), 0.0)

    def _frame(
        self,
        counts: TableCounts,
        found: dict[str, ValueEffects],
        order: list[tuple[str, int, float]],
        q: dict[str, np.ndarray],
    ) -> pl.DataFrame:
        import polars as pl

        texts: dict[tuple[str, int], str] = {}
        for name in found:
            codes = [code for field, code, _ in order if field == name]
            texts |= {(name, c): t for c, t in zip(codes, _texts(counts, name, codes), strict=True)}
        told = {name for name, e in found.items() if (q[name] <= self.alpha).any() and e.excess > 0}
        excess = {name: found[name].excess for name in told}
        rows = []
        for place, (name, code, score) in enumerate(order):
            e = found[name]
            i = int(e.case[code])
            gain = float(e.information[i] - e.expected[i])
            rows.append(
                {
                    "field": name,
                    "value": texts[name, code],
                    "score": score,
                    "rank": place + 1,
                    "rows": int(e.totals[i]),
                    "positives": int(e.positives[i]),
                    "rate": float(e.positives[i] / e.totals[i]),
                    "log_odds": float(e.log_odds[i]),
                    "low": float(e.low[i]),
                    "high": float(e.high[i]),
                    "z": float(e.z[i]),
                    "p": float(e.p_value[i]),
                    "q": float(q[name][i]),
                    "mi": float(e.information[i]),
                    "expected_mi": float(e.expected[i]),
                    "mi_minus_expected": gain,
                    "share": gain / excess[name] if name in excess else None,
                }
            )
        text, whole = {"field", "value"}, {"rank", "rows", "positives"}
        columns = (
            "field value score rank rows positives rate log_odds low high z p q mi expected_mi mi_minus_expected share"
        )
        schema = {c: pl.String if c in text else pl.Int64 if c in whole else pl.Float64 for c in columns.split()}
        return pl.DataFrame(rows, schema=schema)


def _texts(counts: TableCounts, field: str, codes: list[int]) -> list[str]:
    """Return a text for each code, no two alike."""
    if not codes:
        return []
    names = [str(c) for c in codes]
    if counts.value_names is not None:
        names = list(counts.value_names(field, np.array(codes, dtype=np.int64)))
    often = Counter(names)
    return [f"{t} (code {c})" if often[t] > 1 else t for t, c in zip(names, codes, strict=True)]
