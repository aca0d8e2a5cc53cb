"""Drawing: blocks of a planted table, drawn part by part, then the labels, then what is made from them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from ctrsel.core.errors import ConfigError
from ctrsel.data.synthetic.block import BLOCK_ROWS, Block, Counts
from ctrsel.data.synthetic.lattice import expit
from ctrsel.data.synthetic.outcome import Outcome, draw_outcomes
from ctrsel.data.synthetic.part import Column, Prepared, World
from ctrsel.data.synthetic.render import column_series, column_type
from ctrsel.data.synthetic.solve import solve_base
from ctrsel.data.synthetic.truth import DriftTruth

if TYPE_CHECKING:
    from ctrsel.data.synthetic.table import Planted

__all__ = ["Drawing"]

_SPANS = 8


class Drawing:
    """Draws the rows of a table.

    Args:
        table: The description.
    """

    def __init__(self, table: Planted) -> None:
        self.table = table

    @cached_property
    def prepared(self) -> tuple[Prepared, ...]:
        """All parts, in order, each knowing those before it."""
        sources: dict[str, Prepared] = {}
        found = []
        for part in self.table.parts:
            world = World(
                seed=self.table.seed,
                rows=self.table.rows,
                label=self.table.label,
                conversion=None if self.table.conversion is None else self.table.conversion.name,
                sources=dict(sources),
                count=self._count,
            )
            prepared = part.prepare(world)
            sources |= {c.name: prepared for c in prepared.columns}
            found.append(prepared)
        return tuple(found)

    @cached_property
    def columns(self) -> dict[str, Column]:
        """The fields, in the order of the parts."""
        return {c.name: c for p in self.prepared for c in p.columns}

    @cached_property
    def drifts(self) -> tuple[DriftTruth, ...]:
        """What changes over time."""
        found = []
        for claim in (c for p in self.prepared for c in p.claims()):
            drift = claim.drift
            if drift is None:
                continue
            told = (
                ("new values" if drift.new else "popularity", drift.popularity, 0.0),
                ("shift", claim.shift, 0.0),
                ("effect", drift.effect if claim.informative else 1.0, 1.0),
                ("appears", drift.since, 0.0),
                ("vanishes", drift.until, 1.0),
            )
            found += [DriftTruth(column=claim.column, what=w, size=s) for w, s, none in told if s != none]
        if self.table.clock is not None and self.table.clock.rate != 0.0:
            found.append(DriftTruth(column=self.table.label, what="rate", size=self.table.clock.rate))
        return tuple(found)

    @cached_property
    def edges(self) -> tuple[float, ...]:
        """Spans of time in which nothing changes by much: 8 of them, cut anew where a field appears or vanishes."""
        if not self.drifts:
            return (0.0, 1.0)
        cuts = {d.size for d in self.drifts if d.what in ("appears", "vanishes")}
        return tuple(sorted({*(i / _SPANS for i in range(_SPANS + 1)), *cuts}))

    @cached_property
    def outcome(self) -> Outcome:
        """How labels are drawn."""
        slope = 0.0 if self.table.clock is None else self.table.clock.rate
        hidden = 0.0 if self.table.sessions is None else self.table.sessions.effect
        base = self.table.base
        if self.table.rate is not None:
            base = solve_base(
                self.prepared,
                label=self.table.label,
                rate=self.table.rate,
                slope=slope,
                hidden=hidden,
                edges=self.edges,
            )
        return Outcome(
            label=self.table.label,
            base=base,
            slope=slope,
            hidden=hidden,
            edges=self.edges,
            conversion=self.table.conversion,
            days=1.0 if self.table.clock is None else self.table.clock.days,
        )

    def _wanted(self, columns: Sequence[str]) -> tuple[Prepared, ...]:
        """Parts that must be drawn for some columns: those that act on the labels where they are drawn, and sources."""
        asked = set(columns)
        outcome = bool(asked & self.labels) or any(
            p.after and asked & {c.name for c in p.columns} for p in self.prepared
        )
        chosen = []
        for part in reversed(self.prepared):  # a source stands before what uses it
            own = {c.name for c in part.columns}
            if asked & own or (outcome and part.acts):
                asked |= set(part.sources)
                chosen.append(part)
        return tuple(reversed(chosen))

    @cached_property
    def labels(self) -> set[str]:
        """The first label, and the second one if there is one."""
        return {self.table.label} if self.table.conversion is None else {self.table.label, self.table.conversion.name}

    def _block(self, index: int, columns: Sequence[str]) -> Block:
        """Draw a block; the labels too if one of them is among the columns, or a column is made from one."""
        start = index * BLOCK_ROWS
        block = Block(
            seed=self.table.seed,
            index=index,
            start=start,
            rows=min(BLOCK_ROWS, self.table.rows - start),
            total=self.table.rows,
            session_rows=None if self.table.sessions is None else self.table.sessions.rows,
        )
        parts = self._wanted(columns)
        for part in (p for p in parts if not p.after):
            part.draw(block)
        if self.labels & set(columns) or any(p.after for p in parts):
            draw_outcomes(block, self.outcome)
        for part in (p for p in parts if p.after):
            part.draw(block)
        return block

    @cached_property
    def _counted(self) -> dict[str | None, tuple[Counts, Counts]]:
        return {}

    def _count(self, column: str | None) -> tuple[Counts, Counts]:
        """Positive rows and all rows by code of a column, missing cells last, or by block; one look at the table."""
        if column not in self._counted:
            names = [self.table.label] if column is None else [self.table.label, column]
            blocks = range(-(-self.table.rows // BLOCK_ROWS))
            size = len(blocks) if column is None else (self.columns[column].values or 0) + 1
            positives, rows = np.zeros(size, dtype=np.int64), np.zeros(size, dtype=np.int64)
            for index in blocks:
                block = self._block(index, names)
                up = block.labels[self.table.label]
                if column is None:
                    positives[index], rows[index] = up.sum(), block.rows
                else:
                    codes = np.where(block.cells[column] < 0, size - 1, block.cells[column])
                    positives += np.bincount(codes[up], minlength=size)
                    rows += np.bincount(codes, minlength=size)
            self._counted[column] = (positives, rows)
        return self._counted[column]

    def _series(self, block: Block, name: str) -> pl.Series:
        if name in self.labels:
            return pl.Series(name, block.labels[name].astype(np.int8))
        if self.table.clock is not None and name == self.table.clock.name:
            return pl.Series(
                name, (self.table.clock.start + block.time * self.table.clock.days * 86_400).astype(np.int64)
            )
        if self.table.weight is not None and name == "weight":
            return pl.Series(name, np.exp(self.table.weight * block.rng("weight").normal(size=block.rows)))
        return column_series(self.columns[name], block.cells[name], self.table.texts)

    def _origin(self, block: Block) -> pl.Series:
        """Row of the block that each of its rows shows."""
        rng, own = block.rng("repeated"), np.arange(block.rows)
        earlier = (rng.random(block.rows) * own).astype(np.int64)
        again = (rng.random(block.rows) < self.table.repeated) & (own > 0)
        return pl.Series(np.where(again, earlier, own).astype(np.uint32))

    def frames(self, columns: Sequence[str], *, stop: int | None = None) -> Iterator[pl.DataFrame]:
        """Draw some columns, a block at a time, up to a row."""
        rows = self.table.rows if stop is None else min(stop, self.table.rows)
        for index in range(-(-rows // BLOCK_ROWS)):
            block = self._block(index, columns)
            series = [self._series(block, n) for n in columns]
            if self.table.repeated > 0.0:
                time = None if self.table.clock is None else self.table.clock.name
                origin = self._origin(block)
                series = [s if s.name == time else s.gather(origin) for s in series]
            yield pl.DataFrame(series).head(rows - block.start)

    def oracle(self) -> pl.DataFrame:
        """Draw what no log shows (see `Planted.oracle`)."""
        if self.table.repeated > 0.0:
            raise ConfigError(f"oracle: a table with repeated rows has none, got repeated {self.table.repeated:g}")
        frames = []
        for index in range(-(-self.table.rows // BLOCK_ROWS)):
            unseen = self._block(index, [self.table.label]).unseen
            logit = unseen["logit"] + unseen.get("session", 0.0)
            frames.append(pl.DataFrame({**unseen, "probability": expit(logit)}, nan_to_null=True))
        return pl.concat(frames)

    def types(self) -> dict[str, Any]:
        """Return the type of every column."""
        found: dict[str, Any] = {}
        for name in self.table.columns:
            if name in self.columns:
                found[name] = column_type(self.columns[name], self.table.texts)
            elif name == "weight" and self.table.weight is not None:
                found[name] = pl.Float64()
            else:
                found[name] = pl.Int8() if name in self.labels else pl.Int64()
        return found
