"""Sequential Attention: fields are picked one after another in one training, each by attention over those not yet picked.

Reference: Yasuda et al., "Sequential attention for feature selection", 2023, algorithm 1: a picked field has weight 1, the
others a softmax over logits that are trained with the net; at the end of a phase the largest logit is picked and all of
them begin anew. On a linear problem this is orthogonal matching pursuit (theorem 1.2).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar

import torch
from torch import Tensor, nn

from ctrsel.core.errors import ConfigError
from ctrsel.core.ranges import choose, search
from ctrsel.models.embedded import Embedded
from ctrsel.models.gates._adam import Adam
from ctrsel.models.gates._contract import Exchange, FieldGateModule, Gate, GateModule, SearchPlan, Site, scaled
from ctrsel.models.gates._rates import rate_for

__all__ = ["SequentialAttention"]

_WAY = 3.0  # of a logit in a phase: a field that always gains has 20 times another's attention then


@dataclass(frozen=True, slots=True, kw_only=True)
class SequentialAttention(Gate):
    """Parameters of Sequential Attention.

    Attributes:
        epochs: T, epochs of the search; None = 8, fewer on tables of many rows: see `Gate.epochs_on`.
        rewind: Epoch to whose start the weights go back for the retraining.
        picks: So many fields are picked; None = all, which orders them all. A selector sets it to what sizes ask for.
        together: Fields picked at the end of a phase; the last phase picks what is left.
        compensated: Whether the softmax is multiplied by the number of fields that are not picked, so that attention
            begins as the net without a gate; as published, such fields begin at one over their number.
        every: Logits learn from a batch of validation rows after so many steps; 0 = from the training batches, as published.
        logit_lr: Adam's rate for the logits; None = the net's, or as much more as they need to decide in a phase.
        warmup: Share of the search before the first phase, in which all weights are 1 while the net trains.
    """

    site: ClassVar[Site] = "field"
    usual_epochs: ClassVar[int] = 8
    decides: ClassVar[bool] = False
    epochs: int | None = None
    rewind: int = 0
    picks: int | None = None
    together: int = 1
    compensated: bool = False
    every: int = field(default=2, metadata=choose(0, 1, 2, 5))
    logit_lr: float | None = None
    warmup: float = field(default=0.1, metadata=search(0.0, 0.5))

    def __post_init__(self) -> None:
        self.check_search("sequential_attention")
        if self.every < 0:
            raise ConfigError(f"sequential_attention.every: must be at least 0, got {self.every}")
        for name in ("picks", "together"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"sequential_attention.{name}: must be at least 1, got {value}")
        if not 0 <= self.warmup < 1:
            raise ConfigError(f"sequential_attention.warmup: must be in [0, 1), got {self.warmup}")
        if self.logit_lr is not None and self.logit_lr <= 0:
            raise ConfigError(f"sequential_attention.logit_lr: must be above 0, got {self.logit_lr}")

    def reaching(self, number: int) -> SequentialAttention:
        """Pick no more fields than will be asked for, so that the phases are longer."""
        return replace(self, picks=number if self.picks is None else min(self.picks, number))

    def build(self, plan: SearchPlan) -> GateModule:
        """Build for a search.

        Raises:
            ConfigError: If more fields are to be picked than there are, or a phase would have no step.
        """
        fields = len(plan.fields)
        picks = fields if self.picks is None else self.picks
        if picks > fields:
            raise ConfigError(f"sequential_attention.picks: there are {fields} fields, got {picks}")
        phases = -(-picks // self.together)
        moves = plan.steps // max(self.every, 1)
        held = round(moves * self.warmup)
        if moves - held < phases:
            raise ConfigError(
                f"sequential_attention: {phases} phases need a move of the logits each, but after the warm-up there are "
                f"{moves - held}; raise the epochs or together, ask for fewer fields, or make the batches smaller"
            )
        a_phase = (moves - held) / phases
        return _SequentialAttention(
            self,
            fields=fields,
            picks=picks,
            ends=tuple(held + round((i + 1) * a_phase) for i in range(phases)),
            held=held,
            # DEVIATION(Sequential Attention): logits learn as fast as a phase is short, at a rate of their own.
            rate=rate_for(plan, _WAY, moves=a_phase, rate=self.logit_lr),
        )


class _SequentialAttention(FieldGateModule):
    place: Tensor
    step: Tensor

    def __init__(
        self, gate: SequentialAttention, *, fields: int, picks: int, ends: tuple[int, ...], held: int, rate: float
    ) -> None:
        super().__init__()
        self.fields, self.picks, self.ends, self.held = fields, picks, ends, held
        self.together, self.compensated, self.every = gate.together, gate.compensated, gate.every
        # DEVIATION(Sequential Attention): logits learn from validation rows unless told otherwise: on training rows a field of
        # many values gains most by what its embeddings learned by heart.
        # DEVIATION(Sequential Attention): logits begin at 0, not at random, and learn before the first pick too: as
        # released, that pick is the largest random number.
        self.logits = nn.Parameter(torch.zeros(fields))
        self.register_buffer("place", torch.full((fields,), -1))  # of each field in the order of picks, -1 = not picked
        self.register_buffer("step", torch.tensor(0))  # updates so far
        # DEVIATION(Sequential Attention): logits move in proportion to their gradients; under plain Adam all fields that gain
        # more than the mean move alike, and in a short phase rounding decides among them.
        self.adam = Adam([self.logits], rate=rate, shared=True)

    @property
    def picked(self) -> Tensor:
        """Bool `[F]`."""
        return self.place >= 0

    def mask(self) -> Tensor:
        """Return the weights `[F]`."""
        picked = self.picked
        if int(self.step) < self.held or bool(picked.all()):
            return torch.ones_like(self.logits)
        attention = torch.softmax(self.logits.masked_fill(picked, float("-inf")), 0)
        if self.compensated:
            attention = attention * (~picked).sum()
        return torch.where(picked, torch.ones_like(attention), attention)

    def forward(self, embedded: Embedded) -> Embedded:
        return scaled(embedded, self.mask())

    def advance(self, progress: float) -> None:
        """There is no temperature; phases end in `update`, by the number of updates."""

    @torch.no_grad()
    def update(self, exchange: Exchange) -> None:
        """Move the logits; at the end of a phase pick, and begin anew."""
        self.step += 1
        if int(self.step) <= self.held:
            self.logits.grad = None
            return
        self.adam.step()
        if int(self.step) in self.ends:
            self._pick()

    def _pick(self) -> None:
        done = int(self.picked.sum())
        number = min(self.together, self.picks - done)
        wanted = self.logits.masked_fill(self.picked, float("-inf")).sort(descending=True, stable=True).indices
        self.place[wanted[:number]] = torch.arange(done, done + number, device=self.place.device)
        self.logits.zero_()
        self.adam.restart()

    def kept(self) -> Tensor:
        """The fields picked; before the last pick those that would be next as well, so that they are always as many."""
        kept = torch.zeros_like(self.picked)
        kept[self.scores().sort(descending=True, stable=True).indices[: self.picks]] = True
        return kept

    def scores(self) -> Tensor:
        """Fields picked: F for the first, one less for each that follows; the others: below 1, by their logits."""
        rest = torch.sigmoid(self.logits.detach().double())
        return torch.where(self.picked, (self.fields - self.place).double(), rest)

    def facts(self) -> Mapping[str, float]:
        return {"picked": float(self.picked.sum())}
