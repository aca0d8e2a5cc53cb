"""LazyAdagrad: Adagrad of the rows that a batch touches, which is Adagrad: rows without a gradient do not move in it.

Reference: Duchi, Hazan and Singer, "Adaptive subgradient methods for online learning and stochastic optimization", 2011;
one sum of squares per row is the row-wise Adagrad of Naumov et al., "Deep learning recommendation model for
personalization and recommendation systems" (DLRM), 2019.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from torch import Tensor

from ctrsel.core.errors import ConfigError
from ctrsel.core.ranges import choose, search
from ctrsel.models.network import Net
from ctrsel.train.optimisers import _rows_loops as loops
from ctrsel.train.optimisers._contract import Optimiser, Updates
from ctrsel.train.optimisers._rows import Move, RowUpdates, Rule, Touched

__all__ = ["LazyAdagrad"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LazyAdagrad(Optimiser):
    """Adagrad of the tables; the network's own parameters move by Adam.

    Attributes:
        table_rate: The tables' rate as a multiple of the learner's: Adagrad's steps shrink, so that it wants a larger one.
        eps: Added to the root of the sum of squares.
        row_wise: Whether a row has one sum, of its mean squares, instead of one a number.
    """

    table_rate: float = field(default=10.0, metadata=search(1.0, 100.0, log=True))
    eps: float = 1e-10
    row_wise: bool = field(default=False, metadata=choose(False, True))

    sparse: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not (self.table_rate > 0 and self.eps > 0):
            raise ConfigError(f"lazy_adagrad: needs table_rate > 0 and eps > 0, got {self.table_rate}, {self.eps}")

    def build(
        self, net: Net, *, learning_rate: float, embedding_l2: float, clip: float, shared: Tensor | None = None
    ) -> Updates:
        """Begin on a net; a row that values share is decayed whenever one of them is met, and so as often as they are."""
        return RowUpdates(net, _Adagrad(self), learning_rate=learning_rate, embedding_l2=embedding_l2, clip=clip)

    def table_bytes(self, codes: int, width: int) -> int:
        """The sums of every row; gradients are as large as a batch."""
        rule = _Adagrad(self)
        return 4 * codes * (rule.columns(width) + rule.columns(1))


class _Adagrad(Rule):
    def __init__(self, params: LazyAdagrad) -> None:
        self._params = params

    def columns(self, width: int) -> int:
        """Sums of squares."""
        return 1 if self._params.row_wise else width

    def compiled(self, touched: Touched, *, factor: float, step: int, learning_rate: float) -> Move:
        """See `move_by_adagrad`."""
        p, t = self._params, touched
        rate = np.float32(p.table_rate * learning_rate)

        def move(thread: int, threads: int) -> None:
            loops.move_by_adagrad(
                t.rows, t.starts, t.found, t.ends, thread, threads, t.table, t.gradient, t.table2, t.gradient2, t.state,
                t.at, t.at2, np.float32(factor), rate, np.float32(p.eps), p.row_wise,
            )  # fmt: skip

        return move

    def moved(
        self, weights: Tensor, gradients: Tensor, state: Tensor, *, step: int, learning_rate: float
    ) -> tuple[Tensor, Tensor]:
        """Adagrad's step."""
        squares = gradients.square()
        state = state + (squares.mean(1, keepdim=True) if self._params.row_wise else squares)
        return weights - self._params.table_rate * learning_rate * gradients / (state.sqrt() + self._params.eps), state
