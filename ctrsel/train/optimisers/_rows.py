"""RowUpdates: the tables move by a rule that touches the batch's rows only, the rest of the net by Adam.

The gradients of the tables come as occurrences: a row's number and a gradient, repeated where a batch repeats the row. Each
step finds the distinct rows, adds their gradients up, takes the norm over them and the network together, clips, and moves
weights and moments of these rows in one pass. Tables looked up by the same codes share the search. On the processor that
is `_rows_loops`; on other devices and for other numbers than float32 it is `unique` and `index_add` of torch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ctrsel.models.network import Net
from ctrsel.train.optimisers import _rows_loops as loops
from ctrsel.train.optimisers._contract import Updates

__all__ = ["Move", "RowUpdates", "Rule"]

Move = Callable[[int, int], None]  # of a thread's share of the parts: (thread, threads)


@dataclass(frozen=True, slots=True, kw_only=True)
class Touched:
    """The rows that a batch touched in tables with the same codes: what the compiled loops share; see `_rows_loops`."""

    rows: np.ndarray
    starts: np.ndarray
    found: np.ndarray
    ends: np.ndarray
    table: np.ndarray
    gradient: np.ndarray
    table2: np.ndarray
    gradient2: np.ndarray
    state: np.ndarray
    at: int
    at2: int


class Rule(ABC):
    """How a touched row moves."""

    @abstractmethod
    def columns(self, width: int) -> int:
        """Return how many numbers of state a row of a table of width D has."""

    @abstractmethod
    def compiled(self, touched: Touched, *, factor: float, step: int, learning_rate: float) -> Move:
        """Return the move of float32 rows, gradients times `factor`."""

    @abstractmethod
    def moved(
        self, weights: Tensor, gradients: Tensor, state: Tensor, *, step: int, learning_rate: float
    ) -> tuple[Tensor, Tensor]:
        """Return weights and state after a step, in the tensors' own numbers.

        Shape:
            weights and gradients `[n, D]`, state `[n, columns]`.
        """


class RowUpdates(Updates):
    """A rule at work on a net's tables.

    Args:
        net: With sparse gradients.
        rule: Of the tables with a row per code.
        learning_rate: At the start.
        embedding_l2: r: r times a touched row is added to its gradient.
        clip: Largest norm of all gradients together.
        compiled: Whether rows move by the compiled loops; None = where they can.
    """

    def __init__(
        self,
        net: Net,
        rule: Rule,
        *,
        learning_rate: float,
        embedding_l2: float,
        clip: float,
        compiled: bool | None = None,
    ) -> None:
        if not net.embedding.sparse:
            raise ValueError("the net must be built with sparse=True: its tables' gradients are dense")
        self.learning_rate = learning_rate
        self._rule, self._l2, self._clip = rule, embedding_l2, clip
        self._hidden = net.embedding.hidden
        self._tables = [t for t in net.embedding.tables() if t.numel()]
        own = {id(t) for t in net.embedding.tables()}
        roles = {role: [p for p in ps if p.numel() and id(p) not in own] for role, ps in net.roles().items()}
        self._decayed = roles["embedding"]  # vectors of fields that stay floats
        self._network = [*roles["embedding"], *roles["network"]]
        # A net may be its tables alone.
        self._adam = torch.optim.Adam(self._network, lr=learning_rate, fused=True) if self._network else None
        widths = [1 if t.dim() == 1 else t.shape[1] for t in self._tables]
        self._columns = [rule.columns(width) for width in widths]
        self._at = [sum(self._columns[:k]) for k in range(len(widths))]
        # By numpy, whose large arrays get large pages where the system has them: fewer misses in the page tables.
        rows = len(self._tables[0]) if self._tables else 0
        like = self._tables[0] if self._tables else torch.zeros(0)
        state = torch.from_numpy(np.zeros((rows, sum(self._columns)), dtype=str(like.dtype).removeprefix("torch.")))
        self._state = state.to(like.device)
        fits = like.device.type == "cpu" and like.dtype == torch.float32
        self._compiled = fits if compiled is None else compiled
        self._steps = 0
        self._pool: ThreadPoolExecutor | None = None

    def step(self, objective: Tensor) -> None:
        """Differentiate, add the L2 of touched rows, clip and step."""
        for parameter in (*self._network, *self._tables):
            parameter.grad = None
        objective.backward()  # type: ignore[no-untyped-call]  # torch does not annotate it
        self._steps += 1
        with torch.no_grad():
            if self._l2:
                for vectors in self._decayed:
                    if vectors.grad is not None:
                        vectors.grad.add_(vectors, alpha=self._l2)
            dense = [p.grad for p in self._network if p.grad is not None]
            begun = [self._begin(group) for group in self._groups()]
            square = sum((square for square, _ in begun), torch.zeros((), dtype=torch.float64))
            if dense:
                square = square + nn.utils.get_total_norm(dense).double().cpu() ** 2
            total = square.sqrt()
            factor = min(float(self._clip / (total + 1e-6)), 1.0) if not total.isnan() else float("nan")
            if factor != 1.0 and dense:
                torch._foreach_mul_(dense, factor)
            for _, finish in begun:
                finish(factor)
            if self._adam is not None:
                self._adam.param_groups[0]["lr"] = self.learning_rate
                self._adam.step()
        for table in self._tables:
            table.grad = None  # as large as the batch: not needed beside the next forward pass

    def state(self) -> Mapping[str, Tensor]:
        """Rate, steps, per row its moments, and per other parameter Adam's steps and moments."""
        found = {
            "learning_rate": torch.tensor(self.learning_rate, dtype=torch.float64),
            "steps": torch.tensor(self._steps),
            "rows": self._state,
        }
        for i, parameter in enumerate(self._network):
            found |= {f"{i}.{name}": value for name, value in self._moments().get(parameter, {}).items()}
        return found

    def owners(self) -> Mapping[str, nn.Parameter]:
        """The rows are those of the tables; every other parameter has its own steps and moments."""
        kinds = ("step", "exp_avg", "exp_avg_sq")
        dense = {f"{i}.{kind}": p for i, p in enumerate(self._network) for kind in kinds}
        return {**dense, **({"rows": self._tables[0]} if self._tables else {})}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Copy rate, steps and moments in."""
        self.learning_rate = float(state["learning_rate"])
        self._steps = int(state["steps"])
        self._state.copy_(state["rows"])
        for i, parameter in enumerate(self._network):
            own = {k.partition(".")[2]: v.clone() for k, v in state.items() if k.startswith(f"{i}.")}
            if own:
                self._moments()[parameter] = own

    def _moments(self) -> dict[Tensor, Any]:
        return {} if self._adam is None else self._adam.state

    def _groups(self) -> list[list[int]]:
        """Tables with gradients, those with the same codes together."""
        groups: list[list[int]] = []
        for k, table in enumerate(self._tables):
            if table.grad is None:
                continue
            if groups and torch.equal(_codes(table), _codes(self._tables[groups[-1][0]])):
                groups[-1].append(k)
            else:
                groups.append([k])
        return groups

    def _begin(self, group: Sequence[int]) -> tuple[Tensor, Callable[[float], None]]:
        """Add up gradients; return their squared norm and what is left to do once the factor is known."""
        codes = _codes(self._tables[group[0]])
        gradients = [_rows_of(self._tables[k]) for k in group]
        if len({g.data_ptr() for g in gradients}) < len(gradients):  # one sum of two lookups: they share its gradient
            gradients = [g.clone() for g in gradients]
        return (
            self._begin_loops(group, codes, gradients) if self._compiled else self._begin_torch(group, codes, gradients)
        )

    def _begin_loops(
        self, group: Sequence[int], codes: Tensor, gradients: Sequence[Tensor]
    ) -> tuple[Tensor, Callable[[float], None]]:
        n = len(codes)
        order, found = np.empty(n, np.int32), np.empty(n, np.int32)
        starts, ends = np.empty(loops.PARTS + 1, np.int64), np.empty(loops.PARTS, np.int64)
        squares = np.empty(loops.PARTS)
        touched = Touched(
            rows=codes.numpy(),
            starts=starts,
            found=found,
            ends=ends,
            table=_wide(self._tables[group[0]].detach()).numpy(),
            gradient=gradients[0].numpy(),
            table2=_wide(self._tables[group[1]].detach()).numpy() if len(group) > 1 else np.empty((0, 0), np.float32),
            gradient2=gradients[1].numpy() if len(group) > 1 else np.empty((0, 0), np.float32),
            state=self._state.numpy(),
            at=self._at[group[0]],
            at2=self._at[group[-1]],
        )
        hidden = self._hidden.numpy()
        loops.deal(touched.rows, order, starts)

        def add_up(thread: int, threads: int) -> None:
            loops.add_up(
                touched.rows, order, starts, thread, threads, hidden, np.float32(self._l2),
                touched.table, touched.gradient, touched.table2, touched.gradient2, found, ends, squares,
            )  # fmt: skip

        def finish(factor: float) -> None:
            rule = self._rule
            self._share(rule.compiled(touched, factor=factor, step=self._steps, learning_rate=self.learning_rate))

        self._share(add_up)
        return torch.tensor(squares.sum()), finish

    def _begin_torch(
        self, group: Sequence[int], codes: Tensor, gradients: Sequence[Tensor]
    ) -> tuple[Tensor, Callable[[float], None]]:
        rows, inverse = torch.unique(codes, return_inverse=True)
        keep = ~torch.isin(rows, self._hidden)
        sums = [g.new_zeros(len(rows), g.shape[1]).index_add_(0, inverse, g)[keep] for g in gradients]
        rows = rows[keep]
        for k, total in zip(group, sums, strict=True):
            total.add_(_wide(self._tables[k])[rows], alpha=self._l2)
        square = sum((s.double().square().sum().cpu() for s in sums), torch.zeros((), dtype=torch.float64))

        def finish(factor: float) -> None:
            for k, total in zip(group, sums, strict=True):
                table, state = _wide(self._tables[k]), self._state[:, self._at[k] : self._at[k] + self._columns[k]]
                table[rows], state[rows] = self._rule.moved(
                    table[rows], total * factor, state[rows], step=self._steps, learning_rate=self.learning_rate
                )

        return square, finish

    def _share(self, work: Move) -> None:
        """Give each of torch's threads its share."""
        threads = torch.get_num_threads()
        if threads == 1:
            work(0, 1)
            return
        if self._pool is None:
            self._pool = ThreadPoolExecutor(threads, thread_name_prefix="rows")
        for done in [self._pool.submit(work, t, threads) for t in range(threads)]:
            done.result()


def _codes(table: nn.Parameter) -> Tensor:
    assert table.grad is not None
    return table.grad._indices()[0].contiguous()


def _rows_of(table: nn.Parameter) -> Tensor:
    assert table.grad is not None
    return _wide(table.grad._values()).contiguous()


def _wide(table: Tensor) -> Tensor:
    """A table of numbers as one of width 1."""
    return table if table.dim() == 2 else table[:, None]
