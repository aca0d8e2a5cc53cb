"""A denoising autoencoder of few links, which are rewired while it learns: small ones go, new ones grow at random.

References: Atashgahi et al., "Quick and robust feature selection: the strength of energy-efficient sparse training for
    autoencoders", 2021, section 3; Mocanu et al., "Scalable training of artificial neural networks with adaptive sparse
    connectivity inspired by network science", 2018 (SET: how many links, and how they are rewired).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

__all__ = ["SparseLayer", "SparseTraining", "link_count", "train_sparse_autoencoder"]

_START = 0.1  # standard deviation of a new link's weight


def link_count(inputs: int, outputs: int, *, density: float) -> int:
    """Number of links of a layer: ``density (inputs + outputs)``, at most all.

    Examples:
        >>> link_count(784, 1000, density=13), round(link_count(784, 1000, density=13) / 784_000, 5)
        (23192, 0.02958)
    """
    return min(round(density * (inputs + outputs)), inputs * outputs)


class SparseLayer:
    """Weights ``[outputs, inputs]`` that are 0 but at its links, and the momentum of their descent.

    Args:
        inputs: Columns before.
        outputs: Columns after.
        links: How many.
        generator: Draws links and weights.
    """

    def __init__(self, inputs: int, outputs: int, *, links: int, generator: torch.Generator) -> None:
        self.generator = generator
        chosen = torch.randperm(inputs * outputs, generator=generator)[:links]
        self.mask = (
            torch.zeros(inputs * outputs, dtype=torch.bool).index_fill(0, chosen, value=True).view(outputs, inputs)
        )
        self.weight = (torch.randn(outputs, inputs, generator=generator) * _START * self.mask).requires_grad_()
        self.bias = torch.zeros(outputs, requires_grad=True)
        self.speed = [torch.zeros_like(self.weight), torch.zeros_like(self.bias)]

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Return ``x W' + b``."""
        # DEVIATION(Atashgahi et al. 2021): a masked dense product in place of sparse matrices: the same numbers, in
        # time and memory of all inputs times outputs.
        return torch.nn.functional.linear(x, self.weight, self.bias)

    @torch.no_grad()
    def step(self, *, rate: float, momentum: float, decay: float) -> None:
        """Descend along the gradient at the links."""
        for value, speed, mask in zip((self.weight, self.bias), self.speed, (self.mask, None), strict=True):
            assert value.grad is not None
            change = value.grad + decay * value
            speed.mul_(momentum).sub_(rate * (change if mask is None else change * mask))
            value.add_(speed)
            value.grad = None

    @torch.no_grad()
    def rewire(self, share: float) -> None:
        """Drop this share of the smallest positive and of the least negative weights; grow as many links elsewhere."""
        flat, mask = self.weight.view(-1), self.mask.view(-1)
        free = torch.nonzero(~mask).view(-1)  # where nothing was before, so that no link comes back at once
        gone = []
        for sign in (1.0, -1.0):
            held = torch.nonzero(mask & (sign * flat > 0)).view(-1)
            small = torch.argsort((sign * flat)[held], stable=True)[: int(share * len(held))]
            gone.append(held[small])
        dropped = torch.cat(gone)
        grown = free[torch.randperm(len(free), generator=self.generator)[: len(dropped)]]
        # A layer that is nearly full has less room than it gives up: it keeps the rest.
        dropped = dropped[: len(grown)]
        speed = self.speed[0].view(-1)
        for places in (dropped, grown):
            flat[places] = 0.0
            speed[places] = 0.0
        mask[dropped], mask[grown] = False, True
        flat[grown] = torch.randn(len(grown), generator=self.generator) * _START

    def strength(self) -> np.ndarray:
        """Return the sum of absolute weights of each input, float64 ``[inputs]``."""
        found: np.ndarray = self.weight.detach().abs().sum(0).double().numpy()
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class SparseTraining:
    """How the autoencoder is trained; the paper's numbers, but for `hidden` (1000 there).

    Attributes:
        hidden: Hidden units.
        density: Links per unit of a layer's inputs and outputs.
        rewired: Share of the links that are rewired after each epoch but the last.
        noise: Standard deviation of what is added to the inputs.
        dropout: Share of the hidden units that are silent in a step.
        epochs: Passes.
        batch: Rows of a step.
        learning_rate: Of the descent.
        momentum: Of the descent.
        decay: Of the weights.
    """

    hidden: int = 200
    density: float = 13.0
    rewired: float = 0.2
    noise: float = 0.2
    dropout: float = 0.2
    epochs: int = 10
    batch: int = 100
    learning_rate: float = 0.01
    momentum: float = 0.9
    decay: float = 1e-5


def train_sparse_autoencoder(
    rows: Callable[[np.ndarray], np.ndarray],
    *,
    n_rows: int,
    columns: int,
    training: SparseTraining,
    seed: int,
    watch: Callable[[int, SparseLayer, SparseLayer], None] | None = None,
) -> tuple[SparseLayer, float]:
    """Train, and return the first layer and the mean squared error of the last epoch (1 = nothing was learnt).

    Args:
        rows: Gives rows by their numbers as float32 ``[B, columns]``, standardised.
        n_rows: How many there are.
        columns: How many columns.
        training: How.
        seed: Of links, noise, dropout and the order of the rows.
        watch: Called after each epoch's rewiring with the epoch and both layers.
    """
    draws = torch.Generator().manual_seed(seed)
    layers = [
        SparseLayer(a, b, links=link_count(a, b, density=training.density), generator=draws)
        for a, b in ((columns, training.hidden), (training.hidden, columns))
    ]
    first, second = layers
    error = float("nan")
    for epoch in range(training.epochs):
        order = torch.randperm(n_rows, generator=draws).numpy()
        total = 0.0
        for i in range(0, n_rows, training.batch):
            clean = torch.from_numpy(rows(order[i : i + training.batch]))
            # DEVIATION(Atashgahi et al. 2021): noise is drawn anew for every step; the authors' code draws it once.
            noisy = clean + training.noise * torch.randn(clean.shape, generator=draws)
            hidden = torch.sigmoid(first(noisy))
            if training.dropout > 0:
                kept = torch.rand(hidden.shape, generator=draws) >= training.dropout
                hidden = hidden * kept / (1.0 - training.dropout)
            apart = second(hidden) - clean
            loss = 0.5 * (apart**2).sum(1).mean()
            loss.backward()  # type: ignore[no-untyped-call]  # torch has no type for it
            total += float((apart.detach() ** 2).mean()) * len(clean)
            for layer in layers:
                layer.step(rate=training.learning_rate, momentum=training.momentum, decay=training.decay)
        error = total / n_rows
        if epoch + 1 < training.epochs:
            for layer in layers:
                layer.rewire(training.rewired)
        if watch is not None:
            watch(epoch, first, second)
    return first, error
