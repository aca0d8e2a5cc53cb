"""Moments: an optimiser's state by the names of weights, so that it can go on with a net on another Encoder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from torch import Tensor

if TYPE_CHECKING:
    from ctrsel.models.network import Net
    from ctrsel.train.optimisers import Updates

__all__ = ["Carry", "adopt", "collect"]

Carry = Callable[[str, Tensor, Tensor], Tensor]  # a weight's name, its old moments, the new weight -> new moments


def collect(updates: Updates, net: Net) -> dict[str, Tensor]:
    """Return an optimiser's state as `kind|weight`; what is about no weight as `kind|`."""
    names, owners = _names(net), updates.owners()
    return {
        f"{_kind(key)}|{names[id(owners[key])] if key in owners else ''}": tensor.detach().to("cpu", copy=True)
        for key, tensor in updates.state().items()
    }


def adopt(updates: Updates, net: Net, kept: Mapping[str, Tensor], carry: Carry | None) -> None:
    """Go on from what `collect` returned; the learning rate stays the new one.

    Args:
        updates: A new optimiser of the same kind.
        net: Its net.
        kept: The state.
        carry: Brings a tensor in the form of a weight (or with a row per code) to the new weight; None where the nets have
            the same form.
    """
    names, rate = _names(net), updates.learning_rate
    state = {key.removesuffix("|"): tensor for key, tensor in kept.items() if key.endswith("|")}
    for key, parameter in updates.owners().items():
        name = names[id(parameter)]
        old = kept.get(f"{_kind(key)}|{name}")
        if old is not None:
            state[key] = old.clone() if carry is None or not old.dim() else carry(name, old, parameter.detach())
    updates.restore(state)
    updates.learning_rate = rate


def _names(net: Net) -> dict[int, str]:
    return {id(parameter): name for name, parameter in net.named_parameters()}


def _kind(key: str) -> str:
    """Return a key of a state without the number of its parameter."""
    number, dot, kind = key.partition(".")
    return kind if dot and number.isdecimal() else key
