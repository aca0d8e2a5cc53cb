"""LazyAdam: Adam of the rows that a batch touches, for tables so large that a step over all rows would cost the most.

Reference: Kingma and Ba, "Adam: a method for stochastic optimization", 2015; that rows without a gradient stay where they
are is the lazy form of TensorFlow and of `torch.optim.SparseAdam`; one second moment per row is that of FBGEMM's partial
row-wise Adam (Khudia et al., 2021), after the row-wise Adagrad of Naumov et al. (DLRM, 2019).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal, get_args

import numpy as np
from torch import Tensor

from ctrsel.core.errors import ConfigError
from ctrsel.core.ranges import choose
from ctrsel.models.network import Net
from ctrsel.train.optimisers import _rows_loops as loops
from ctrsel.train.optimisers._contract import Optimiser, Updates
from ctrsel.train.optimisers._rows import Move, RowUpdates, Rule, Touched

__all__ = ["LazyAdam"]

Skipped = Literal["frozen", "absent", "decayed"]

_SKIPPED = {"frozen": loops.FROZEN, "absent": loops.ABSENT, "decayed": loops.DECAYED}


@dataclass(frozen=True, slots=True, kw_only=True)
class LazyAdam(Optimiser):
    """Adam whose moments and weights change in touched rows only; the network's own parameters move by Adam.

    Attributes:
        beta1: Decay of the first moments of rows.
        beta2: Decay of their second moments.
        eps: Added to the root of the second moments.
        row_wise: Whether a row has one second moment, the mean of its squares, instead of one a number.
        skipped: What steps that do not touch a row do to its moments: "frozen" leaves them and corrects the bias by all
            steps, as `torch.optim.SparseAdam` does; "absent" leaves them and corrects by the row's own steps;
            "decayed" multiplies them, at the next touch, by what Adam's steps without a gradient would have.
    """

    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    row_wise: bool = field(default=False, metadata=choose(False, True))
    skipped: Skipped = field(default="frozen", metadata=choose("frozen", "absent", "decayed"))

    sparse: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not (0 <= self.beta1 < 1 and 0 <= self.beta2 < 1 and self.eps > 0):
            raise ConfigError(
                "lazy_adam: needs 0 <= beta1 < 1, 0 <= beta2 < 1 and eps > 0, got "
                f"{self.beta1}, {self.beta2}, {self.eps}"
            )
        if self.skipped not in get_args(Skipped):
            known = ", ".join(get_args(Skipped))
            raise ConfigError(f"lazy_adam.skipped: must be one of {known}, got {self.skipped!r}")

    def build(
        self, net: Net, *, learning_rate: float, embedding_l2: float, clip: float, shared: Tensor | None = None
    ) -> Updates:
        """Begin on a net; a row that values share is decayed whenever one of them is met, and so as often as they are."""
        return RowUpdates(net, _Adam(self), learning_rate=learning_rate, embedding_l2=embedding_l2, clip=clip)

    def table_bytes(self, codes: int, width: int) -> int:
        """The moments of every row; gradients are as large as a batch."""
        rule = _Adam(self)
        return 4 * codes * (rule.columns(width) + rule.columns(1))


class _Adam(Rule):
    # DEVIATION(Adam): a row without a gradient in a batch does not move in it, and its moments do not fall with each step
    # ("decayed" makes that up at the next touch): a step costs what the batch holds, not what the table does.

    def __init__(self, params: LazyAdam) -> None:
        self._params = params

    def columns(self, width: int) -> int:
        """First moments, second moments, and a clock where steps are told apart."""
        return width + (1 if self._params.row_wise else width) + (self._params.skipped != "frozen")

    def compiled(self, touched: Touched, *, factor: float, step: int, learning_rate: float) -> Move:
        """See `move_by_adam`."""
        p, t = self._params, touched
        skipped = _SKIPPED[p.skipped]

        def move(thread: int, threads: int) -> None:
            loops.move_by_adam(
                t.rows, t.starts, t.found, t.ends, thread, threads, t.table, t.gradient, t.table2, t.gradient2, t.state,
                t.at, t.at2, np.float32(factor), step, float(learning_rate), p.beta1, p.beta2, np.float32(p.eps), p.row_wise, skipped,
            )  # fmt: skip

        return move

    def moved(
        self, weights: Tensor, gradients: Tensor, state: Tensor, *, step: int, learning_rate: float
    ) -> tuple[Tensor, Tensor]:
        """Adam's step, each row by its own clock."""
        p, state, width = self._params, state.clone(), weights.shape[1]
        m, v = state[:, :width], state[:, width : width + (1 if p.row_wise else width)]
        clock = state.new_full((len(state), 1), step)
        if p.skipped == "absent":
            clock = state[:, -1:] + 1
        elif p.skipped == "decayed":
            missed = clock - 1 - state[:, -1:]
            m.mul_(p.beta1**missed)
            v.mul_(p.beta2**missed)
        if p.skipped != "frozen":
            state[:, -1:] = clock
        squares = gradients.square()
        m.mul_(p.beta1).add_(gradients, alpha=1 - p.beta1)
        v.mul_(p.beta2).add_(squares.mean(1, keepdim=True) if p.row_wise else squares, alpha=1 - p.beta2)
        root = (v / (1 - p.beta2 ** clock.double()).to(v)).sqrt() + p.eps
        return weights - learning_rate / (1 - p.beta1 ** clock.double()).to(m) * m / root, state
