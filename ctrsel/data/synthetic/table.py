"""Planted: a table that is drawn from a description and whose truth is known; same rows for any chunk size.

The label is drawn from a logistic model: every part adds to the log-odds of a row, and the row is positive with
probability `1 / (1 + exp(-(base + sum)))`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ctrsel.core.config import FieldConfig, LabelConfig, SchemaConfig
from ctrsel.core.errors import ConfigError, unknown_name
from ctrsel.core.seeds import generator
from ctrsel.data.synthetic._contract import Column, Part, Prepared, World
from ctrsel.data.synthetic.block import BLOCK_ROWS, Block, Floats
from ctrsel.data.synthetic.lattice import expit
from ctrsel.data.synthetic.render import Texts, column_series, column_type, lists_as_json
from ctrsel.data.synthetic.solve import solve, solve_base
from ctrsel.data.synthetic.truth import DriftTruth, Truth

__all__ = ["Clock", "Planted", "Sessions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """Rows in the order of time, which a column tells in whole seconds.

    Attributes:
        name: The column's name.
        days: How long the table lasts.
        start: First second, since 1970.
        rate: Log-odds that are added to the label at the end, in a straight line from 0 at the beginning.
    """

    name: str = "time"
    days: float = 30.0
    start: int = 1_700_000_000
    rate: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sessions:
    """Runs of neighbouring rows that depend on each other; none crosses the end of a block.

    Attributes:
        rows: Mean length, rows; lengths are geometric.
        effect: Standard deviation of the log-odds that a session adds to each of its rows; no field tells it.
    """

    rows: float = 10.0
    effect: float = 0.0

    def __post_init__(self) -> None:
        if self.rows < 1.0:
            raise ConfigError(f"sessions.rows: must be at least 1, got {self.rows:g}")


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
        group: A column that says who a row belongs to.
        weight: Standard deviation of the logarithm of a `weight` column; the weights tell nothing. None = no weights.
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
    group: str | None = None
    weight: float | None = None
    texts: Texts = "names"
    shuffle: bool = False

    def __post_init__(self) -> None:
        if self.rows < 1:
            raise ConfigError(f"rows: must be at least 1, got {self.rows}")
        if self.rate is not None and not 0.0 < self.rate < 1.0:
            raise ConfigError(f"rate: must lie between 0 and 1, got {self.rate:g}")
        names = [c.name for p in self._prepared for c in p.columns]
        taken = [*self._roles, *names]
        twice = sorted({n for n in taken if taken.count(n) > 1})
        if twice:
            raise ConfigError(f"parts: every column needs a name of its own, got {twice[0]!r} twice")
        if self.group is not None and self.group not in names:
            raise unknown_name("column", self.group, names, place="group")
        if self.clock is None:
            moving = [c.column for p in self._prepared for c in p.claims() if c.drift is not None]
            if moving:
                raise ConfigError(f"clock: {moving[0]!r} drifts, so the rows need a time, got None")

    @property
    def _roles(self) -> list[str]:
        """Columns that are no fields."""
        found = [self.label]
        if self.clock is not None:
            found.append(self.clock.name)
        if self.weight is not None:
            found.append("weight")
        return found

    @cached_property
    def _prepared(self) -> tuple[Prepared, ...]:
        sources: dict[str, Prepared] = {}
        found = []
        for part in self.parts:
            world = World(seed=self.seed, rows=self.rows, label=self.label, conversion=None, sources=dict(sources))
            prepared = part.prepare(world)
            sources |= {c.name: prepared for c in prepared.columns}
            found.append(prepared)
        return tuple(found)

    @cached_property
    def _columns(self) -> dict[str, Column]:
        return {c.name: c for p in self._prepared for c in p.columns}

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Names of all columns, as they stand in the table."""
        names = list(self._columns)
        if self.shuffle:
            generator(self.seed, "synthetic", "columns").shuffle(names)
        return (*self._roles, *names)

    @property
    def schema(self) -> SchemaConfig:
        """What the columns are, ready for `ingest`."""
        fields = {
            c.name: FieldConfig(kind=c.kind, vocabulary=None if c.vocabulary == c.name else c.vocabulary)
            for c in self._columns.values()
        }
        return SchemaConfig(
            label=LabelConfig(name=self.label, positive="1"),
            fields=fields,
            infer=False,
            time=None if self.clock is None else self.clock.name,
            group=self.group,
            weight=None if self.weight is None else "weight",
        )

    @cached_property
    def _drifts(self) -> tuple[DriftTruth, ...]:
        found = []
        for claim in (c for p in self._prepared for c in p.claims()):
            drift = claim.drift
            if drift is None:
                continue
            told = (
                ("popularity", drift.popularity, 0.0),
                ("effect", drift.effect if claim.informative else 1.0, 1.0),
                ("appears", drift.since, 0.0),
                ("vanishes", drift.until, 1.0),
            )
            found += [DriftTruth(column=claim.column, what=w, size=s) for w, s, none in told if s != none]
        if self.clock is not None and self.clock.rate != 0.0:
            found.append(DriftTruth(column=self.label, what="rate", size=self.clock.rate))
        return tuple(found)

    @property
    def _slope(self) -> float:
        return 0.0 if self.clock is None else self.clock.rate

    @property
    def _hidden(self) -> float:
        return 0.0 if self.sessions is None else self.sessions.effect

    @cached_property
    def _base(self) -> float:
        if self.rate is None:
            return self.base
        return solve_base(
            self._prepared,
            label=self.label,
            rate=self.rate,
            slope=self._slope,
            hidden=self._hidden,
            drifts=bool(self._drifts),
        )

    @cached_property
    def truth(self) -> Truth:
        """What is so about the table; computed without drawing a row."""
        found = solve(
            self._prepared,
            label=self.label,
            base=self._base,
            slope=self._slope,
            hidden=self._hidden,
            drifts=bool(self._drifts),
        )
        rates = np.array([found.rate, 1.0 - found.rate])
        return Truth(
            rows=self.rows,
            seed=self.seed,
            label=self.label,
            base=self._base,
            rate=found.rate,
            entropy=float(-(rates * np.log(rates)).sum()),
            bayes_auc=found.bayes_auc,
            bayes_log_loss=found.bayes_log_loss,
            fields=found.fields,
            pairs=found.pairs,
            values=found.values,
            leaks=tuple(c.leak for p in self._prepared for c in p.claims() if c.leak is not None),
            drifts=self._drifts,
            session_rows=None if self.sessions is None else self.sessions.rows,
        )

    def _wanted(self, columns: Sequence[str]) -> tuple[Prepared, ...]:
        """Parts that must be drawn for some columns: those that act on the label where it is drawn, and sources."""
        asked = set(columns)
        outcome = bool(asked & {self.label}) or any(
            p.after and asked & {c.name for c in p.columns} for p in self._prepared
        )
        chosen = []
        for part in reversed(self._prepared):  # a source stands before what uses it
            own = {c.name for c in part.columns}
            if asked & own or (outcome and part.acts):
                asked |= set(part.sources)
                chosen.append(part)
        return tuple(reversed(chosen))

    def _block(self, index: int, columns: Sequence[str]) -> Block:
        """Draw a block."""
        start = index * BLOCK_ROWS
        block = Block(
            seed=self.seed,
            index=index,
            start=start,
            rows=min(BLOCK_ROWS, self.rows - start),
            total=self.rows,
            session_rows=None if self.sessions is None else self.sessions.rows,
        )
        parts = self._wanted(columns)
        for part in (p for p in parts if not p.after):
            part.draw(block)
        if self.label in columns or any(p.after for p in parts):
            self._draw_label(block)
        for part in (p for p in parts if p.after):
            part.draw(block)
        return block

    def _draw_label(self, block: Block) -> None:
        logit: Floats = np.full(block.rows, self._base)
        if self.label in block.logits:
            logit = logit + block.logits[self.label]
        if self._slope != 0.0:
            logit = logit + self._slope * block.time
        if self._hidden != 0.0:
            drawn = block.rng("session effect").normal(size=block.rows)
            logit = logit + self._hidden * drawn[block.session]
        block.logits[self.label] = logit
        block.labels[self.label] = block.rng("label").random(block.rows) < expit(logit)

    def _series(self, block: Block, name: str) -> pl.Series:
        if name == self.label:
            return pl.Series(name, block.labels[name].astype(np.int8))
        if self.clock is not None and name == self.clock.name:
            return pl.Series(name, (self.clock.start + block.time * self.clock.days * 86_400).astype(np.int64))
        if self.weight is not None and name == "weight":
            return pl.Series(name, np.exp(self.weight * block.rng("weight").normal(size=block.rows)))
        return column_series(self._columns[name], block.cells[name], self.texts)

    def _blocks(self, columns: Sequence[str], *, stop: int | None = None) -> Iterator[pl.DataFrame]:
        rows = self.rows if stop is None else min(stop, self.rows)
        for index in range(-(-rows // BLOCK_ROWS)):
            block = self._block(index, columns)
            yield pl.DataFrame([self._series(block, n) for n in columns]).head(rows - block.start)

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
        held: list[pl.DataFrame] = []
        count = 0
        for frame in self._blocks(names):
            held.append(frame)
            count += frame.height
            while count >= rows:
                whole = pl.concat(held) if len(held) > 1 else held[0]
                yield whole.head(rows)
                count -= rows
                held = [whole.slice(rows)]
        if count:
            yield pl.concat(held)

    def frame(self, *, columns: Sequence[str] | None = None) -> pl.DataFrame:
        """Draw the whole table, or some columns of it."""
        return pl.concat(self.chunks(columns=columns))

    def lazy(self) -> pl.LazyFrame:
        """Return the table as a lazy frame that draws blocks while it is read, and only the columns that are read."""
        from polars.io.plugins import register_io_source

        def source(
            columns: list[str] | None, predicate: pl.Expr | None, limit: int | None, batch: int | None
        ) -> Iterator[pl.DataFrame]:
            del batch
            names = self.columns if columns is None else tuple(columns)
            for frame in self._blocks(names, stop=limit):
                yield frame if predicate is None else frame.filter(predicate)

        return register_io_source(source, schema=self._types(), is_pure=True)

    def _types(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name in self.columns:
            if name in self._columns:
                found[name] = column_type(self._columns[name], self.texts)
            elif name == "weight" and self.weight is not None:
                found[name] = pl.Float64()
            else:
                found[name] = pl.Int8() if name == self.label else pl.Int64()
        return found

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
        match file.suffix.lower():
            case ".parquet":
                self.lazy().sink_parquet(file, row_group_size=BLOCK_ROWS)
            case ".csv":
                with file.open("wb") as out:
                    for i, frame in enumerate(self._blocks(self.columns)):
                        lists_as_json(frame).write_csv(out, include_header=i == 0)
            case other:
                raise ConfigError(f"{file}: the name must end in .parquet or .csv, got {other or 'no ending'}")
        if truth:
            self.truth.save(file.with_suffix(".truth.json"))
        return file
