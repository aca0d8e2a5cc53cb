"""QuickSelection: fields by how strongly a sparse autoencoder holds on to their columns; labels are not looked at.

Reference: Atashgahi et al., "Quick and robust feature selection: the strength of energy-efficient sparse training for
autoencoders", 2021, equation 4 (the strength of an input).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from ctrsel.core.catalog import describe
from ctrsel.core.errors import ConfigError, DataError
from ctrsel.core.seeds import derive, generator
from ctrsel.models.one_thread import one_thread
from ctrsel.rank._contract import CountRanker
from ctrsel.rank._field_terms import CONSTANT
from ctrsel.rank._one_hot import one_hot
from ctrsel.records.ranking import Ranking

if TYPE_CHECKING:
    from ctrsel.rank.counts import TableCounts

__all__ = ["QuickSelection"]


@dataclass(frozen=True, slots=True, kw_only=True)
class QuickSelection(CountRanker):
    """Mean strength of a field's columns in a sparse denoising autoencoder: the sum of absolute weights that leave a column.

    Labels play no part: what scores high is what can be told from other fields, not what tells something about the label.
    It is here to be compared with. `columns` and `covered` (share of the rows whose value has a column) stand beside
    the score.

    Attributes:
        epochs: Passes over the rows.
        hidden: Hidden units.
        density: Links of a layer per input and output.
        rewired: Share of the links rewired after each epoch but the last.
        noise: Standard deviation of what is added to the standardised inputs.
        dropout: Share of the hidden units that are silent in a step.
        values: Columns of a field at most; rarer values share what is left.
        rows: Training rows used at most, drawn at random.
        batch: Rows of a step.
        learning_rate: Of the descent.
    """

    needs: ClassVar[Literal["field", "rows"]] = "rows"

    epochs: int = 10
    hidden: int = 200
    density: float = 13.0
    rewired: float = 0.2
    noise: float = 0.2
    dropout: float = 0.2
    values: int = 16
    rows: int = 20_000
    batch: int = 100
    learning_rate: float = 0.01

    def __post_init__(self) -> None:
        for name in ("epochs", "hidden", "values", "rows", "batch"):
            if getattr(self, name) < 1:
                raise ConfigError(f"quick_selection.{name}: must be at least 1, got {getattr(self, name)}")
        for name in ("density", "learning_rate"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"quick_selection.{name}: must be above 0, got {getattr(self, name)}")
        for name in ("rewired", "dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"quick_selection.{name}: must be in [0, 1), got {getattr(self, name)}")
        if self.noise < 0:
            raise ConfigError(f"quick_selection.noise: must not be negative, got {self.noise}")

    def score(self, counts: TableCounts) -> Ranking:
        """Train the autoencoder, and rank the fields by the mean strength of their columns.

        Raises:
            DataError: If only counts are here, no field has two values, or the weights did not stay finite.
        """
        import polars as pl

        from ctrsel.rank._sparse_autoencoder import SparseTraining, train_sparse_autoencoder

        held = counts.need_rows("quick_selection")
        if not held.n_rows or not held.names:
            raise DataError("quick_selection: needs training rows and a field that is no list")
        rng = generator(counts.seed, "rank", "quick_selection", "rows")
        rows = np.sort(rng.choice(held.n_rows, min(self.rows, held.n_rows), replace=False))
        table = one_hot(held, rows, values=self.values, constant=False)
        if not table.names:
            raise DataError("quick_selection: needs a field with more than one value in the training rows")
        whole = len(rows) == held.n_rows
        reason = CONSTANT if whole else f"has one value in the {len(rows):,} training rows that were drawn"
        refused = {**counts.refused, **{name: reason for name in held.names if name not in table.names}}
        training = SparseTraining(
            hidden=self.hidden,
            density=self.density,
            rewired=self.rewired,
            noise=self.noise,
            dropout=self.dropout,
            epochs=self.epochs,
            batch=self.batch,
            learning_rate=self.learning_rate,
        )
        with one_thread():
            layer, error = train_sparse_autoencoder(
                table.rows,
                n_rows=table.n_rows,
                columns=len(table.field),
                training=training,
                seed=derive(counts.seed, "rank", "quick_selection"),
            )
        # DEVIATION(Atashgahi et al. 2021): the strength is that of the trained weights; the authors' code takes the
        # pruned ones of the epoch before.
        strength = np.bincount(table.field, weights=layer.strength(), minlength=len(table.names)) / table.columns
        if not np.isfinite(strength).all():
            raise DataError(
                f"quick_selection.learning_rate: the weights did not stay finite with {self.learning_rate}; lower it"
            )
        order = np.lexsort((np.array(table.names, dtype=str), -strength))
        frame = pl.DataFrame(
            {
                "field": [table.names[i] for i in order],
                "score": strength[order],
                "rank": np.arange(1, len(order) + 1),
                "columns": table.columns[order],
                "covered": table.covered[order],
            }
        )
        notes = [
            "labels were not looked at",
            f"a column for each of the {self.values} most frequent values of a field, {len(table.field)} in all",
            f"the autoencoder leaves {error:.2f} of its columns' variance",
        ]
        if len(rows) < held.n_rows:
            notes.append(f"from {len(rows):,} of {held.n_rows:,} training rows, drawn at random")
        return Ranking(
            method="quick_selection",
            params=describe(self),
            unit="sum of absolute weights",
            null=None,
            frame=frame,
            refused=refused,
            notes=(*counts.notes, *notes),
            table=counts.table,
        )
