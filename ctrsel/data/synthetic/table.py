"""Planted: a table that is drawn from a description and whose truth is known; same rows for any chunk size.

The label is drawn from a logistic model: every part adds to the log-odds of a row, and the row is positive with
probability `1 / (1 + exp(-(base + sum)))`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl

from ctrsel.core.config import FieldConfig, LabelConfig, SchemaConfig
from ctrsel.core.errors import ConfigError, unknown_name
from ctrsel.core.seeds import generator
from ctrsel.data.synthetic.block import BLOCK_ROWS
from ctrsel.data.synthetic.drawing import Drawing
from ctrsel.data.synthetic.outcome import Conversion, solve_conversion
from ctrsel.data.synthetic.output import in_chunks, lazy_frame, write_file
from ctrsel.data.synthetic.part import Part, between
from ctrsel.data.synthetic.render import Texts
from ctrsel.data.synthetic.setting import Clock, Sessions
from ctrsel.data.synthetic.solve import solve
from ctrsel.data.synthetic.truth import Truth

__all__ = ["Planted"]


@dataclass(frozen=True, kw_only=True)
class Planted:
    """A planted table.

    Attributes:
        parts: What is planted, in order; a part may use those before it.
        rows: N.
        seed: Other seeds draw other effects and other rows.
        label: Name of the label, 0 or 1.
        base: Log-odds of a row to which nothing is added.
        rate: The label's rate, in place of `base`.
        clock: Rows have a time.
        sessions: Neighbouring rows depend on each other.
        conversion: A second label that follows the first; needs a clock.
        group: A column that says who a row belongs to.
        weight: Standard deviation of the logarithm of a `weight` column; the weights tell nothing. None = no weights.
        repeated: Share of the rows that are an earlier row of their block once more, labels included, but for the time.
        texts: Values are texts such as "s_100=17" ("names"), or whole numbers ("integers").
        shuffle: Columns stand in a random order.

    Examples:
        >>> from ctrsel.data.synthetic import Noise, Planted, Strong
        >>> table = Planted(parts=(Strong(name="site", values=5), Noise(name="id", values=100)), rows=4, seed=1)
        >>> table.frame()["site"].to_list()
        ['site=1', 'site=1', 'site=0', 'site=0']
        >>> table.truth.named()
        ['site']
    """

    parts: Sequence[Part]
    rows: int
    seed: int = 0
    label: str = "label"
    base: float = -1.6
    rate: float | None = None
    clock: Clock | None = None
    sessions: Sessions | None = None
    conversion: Conversion | None = None
    group: str | None = None
    weight: float | None = None
    repeated: float = 0.0
    texts: Texts = "names"
    shuffle: bool = False

    def __post_init__(self) -> None:
        if self.rows < 1:
            raise ConfigError(f"rows: must be at least 1, got {self.rows}")
        if self.rate is not None and not 0.0 < self.rate < 1.0:
            raise ConfigError(f"rate: must lie between 0 and 1, got {self.rate:g}")
        between("repeated", self.repeated, 0.0, 1.0)
        names = [c.name for p in self._drawing.prepared for c in p.columns]
        taken = [*self._roles, *names]
        twice = sorted({n for n in taken if taken.count(n) > 1})
        if twice:
            raise ConfigError(f"parts: every column needs a name of its own, got {twice[0]!r} twice")
        if self.group is not None and self.group not in names:
            raise unknown_name("column", self.group, names, place="group")
        if self.clock is None:
            moving = [c.column for p in self._drawing.prepared for c in p.claims() if c.drift is not None]
            if moving:
                raise ConfigError(f"clock: {moving[0]!r} drifts, so the rows need a time, got None")
            if self.conversion is not None:
                raise ConfigError("clock: conversions take time, so the rows need one, got None")

    @property
    def _roles(self) -> list[str]:
        """Columns that are no fields."""
        found = [self.label]
        if self.conversion is not None:
            found.append(self.conversion.name)
        if self.clock is not None:
            found.append(self.clock.name)
        if self.weight is not None:
            found.append("weight")
        return found

    @cached_property
    def _drawing(self) -> Drawing:
        return Drawing(self)

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Names of all columns, as they stand in the table."""
        names = list(self._drawing.columns)
        if self.shuffle:
            generator(self.seed, "synthetic", "columns").shuffle(names)
        return (*self._roles, *names)

    @property
    def schema(self) -> SchemaConfig:
        """What the columns are, ready for `ingest`, with the first label."""
        return self.schema_for(self.label)

    def schema_for(self, label: str) -> SchemaConfig:
        """Return what the columns are, ready for `ingest`, with one of the labels; the other one is ignored.

        Raises:
            ConfigError: If there is no such label.
        """
        labels = [self.label] if self.conversion is None else [self.label, self.conversion.name]
        if label not in labels:
            raise unknown_name("label", label, labels)
        fields = {
            c.name: FieldConfig(
                kind=c.kind, vocabulary=None if c.vocabulary == c.name else c.vocabulary, max_length=c.max_length
            )
            for c in self._drawing.columns.values()
        }
        return SchemaConfig(
            label=LabelConfig(name=label, positive="1"),
            fields=fields,
            ignore=tuple(n for n in labels if n != label),
            infer=False,
            time=None if self.clock is None else self.clock.name,
            group=self.group,
            weight=None if self.weight is None else "weight",
        )

    @cached_property
    def truth(self) -> Truth:
        """What is so about the table; computed without drawing a row."""
        outcome = self._drawing.outcome
        found = solve(
            self._drawing.prepared,
            label=self.label,
            base=outcome.base,
            slope=outcome.slope,
            hidden=outcome.hidden,
            edges=outcome.edges,
        )
        rates = np.array([found.rate, 1.0 - found.rate])
        return Truth(
            rows=self.rows,
            seed=self.seed,
            label=self.label,
            base=outcome.base,
            rate=found.rate,
            entropy=float(-(rates * np.log(rates)).sum()),
            bayes_auc=found.bayes_auc,
            bayes_log_loss=found.bayes_log_loss,
            fields=found.fields,
            pairs=found.pairs,
            values=found.values,
            leaks=tuple(c.leak for p in self._drawing.prepared for c in p.claims() if c.leak is not None),
            drifts=self._drawing.drifts,
            conversion=solve_conversion(self._drawing.prepared, outcome),
            session_rows=None if self.sessions is None else self.sessions.rows,
        )

    def oracle(self) -> pl.DataFrame:
        """Draw what no log shows, a row a row of the table.

        Returns:
            `logit`, the log-odds of the first label given the fields and the time; `probability`, its probability with
            what the session adds; `session`, what that is (with sessions); `conversion_logit`, log-odds of a conversion
            given the first label; `converted`, whether it ever comes; `delay`, after how many days.

        Raises:
            ConfigError: If rows are repeated, since this is about the rows before that.
        """
        return self._drawing.oracle()

    def chunks(self, rows: int = BLOCK_ROWS, *, columns: Sequence[str] | None = None) -> Iterator[pl.DataFrame]:
        """Draw the table a chunk at a time, in order; the cells do not depend on `rows` nor on `columns`.

        Args:
            rows: Rows of a chunk; the last one may have fewer.
            columns: Only these, in this order. None = all.

        Raises:
            ConfigError: If `rows` is not positive, or a column is not known.
        """
        if rows < 1:
            raise ConfigError(f"rows: a chunk has at least 1, got {rows}")
        names = self.columns if columns is None else tuple(columns)
        for name in names:
            if name not in self.columns:
                raise unknown_name("column", name, self.columns)
        return in_chunks(self._drawing.frames(names), rows)

    def frame(self, *, columns: Sequence[str] | None = None) -> pl.DataFrame:
        """Draw the whole table, or some columns of it."""
        return pl.concat(self.chunks(columns=columns))

    def lazy(self) -> pl.LazyFrame:
        """Return the table as a lazy frame that draws blocks while it is read, and only the columns that are read."""
        return lazy_frame(self._drawing)

    def write(self, path: str | Path, *, truth: bool = True) -> Path:
        """Write the table, block by block, to a .parquet or .csv file (lists as JSON texts), and its truth beside it.

        Args:
            path: The file; its folder must exist.
            truth: Also write `<name>.truth.json`.

        Returns:
            The file.

        Raises:
            ConfigError: If the name ends in something else.
        """
        file = Path(path)
        write_file(self._drawing, file)
        if truth:
            self.truth.save(file.with_suffix(".truth.json"))
        return file
