"""What a fitted model makes of each field on validation rows, for selectors of fields, whatever the kind of model.

References: on the cards of the rankers and selectors that go by them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from ctrsel.core.errors import ConfigError
from ctrsel.core.seeds import derive, generator
from ctrsel.explain import explain, sample_rows
from ctrsel.rank._importance import constant_fields, loss_increase, split_gain
from ctrsel.rank._resampled import Shuffle, resolved
from ctrsel.select._wishes import merged_groups

if TYPE_CHECKING:
    from ctrsel.data.table import Table
    from ctrsel.models.model import Model
    from ctrsel.select.problem import Problem

__all__ = ["KINDS", "FieldImportance", "Kind", "check_kind", "field_importance", "row_losses", "units"]

Kind = Literal["permutation", "shark", "sfs", "shap", "gain"]
KINDS: tuple[Kind, ...] = get_args(Kind)

_BATCH = 4096  # rows that share a mask in "sfs", as in the published code
_EXPLAINED = 2000  # rows of which "shap" works out contributions at most: they cost milliseconds each


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldImportance:
    """Numbers by field.

    Attributes:
        value: Larger is more important; nats a row for "permutation", "shark" and "sfs".
        error: Standard errors, nan where there is none.
    """

    value: Mapping[str, float]
    error: Mapping[str, float]


def check_kind(kind: str, *, place: str) -> None:
    """Refuse an importance that is not known."""
    if kind not in KINDS:
        raise ConfigError(f"{place}: must be one of {', '.join(KINDS)}, got {kind!r}")


def units(problem: Problem) -> tuple[tuple[str, ...], ...]:
    """Return what stands or falls as one, groups and single fields, without fields that training rows say nothing with.

    Fields that are always kept, and what stands in a group, are there in any case.
    """
    groups = merged_groups(problem.groups)
    grouped = {name: group for group in groups for name in group}
    asked = {*grouped, *problem.always_keep}
    dull = set(constant_fields(problem.table)) - asked
    return tuple(dict.fromkeys(grouped.get(n, (n,)) for n in problem.table.schema.names if n not in dull))


def row_losses(model: Model, part: Table) -> np.ndarray:
    """Return the log-loss of the first label of every row, nats `[N]`, as sampled (the model's offset is left out)."""
    z = model.predictor.logits(part)[:, 0].astype(np.float64)
    return np.asarray(np.logaddexp(0.0, np.where(part.label() > 0, -z, z)))


def field_importance(
    model: Model,
    table: Table,
    *,
    kind: Kind,
    rows: int,
    repeats: int = 1,
    shuffle: Shuffle = "rows",
    seed: int,
) -> FieldImportance:
    """Return the importance of all fields of a model on validation rows.

    "permutation": rise of the log-loss when a field holds other rows' values. "shark": mean |first-order change of a row's
    loss| when a field's row becomes the mean row. "sfs": mean over batches of |gradient of the loss| at a mask of 1.
    "shap": mean |contribution| by the explainer that fits the model. "gain": sum over the splits of trees, which is a number
    of the training rows.

    Args:
        model: What is asked; "shark" and "sfs" need a net, "gain" needs trees.
        table: With the split "valid".
        kind: As above.
        rows: Validation rows at most, each class in proportion.
        repeats: Permutations a field.
        shuffle: How rows change places in "permutation".
        seed: Of the draws.

    Raises:
        ConfigError: If the importance does not fit the model.
    """
    names = table.schema.names
    if kind == "gain":
        gain, _ = split_gain(model)
        return _told(names, gain, np.full(len(names), np.nan))
    most = min(rows, _EXPLAINED) if kind == "shap" else rows
    picked = sample_rows(table, most, split="valid", seed=derive(seed, "select", "importance", "rows"))
    if kind == "shap":
        found = explain(model, table, rows=picked, seed=seed)
        order = [found.fields.index(n) for n in names]
        return _mean(names, np.abs(found.values)[:, order], None)
    if kind == "permutation":
        shuffle, _ = resolved(shuffle, table, place="shuffle")
        moved = loss_increase(
            model, table.take(picked), items=[(n,) for n in names], repeats=repeats, seed=seed, shuffle=shuffle
        )
        return _told(names, moved.value, moved.error)
    from ctrsel.explain.field_gradients import mask_gradients, mean_row_moves

    if kind == "shark":
        part = table.take(picked)
        return _mean(names, np.abs(mean_row_moves(model, part)), part.weight)
    mixed = generator(seed, "select", "importance", "batches").permutation(picked)
    return _mean(names, np.abs(mask_gradients(model, table.take(mixed), batch_size=_BATCH)), None)


def _mean(names: tuple[str, ...], each: np.ndarray, weight: np.ndarray | None) -> FieldImportance:
    """Return the mean `[F]` of `[N, F]` with its standard error."""
    w = np.ones(len(each)) if weight is None else np.asarray(weight, dtype=np.float64)
    mean = w @ each / w.sum()
    square = w**2 @ (each - mean) ** 2 / w.sum() ** 2
    n = len(each)
    return _told(names, mean, np.sqrt(square * n / (n - 1)) if n > 1 else np.full(len(names), np.nan))


def _told(names: tuple[str, ...], value: np.ndarray, error: np.ndarray) -> FieldImportance:
    return FieldImportance(
        value=dict(zip(names, map(float, value), strict=True)), error=dict(zip(names, map(float, error), strict=True))
    )
