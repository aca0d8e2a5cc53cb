"""A multi-layer perceptron with fast batch normalisation and dropout on CPU.

Layers in the order of FuxiCTR (Zhu et al., "Open benchmarking for CTR prediction", 2021): linear, batch normalisation,
ReLU, dropout; weights Xavier normal, biases zero.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_linear_bn_eval

from ctrsel.core.errors import ConfigError
from ctrsel.models.backbones._joint_norm import Across, joint_moments, joint_norm

__all__ = ["BatchNorm", "Dropout", "Layers", "folded", "linear", "mlp"]


class BatchNorm(nn.BatchNorm1d):
    """Batch normalisation that uses its running moments for a training batch with fewer than 2 rows.

    Attributes:
        across: The processes among which a training batch is divided; None for one process.
    """

    across: Across | None = None

    def forward(self, input: Tensor) -> Tensor:
        """Normalise `[B, D]`."""
        if self.training and self.across is not None:
            return self._joint(input, self.across)
        if not self.training or input.shape[0] < 2:
            return self._settled(input)
        return super().forward(input)

    def _settled(self, input: Tensor) -> Tensor:
        return functional.batch_norm(
            input, self.running_mean, self.running_var, self.weight, self.bias, training=False, eps=self.eps
        )

    def _joint(self, input: Tensor, across: Across) -> Tensor:
        """Normalise by the moments of all processes' rows; the running ones follow as torch's do."""
        self._check_input_dim(input)
        x = (input if input.dim() == 2 else input.transpose(1, 2).flatten(0, 1)).float()  # [rows, D]
        n, mean, var = joint_moments(x, across)
        if n < 2:
            return self._settled(input)
        if self.running_mean is not None and self.running_var is not None and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
            share = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
            self.running_mean.lerp_(mean, share)
            self.running_var.lerp_(var * (n / (n - 1)), share)
        weight = torch.ones_like(mean) if self.weight is None else self.weight
        bias = torch.zeros_like(mean) if self.bias is None else self.bias
        out = joint_norm(x, weight, bias, n=n, mean=mean, var=var, eps=self.eps, across=across).to(input.dtype)
        return out if input.dim() == 2 else out.view(input.shape[0], -1, input.shape[1]).transpose(1, 2)


class _Drop(torch.autograd.Function):
    """Multiply by a mask of 0 and 1/keep whose bits cost 16 random bits each (torch's own draws cost 4 times as much)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, threshold: int) -> Tensor:
        mask = drop_factors(x, threshold)
        ctx.save_for_backward(mask)
        return x * mask

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (mask,) = ctx.saved_tensors
        return grads[0] * mask, None


def drop_factors(x: Tensor, threshold: int) -> Tensor:
    """Draw 0 with a probability of `threshold` in 65,536, else 1/keep, for every entry of x."""
    n = x.numel()
    words = torch.empty((n + 3) // 4, dtype=torch.int64).random_(-(2**63), None)
    kept = words.view(torch.int16)[:n].view(x.shape) >= threshold - 32768
    return kept.to(x.dtype).mul_(65536.0 / (65536 - threshold))


class Dropout(nn.Module):
    """Dropout with its probability rounded to 1/65,536; the expectation is kept exactly."""

    def __init__(self, p: float) -> None:
        super().__init__()
        if not 0 <= p < 1:
            raise ConfigError(f"dropout must be in [0, 1), got {p}")
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """Drop entries in training only."""
        if not self.training or not self.p:
            return x
        if x.device.type != "cpu":
            return functional.dropout(x, self.p, training=True)
        out: Tensor = _Drop.apply(x.contiguous(), round(self.p * 65536))  # type: ignore[no-untyped-call]  # torch does not annotate it
        return out

    def extra_repr(self) -> str:
        """Show p."""
        return f"p={self.p}"


Piece = Callable[[Tensor, nn.Linear, "BatchNorm | None", float], Tensor | None]


class Layers(nn.Sequential):
    """Layers one after another.

    Attributes:
        piece: A way to take a linear layer in one piece with the norm, ReLU and dropout behind it while training, which
            may return None where it cannot; None = one module after another. A trainer that has one sets it, so that
            what is served knows nothing of it.
    """

    piece: Piece | None = None

    def forward(self, input: Tensor) -> Tensor:
        """Pass a batch through all layers."""
        if not self.training:
            return self._settled(input)
        if self.piece is None:
            out: Tensor = super().forward(input)  # type: ignore[no-untyped-call]  # torch does not annotate it
            return out
        modules, x, at = list(self), input, 0
        while at < len(modules):
            parts = _parts(modules, at)
            done = None if parts is None else self.piece(x, *parts[:3])
            if parts is None or done is None:
                x = modules[at](x)
                at += 1
            else:
                x, at = done, parts[3]
        return x

    def folded(self) -> Layers:
        """Return layers of evaluation only: each norm in the linear layer before it, no dropout."""
        made: list[nn.Module] = []
        for module in self:
            last = made[-1] if made else None
            if isinstance(module, BatchNorm) and module.affine and type(last) is nn.Linear:
                made[-1] = fuse_linear_bn_eval(last, module)
            elif not isinstance(module, Dropout):
                made.append(module)
        return Layers(*made).eval()

    def _settled(self, x: Tensor) -> Tensor:
        """Pass a batch through in evaluation; calling each module would take a tenth of what a single row does."""
        for module in self:
            kind = type(module)
            if module._forward_hooks or module._forward_pre_hooks:
                x = module(x)
            elif kind is nn.Linear:
                x = functional.linear(x, module.weight, module.bias)  # type: ignore[arg-type]
            elif kind is nn.ReLU:
                x = torch.relu(x)
            elif kind is BatchNorm and not module.training:
                x = module._settled(x)  # type: ignore[operator]
            elif kind is not Dropout or module.training:
                x = module(x)
        return x


def folded(module: nn.Module) -> nn.Module:
    """Fold the norms of all `Layers` in a module that is in evaluation; the module is changed.

    Returns:
        The module, or what stands in its place.
    """
    if type(module) is Layers:
        return module.folded()
    for name, child in module.named_children():
        setattr(module, name, folded(child))
    return module


def _parts(modules: list[nn.Module], at: int) -> tuple[nn.Linear, BatchNorm | None, float, int] | None:
    """Return a linear layer, its norm, the share dropped and where the next piece begins; None where no ReLU follows."""
    layer = modules[at]
    if type(layer) is not nn.Linear:
        return None
    at += 1
    following = iter([*modules[at:], None, None, None])
    norm, after = None, next(following)
    if isinstance(after, BatchNorm):
        norm, after, at = after, next(following), at + 1
        if not norm.training or norm.across is not None or not norm.affine:
            return None
    if type(after) is not nn.ReLU:
        return None
    after = next(following)
    if isinstance(after, Dropout):
        return layer, norm, after.p if after.training else 0.0, at + 2
    return layer, norm, 0.0, at + 1


def linear(inputs: int, outputs: int, *, bias: bool = True) -> nn.Linear:
    """Return a linear layer with Xavier-normal weights and zero bias."""
    layer = nn.Linear(inputs, outputs, bias=bias)
    nn.init.xavier_normal_(layer.weight)
    if bias:
        nn.init.zeros_(layer.bias)
    return layer


def mlp(inputs: int, hidden: tuple[int, ...], outputs: int, *, batch_norm: bool, dropout: float) -> Layers:
    """Return linear -> normalisation -> ReLU -> dropout per hidden layer, and a linear layer to `outputs`."""
    if any(h < 1 for h in hidden):
        raise ConfigError(f"hidden layers need at least one unit each, got {hidden}")
    layers: list[nn.Module] = []
    for width in hidden:
        layers.append(linear(inputs, width))
        if batch_norm:
            layers.append(BatchNorm(width))
        layers.append(nn.ReLU())
        if dropout:
            layers.append(Dropout(dropout))
        inputs = width
    layers.append(linear(inputs, outputs))
    return Layers(*layers)
