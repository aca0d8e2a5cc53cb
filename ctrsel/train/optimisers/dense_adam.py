"""DenseAdam: one fused Adam over every row of the tables in every step, with their L2 in the loss.

Reference: Kingma and Ba, "Adam: a method for stochastic optimization", 2015; the L2 over all rows in every step is what
the published BARS figures were made with (Zhu et al., 2022).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ctrsel.models.network import Net
from ctrsel.train.optimisers._contract import Optimiser, Updates

__all__ = ["DenseAdam"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DenseAdam(Optimiser):
    """Adam with its usual decay rates (0.9 and 0.999); right for small tables and for the published settings."""

    def build(
        self, net: Net, *, learning_rate: float, embedding_l2: float, clip: float, shared: Tensor | None = None
    ) -> Updates:
        """Begin on a net."""
        return _DenseAdam(net, learning_rate=learning_rate, embedding_l2=embedding_l2, clip=clip, shared=shared)

    def table_bytes(self, codes: int, width: int) -> int:
        """A gradient and two moments of every row."""
        return 3 * 4 * codes * (width + 1)


class _DenseAdam(Updates):
    def __init__(
        self, net: Net, *, learning_rate: float, embedding_l2: float, clip: float, shared: Tensor | None
    ) -> None:
        roles = {role: [p for p in params if p.numel()] for role, params in net.roles().items()}
        self._tables = roles["embedding"]
        self._clipped: list[nn.Parameter] = [*roles["embedding"], *roles["network"]]
        self._l2 = embedding_l2
        # A row that values share counts once for each of them: it has the data of all, and a prior of one would hold it less
        # than each row was held before they were merged.
        self._own: dict[int, Tensor] = {}
        if shared is not None:
            of_codes = [t for t in net.embedding.tables() if t.numel()]
            weights = shared.to(of_codes[0].device) if of_codes else shared
            self._own = {id(t): weights.reshape(-1, *[1] * (t.dim() - 1)) for t in of_codes}
        self._clip = clip
        self.learning_rate = learning_rate
        self._adam = torch.optim.Adam(self._clipped, lr=learning_rate, fused=True)

    def step(self, objective: Tensor) -> None:
        """Differentiate, add the L2 of the tables, clip and step."""
        self._adam.zero_grad(set_to_none=True)
        objective.backward()  # type: ignore[no-untyped-call]  # torch does not annotate it
        if self._l2:
            with torch.no_grad():
                for table in self._tables:
                    # The gradient of (r / 2) ||E||^2 is r E: no graph over the whole table is needed.
                    if table.grad is None:
                        continue
                    if (own := self._own.get(id(table))) is None:
                        table.grad.add_(table, alpha=self._l2)
                    else:
                        table.grad.addcmul_(table, own, value=self._l2)
        nn.utils.clip_grad_norm_(self._clipped, self._clip)
        self._adam.param_groups[0]["lr"] = self.learning_rate
        self._adam.step()

    def state(self) -> Mapping[str, Tensor]:
        """Rate, and per parameter its steps and moments."""
        found = {"learning_rate": torch.tensor(self.learning_rate, dtype=torch.float64)}
        for i, parameter in enumerate(self._clipped):
            found |= {f"{i}.{name}": value for name, value in self._adam.state.get(parameter, {}).items()}
        return found

    def owners(self) -> Mapping[str, nn.Parameter]:
        """Every parameter has its own steps and moments."""
        return {f"{i}.{kind}": p for i, p in enumerate(self._clipped) for kind in ("step", "exp_avg", "exp_avg_sq")}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Copy rate and moments in."""
        self.learning_rate = float(state["learning_rate"])
        for i, parameter in enumerate(self._clipped):
            own = {k.partition(".")[2]: v.clone() for k, v in state.items() if k.startswith(f"{i}.")}
            if own:
                self._adam.state[parameter] = own
