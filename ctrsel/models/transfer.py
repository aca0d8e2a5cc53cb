"""Transfer: the weights of a trained net, brought to a net on another Encoder; rows are matched by value text.

Reference: none; that a CTR model goes on from yesterday's weights over the new day is described by McMahan et al., "Ad
click prediction: a view from the trenches", 2013, and is what the rows of an embedding table need a text for.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor

from ctrsel.core.catalog import describe
from ctrsel.core.errors import ConfigError
from ctrsel.models.layout import Layout
from ctrsel.models.matching import FieldMatch, Match, match
from ctrsel.models.net import NetPredictor
from ctrsel.models.slots import picked
from ctrsel.records.feature_set import HIDDEN

if TYPE_CHECKING:
    from ctrsel.data.encoder import Encoder
    from ctrsel.models.backbones import Backbone
    from ctrsel.models.model import Model
    from ctrsel.models.network import Net

__all__ = ["Transfer", "Unseen", "transfer"]

Unseen = Literal["other", "fresh"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """Starting weights and where they come from.

    Attributes:
        weights: For `Net.set_weights`.
        fields: What became of each field of either Encoder.
        carrier: Carried the weights.
    """

    weights: Mapping[str, Tensor]
    fields: tuple[FieldMatch, ...]
    carrier: _Carrier

    def moments(self, key: str, old: Tensor, weight: Tensor) -> Tensor:
        """Return moments of an optimiser in the form of the new weight; 0 for what is new."""
        rows = key.startswith("embedding.") and not key.startswith("embedding.float")
        fresh = old.new_zeros(len(weight), *old.shape[1:]) if rows else old.new_zeros(weight.shape)
        return self.carrier.carried(key, old, fresh, unseen="fresh", rescale=False)


def transfer(
    start: Model,
    encoder: Encoder,
    *,
    net: Net,
    backbone: Backbone,
    width: int,
    unseen: Unseen = "other",
) -> Transfer:
    """Return weights with which a net scores raw rows as an older model does, as far as both read the same fields.

    A value keeps its row, whatever its code is now; of merged values the new one gets the mean of the old rows, weighted by
    the old training counts. Values that the old model did not know start from its row `OTHER`, which is what it gives
    them. Rows of values that are gone are dropped, and so are the weights of fields that are gone; fields that are new
    keep the fresh weights of `net`. Buckets whose edges have moved get the row of the old bucket that their middle lies
    in. The vector of a float is rescaled to its new spread. The intercept follows a change of the sampling rate.

    Args:
        start: The older model.
        encoder: Of the new net.
        net: The new net, with fresh weights, which are copied and not changed.
        backbone: Of the new net.
        width: D.
        unseen: Where values start that the old model did not know.

    Raises:
        ConfigError: If `start` is no net of this backbone, width and labels, or the backbone does not say which weights
            belong to a field and the fields differ.
    """
    predictor = _fitting(start, encoder, backbone=backbone, width=width)
    carrier = _Carrier(
        start=start,
        encoder=encoder,
        backbone=backbone,
        layouts=(predictor.net.layout, net.layout),
        found=match(start.encoder, encoder),
        width=net.embedding.width,
    )
    held = predictor.net.weights()
    weights = {k: carrier.carried(k, held[k], v, unseen=unseen) for k, v in net.weights().items() if k != "prior"}
    weights["prior"] = held["prior"] + (start.offset - math.log(encoder.schema.sampling_rate))
    return Transfer(weights=weights, fields=carrier.found.fields, carrier=carrier)


def _fitting(start: Model, encoder: Encoder, *, backbone: Backbone, width: int) -> NetPredictor:
    predictor = start.predictor
    if not isinstance(predictor, NetPredictor):
        raise ConfigError(f"start: must be a net, got a model of kind {predictor.kind!r}")
    if predictor.backbone != backbone:
        raise ConfigError(
            f"start: must have the learner's backbone {describe(backbone)}, got {describe(predictor.backbone)}"
        )
    if predictor.width != width:
        raise ConfigError(f"start: must have the learner's width {width}, got {predictor.width}")
    old, new = ([label.name for label in e.schema.labels] for e in (start.encoder, encoder))
    if old != new:
        raise ConfigError(f"start: must predict the table's labels {new}, got {old}")
    return predictor


@dataclass(frozen=True, slots=True, kw_only=True)
class _Carrier:
    """Carries tensors of the form of weights, such as weights themselves, from one net to another."""

    start: Model
    encoder: Encoder
    backbone: Backbone
    layouts: tuple[Layout, Layout]
    found: Match
    width: int  # of a row

    def carried(self, key: str, old: Tensor, fresh: Tensor, *, unseen: Unseen, rescale: bool = True) -> Tensor:
        """Return a weight's tensor `old` in the form of `fresh`, which fills what the earlier net did not have."""
        if key.startswith("embedding.float"):
            return self._floats(old, fresh, rescale=rescale)
        if key.startswith("embedding."):
            return self._rows(old, fresh, unseen=unseen)
        return self._backbone(key.removeprefix("backbone."), old, fresh)

    def _rows(self, old: Tensor, fresh: Tensor, *, unseen: Unseen) -> Tensor:
        """Fill a table `[V, ...]`, vocabulary by vocabulary."""
        out, before, after = fresh.clone(), self.start.encoder, self.encoder
        for name, rows in self.found.vocabularies.items():
            first, size = after.offsets[name], after.vocabularies[name].size
            theirs, mine = old[before.offsets[rows.old] :], out[first : first + size]
            if unseen == "other":
                mine[torch.from_numpy(rows.new_codes)] = theirs[rows.other]
            to, of = torch.from_numpy(rows.to), torch.from_numpy(rows.of)
            if rows.unique:
                mine[to] = theirs[of]
            else:
                shape = (-1, *[1] * (old.dim() - 1))
                weight = torch.from_numpy(rows.weight)
                total = torch.zeros(mine.shape, dtype=torch.float64)
                total.index_add_(0, to, theirs[of].double() * weight.view(shape))
                mass = torch.zeros(size, dtype=torch.float64).index_add_(0, to, weight)
                met = mass > 0
                mine[met] = (total[met] / mass[met].view(shape)).to(mine.dtype)
            mine[HIDDEN] = 0
        return out

    def _floats(self, old: Tensor, fresh: Tensor, *, rescale: bool) -> Tensor:
        """Fill a table with a row per float: x / s_old * v = x / s_new * (v * s_new / s_old)."""
        out = fresh.clone()
        for i, name in enumerate(self.layouts[1].floats):
            if name in self.found.floats:
                out[i] = old[self.layouts[0].floats.index(name)] * (self.found.floats[name] if rescale else 1.0)
        return out

    def _backbone(self, key: str, old: Tensor, fresh: Tensor) -> Tensor:
        """Copy a backbone's weight; where slots differ, what belongs to shared ones to the place that they have now."""
        before, after = self.layouts
        alike = _targets(before) == _targets(after)
        if (before.slots == after.slots and not self.found.changed and alike) or not old.dim():
            return old.clone()
        changed = self.found.changed
        shared = [name for name in after.slots if name in before.slots and name not in changed]
        index: list[list[Tensor]] = []  # per net the entries along each axis
        for layout, tensor in ((before, old), (after, fresh)):
            labels = len(self.encoder.schema.labels)
            shape = layout.shape(width=self.backbone.row_width(self.width, labels=labels), labels=labels)
            columns = self.backbone.slot_columns(shape)
            if columns is None or not alike:
                raise ConfigError(
                    f"start: its fields are not the table's, and backbone {describe(self.backbone)['use']!r} does not say "
                    "which of its weights belong to a field; train from new weights"
                )
            slots = [layout.slots.index(name) for name in shared]
            entries = [np.arange(n) for n in tensor.shape]
            for axis, parts in ((0, self.backbone.slot_rows(shape)), (-1, columns)):
                if key in parts:
                    entries[axis] = picked(parts[key], slots, fields=len(layout.slots))
            index.append([torch.from_numpy(e) for e in entries])
        if [len(e) for e in index[0]] != [len(e) for e in index[1]]:
            raise ConfigError(
                f"start: its weights {key!r} of the form {tuple(old.shape)} cannot be matched with {tuple(fresh.shape)}"
            )
        out = fresh.clone()
        out[torch.meshgrid(*index[1], indexing="ij")] = old[torch.meshgrid(*index[0], indexing="ij")]
        return out


def _targets(layout: Layout) -> dict[str, str | None]:
    """Return per history the field whose vocabulary it shares."""
    return {name: None if slot is None else layout.slots[slot] for name, slot in layout.targets}
