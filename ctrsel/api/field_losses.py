"""Field losses: the AUC that a model loses when one field's values are shuffled among the validation rows.

Reference: Breiman, "Random forests", 2001, section 10 (permuted values of one variable); the interval is DeLong's for paired
curves (see `compare_auc`).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ctrsel.api.evaluate import compare_auc
from ctrsel.core.seeds import generator
from ctrsel.data.table import Ragged, Table
from ctrsel.models.model import Model
from ctrsel.records.evaluation import Metric

__all__ = ["ROWS", "field_losses"]

ROWS = 50_000  # validation rows that are scored, once per field


def field_losses(
    model: Model, table: Table, *, split: str = "valid", rows: int = ROWS, seed: int = 1
) -> dict[str, Metric]:
    """Return by field the AUC without shuffling minus the AUC with it, on the same rows.

    A field that another one can stand in for loses little, though the two together may matter; a positive lower end says
    that the model does use the field. Rows of one group are resampled together.

    Args:
        model: The retrained model.
        table: A table of its Encoder, such as `table.narrow(features)`.
        split: The rows that are scored; test rows are for the final judgement.
        rows: At most so many of them, evenly spread.
        seed: Of the shuffles.

    Examples:
        >>> import ctrsel
        >>> from ctrsel.testing.tables import tiny_table
        >>> table = tiny_table(rows=3000)
        >>> model = ctrsel.train_model(table, learner={"use": "boosted", "rounds": 10}).model
        >>> field_losses(model, table)["ad"].value > 0
        True
    """
    part = table.part(split)
    if part.n_rows > rows:
        chosen = np.unique(np.linspace(0, part.n_rows - 1, rows).round().astype(np.int64))
        part = replace(part.take(chosen), splits={split: (0, len(chosen))})
    whole = model.logits(part)[:, 0]
    found = {}
    for name, column in part.columns.items():
        order = generator(seed, "field_losses", name).permutation(part.n_rows)
        shuffled = column.take(order) if isinstance(column, Ragged) else np.asarray(column)[order]
        other = model.logits(replace(part, columns={**part.columns, name: shuffled}))[:, 0]
        found[name] = compare_auc(part, whole, other, split=split, seed=seed)
    return found
