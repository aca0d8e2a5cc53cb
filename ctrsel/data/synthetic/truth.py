"""Truth: what is so about a planted table, known by the way in which it was made; nothing in it is estimated from rows.

Rates, information, AUC and log-loss are those of the population that the rows are drawn from, in nats where they have a
unit. A finding on a table of N rows scatters around them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from ctrsel.core.errors import DataError, unknown_name

__all__ = ["ConversionTruth", "DriftTruth", "FieldTruth", "LeakTruth", "PairTruth", "Truth", "ValueTruth"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldTruth:
    """What is so about a column.

    Attributes:
        kind: "strong", "weak", "signal", "redundant", "derived", "xor", "numeric", "tags", "sequence", "target",
            "leak" or "noise".
        values: V, how many different values it can have; None for numbers and for row numbers.
        effect: Standard deviation over the rows of what it adds to the log-odds.
        informative: Whether it tells anything about the label, alone or beside other fields, before the outcome.
        information: Mutual information of the field alone and the label, nats; None where it depends on the rows.
        auc: AUC of the best score of the field alone; None where it depends on the rows.
        adds: Log-loss, nats per row, by which the best model gets worse without this field, those that say the same
            and its partner; None for leaks.
        redundant_with: All fields that say the same, wholly or in part.
        partner: The field without which it tells nothing.
        determined_by: A field whose value fixes this one's.
        recent: Of a sequence, how many of its last items count, so that order matters; None = all count alike.
    """

    kind: str
    values: int | None
    effect: float
    informative: bool
    information: float | None
    auc: float | None
    adds: float | None
    redundant_with: tuple[str, ...] = ()
    partner: str | None = None
    determined_by: str | None = None
    recent: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PairTruth:
    """What two fields tell together.

    Attributes:
        left: A column.
        right: Another.
        information: Of both together and the label, nats.
        synergy: The same less what each tells alone, nats.
    """

    left: str
    right: str
    information: float
    synergy: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ValueTruth:
    """What is so about the values of a field, all `[V]`, in the order of their codes.

    Attributes:
        share: Share of the rows, at the beginning, among those that have a value.
        effect: What the value adds to the log-odds (at the beginning, if effects drift).
        rate: Rate of the label among its rows.
        group: Values of one group have the same effect; -1 = none.
    """

    share: Floats
    effect: Floats
    rate: Floats
    group: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class LeakTruth:
    """How a column gives the label away.

    Attributes:
        column: Its name.
        how: "label copy", "filled after", "value", "target encoding", "row order" or "group".
        value: Text of the value that does it; None if it is not a single one.
    """

    column: str
    how: str
    value: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftTruth:
    """What changes over time.

    Attributes:
        column: A field, or the label.
        what: "popularity" (share of rows moved at the end), "new values" (the same, to values that are new), "effect"
            (factor at the end), "appears" or "vanishes" (the moment, from 0 to 1), "shift" (of numbers, in standard
            deviations at the end), or "rate" (log-odds added at the end).
        size: In the unit of `what`.
    """

    column: str
    what: str
    size: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversionTruth:
    """What is so about the second label.

    Attributes:
        label: Its name.
        rate: Share of the positive rows of the first label that end up positive.
        observed: The same share as the log shows it at the table's end, when young rows have had too little time.
        bayes_auc: AUC of the true rates among the positive rows of the first label.
        bayes_log_loss: Their log-loss there, nats.
        effects: Standard deviation of what each field adds to its log-odds.
    """

    label: str
    rate: float
    observed: float
    bayes_auc: float
    bayes_log_loss: float
    effects: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """What is so about a planted table.

    Attributes:
        rows: N.
        seed: Of the table.
        label: The first label.
        base: Log-odds of a row to which nothing is added.
        rate: Rate of the label.
        entropy: Of the label, nats: the log-loss of the best constant.
        bayes_auc: AUC of the true rates, given the fields known before the outcome and the time; no model does better.
        bayes_log_loss: Log-loss of the true rates, nats.
        fields: By column, in the order of the parts.
        pairs: Pairs that tell more together than alone.
        values: By column, for fields whose values do something by themselves.
        leaks: What gives the label away.
        drifts: What changes over time.
        conversion: About the second label.
        session_rows: Mean length of a session in rows; None if rows do not depend on each other. With sessions, tests
            that presume independent rows are wrong.
    """

    rows: int
    seed: int
    label: str
    base: float
    rate: float
    entropy: float
    bayes_auc: float
    bayes_log_loss: float
    fields: Mapping[str, FieldTruth]
    pairs: tuple[PairTruth, ...] = ()
    values: Mapping[str, ValueTruth] = field(default_factory=dict)
    leaks: tuple[LeakTruth, ...] = ()
    drifts: tuple[DriftTruth, ...] = ()
    conversion: ConversionTruth | None = None
    session_rows: float | None = None

    def named(self, *kinds: str) -> list[str]:
        """Return the columns of these kinds; without a kind, those that are informative.

        Examples:
            >>> one = FieldTruth(kind="noise", values=2, effect=0, informative=False, information=0, auc=0.5, adds=0)
            >>> Truth(rows=1, seed=0, label="y", base=0, rate=0.5, entropy=0.7, bayes_auc=0.5, bayes_log_loss=0.7,
            ...       fields={"a": one}).named("noise")
            ['a']
        """
        return [n for n, f in self.fields.items() if (f.kind in kinds if kinds else f.informative)]

    def value_frame(self, column: str) -> pl.DataFrame:
        """Return `value` (its text in the table), `share`, `effect`, `rate` and `group`, a row a value.

        Raises:
            ConfigError: If the values of the column do nothing by themselves.
        """
        if column not in self.values:
            raise unknown_name("field with effects by value", column, self.values)
        of = self.values[column]
        codes = pl.Series("value", np.arange(len(of.share)))
        return pl.DataFrame(
            {
                "value": pl.select(pl.format("{}={}", pl.lit(column), codes)).to_series(),
                "share": of.share,
                "effect": of.effect,
                "rate": of.rate,
                "group": of.group,
            }
        )

    def save(self, path: str | Path) -> None:
        """Write as JSON."""
        plain = asdict(replace(self, values={}))
        plain["values"] = {
            name: {key: getattr(of, key).tolist() for key in ("share", "effect", "rate", "group")}
            for name, of in self.values.items()
        }
        Path(path).write_text(json.dumps(plain, allow_nan=False), encoding="utf-8")

    @staticmethod
    def load(path: str | Path) -> Truth:
        """Read what `save` wrote.

        Raises:
            DataError: If the file is not a truth.
        """
        try:
            plain: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
            conversion = plain.pop("conversion")
            values = plain.pop("values")
            fields = plain.pop("fields")
            return Truth(
                fields={
                    n: FieldTruth(**{**f, "redundant_with": tuple(f["redundant_with"])}) for n, f in fields.items()
                },
                pairs=tuple(PairTruth(**p) for p in plain.pop("pairs")),
                leaks=tuple(LeakTruth(**p) for p in plain.pop("leaks")),
                drifts=tuple(DriftTruth(**p) for p in plain.pop("drifts")),
                conversion=None if conversion is None else ConversionTruth(**conversion),
                values={n: _value_truth(v) for n, v in values.items()},
                **plain,
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(f"{path}: not the truth of a planted table: {error}") from error


def _value_truth(plain: Mapping[str, Any]) -> ValueTruth:
    share, effect, rate = (np.asarray(plain[k], dtype=np.float64) for k in ("share", "effect", "rate"))
    return ValueTruth(share=share, effect=effect, rate=rate, group=np.asarray(plain["group"], dtype=np.int64))
