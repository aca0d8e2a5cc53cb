"""Adam as a module, for the parameters of a gate."""

from __future__ import annotations

import torch
from torch import nn

__all__ = ["Adam"]


class Adam(nn.Module):
    """Adam for a gate's own parameters, with its state in buffers (Kingma and Ba, 2015, algorithm 1).

    Args:
        parameters: Each is moved where it has a gradient.
        rate: The learning rate.
        eps: As in the algorithm.
        betas: As in the algorithm.
        shared: Whether a parameter's numbers share one second moment, that of the largest gradient among them: then their
            moves stay in proportion.
    """

    def __init__(
        self,
        parameters: list[nn.Parameter],
        *,
        rate: float,
        eps: float = 1e-8,
        betas: tuple[float, float] = (0.9, 0.999),
        shared: bool = False,
    ) -> None:
        super().__init__()
        self._parameters_of = tuple(parameters)  # a tuple, so that they are not this module's parameters as well
        self.rate, self.eps, self.betas, self.shared = rate, eps, betas, shared
        for i, p in enumerate(parameters):
            self.register_buffer(f"m{i}", torch.zeros_like(p))
            self.register_buffer(f"v{i}", torch.zeros_like(p))
            self.register_buffer(f"t{i}", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def step(self) -> None:
        """Move, and drop the gradients."""
        b1, b2 = self.betas
        for i, p in enumerate(self._parameters_of):
            if p.grad is None:
                continue
            m, v, t = getattr(self, f"m{i}"), getattr(self, f"v{i}"), getattr(self, f"t{i}")
            t += 1
            m.lerp_(p.grad, 1 - b1)
            squares = p.grad.square()
            v.lerp_(squares.amax().expand_as(v) if self.shared else squares, 1 - b2)
            root = v.sqrt().div_(float((1 - b2 ** int(t)) ** 0.5)).add_(self.eps)
            p.addcdiv_(m, root, value=-self.rate / (1 - b1 ** int(t)))
            p.grad = None

    @torch.no_grad()
    def restart(self) -> None:
        """Forget all moments."""
        for buffer in self.buffers():
            buffer.zero_()
