"""NetPredictor: a trained net without its optimiser; narrowing it is one gather per table.

Reference: Lyu et al., "Optimizing feature set for click-through rate prediction", 2023, for what is done with it: the
values that a gate drops become one row, the others keep their rows.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch
from torch import Tensor

from ctrsel.core.artifact import atomic_text, digest_arrays, digest_json, to_json
from ctrsel.core.catalog import describe
from ctrsel.core.errors import ConfigError
from ctrsel.data.batches import batches
from ctrsel.data.rows import all_rows
from ctrsel.models._contract import Predictor
from ctrsel.models.backbones import CATALOG, Backbone
from ctrsel.models.backbones._mlp import folded
from ctrsel.models.embedding import to_inputs
from ctrsel.models.layout import Layout
from ctrsel.models.network import Net
from ctrsel.models.own_noise import own_noise
from ctrsel.models.slots import picked
from ctrsel.records.feature_set import HIDDEN, OTHER, FeatureSet

if TYPE_CHECKING:
    from ctrsel.data.encoder import Encoder
    from ctrsel.data.table import Table

__all__ = ["NetPredictor"]

_BATCH = 8192  # rows scored at once: large enough for the matrix products, small enough for the cache


class NetPredictor(Predictor):
    """A net in evaluation mode.

    Attributes:
        backbone: The component that it was built from.
        width: D.
        labels: T.
        net: The torch module, with weights and without a gate.
        moments: The state of the optimiser that trained it, by kind and weight, where a learner was told to keep it; no part
            of the digest, since it scores nothing.
    """

    kind: ClassVar[str] = "net"

    def __init__(self, *, backbone: Backbone, width: int, labels: int, net: Net) -> None:
        self.backbone = backbone
        self.width = width
        self.labels = labels
        self.net = net.eval()
        self.moments: Mapping[str, Tensor] = {}

    @staticmethod
    def of(
        encoder: Encoder, weights: Mapping[str, Tensor], *, backbone: Backbone, width: int, labels: int
    ) -> NetPredictor:
        """Build for an Encoder with given weights (copied).

        Raises:
            ConfigError: If a weight's shape does not fit the Encoder and the backbone.
        """
        layout = Layout.of(encoder, history="history" in backbone.lookups)
        with own_noise(wait=False):
            net = Net(backbone, layout, width=width, labels=labels)
        net.set_weights(weights)
        return NetPredictor(backbone=backbone, width=width, labels=labels, net=net)

    def logits(self, table: Table) -> np.ndarray:
        """Score all rows of a table, in order."""
        out = np.empty((table.n_rows, self.labels), dtype=np.float32)
        done = 0
        if self.net.training:  # going through all modules takes a tenth of what a single row does
            self.net.eval()
        with torch.inference_mode():
            few = table.n_rows <= _BATCH  # one batch needs no plan of batches, which costs a tenth of a single row
            for batch in (all_rows(table),) if few else batches(table, None, size=_BATCH):
                scored = self.net(to_inputs(batch, self.net.device)).logits
                out[done : done + len(scored)] = scored.cpu().numpy()
                done += len(scored)
        return out

    def for_scoring(self) -> NetPredictor:
        """Return a net with the same tables whose normalisations are folded into the linear layers before them."""
        net = copy.copy(self.net)
        net._modules = {**self.net._modules, "backbone": folded(copy.deepcopy(self.net.backbone))}
        return NetPredictor(backbone=self.backbone, width=self.width, labels=self.labels, net=net)

    def narrow(self, old: Encoder, new: Encoder, features: FeatureSet) -> NetPredictor:
        """Return the net of the kept values.

        A kept value keeps its row; merged values get the mean of their rows, weighted by training counts. Row `OTHER`
        becomes zero (`features.other` is "zero"), or the mean of its own row and the dropped values' rows, weighted
        by training counts ("learned"). A dropped field is as if it were `HIDDEN` in every row: a zero vector. Where
        the backbone cannot take out such a slot without changing a logit, what is left is a starting point only.

        Raises:
            ConfigError: If fields are dropped and the backbone does not say which weights belong to a field.
        """
        weights = {k: v.detach().clone() for k, v in self.net.weights().items()}
        for key in ("embedding.main", "embedding.first"):
            if key in weights:
                weights[key] = _narrow_rows(weights[key], old, new, features)
        before = self.net.layout
        after = Layout.of(new, history="history" in self.backbone.lookups)
        kept_floats = [i for i, name in enumerate(before.floats) if name in after.floats]
        for key in ("embedding.float_main", "embedding.float_first"):
            if key in weights:
                weights[key] = weights[key][kept_floats]
        if before.slots != after.slots or len(before.histories) != len(after.histories):
            self._drop_slots(weights, before, after)
        return self.of(new, weights, backbone=self.backbone, width=self.width, labels=self.labels)

    def _drop_slots(self, weights: dict[str, Tensor], before: Layout, after: Layout) -> None:
        shape = before.shape(width=self.net.embedding.width, labels=self.labels)
        columns = self.backbone.slot_columns(shape)
        if columns is None or len(before.histories) != len(after.histories):
            name = describe(self.backbone)["use"]
            raise ConfigError(
                f"backbone {name!r} does not say which of its weights belong to a field, so a field cannot be dropped "
                "from trained weights; train the smaller net from new ones"
            )
        slots = [before.slots.index(name) for name in after.slots]
        for axis, parts in ((-1, columns), (0, self.backbone.slot_rows(shape))):
            for key, part in parts.items():
                kept = torch.from_numpy(picked(part, slots, fields=len(before.slots)))
                weights[f"backbone.{key}"] = weights[f"backbone.{key}"].index_select(axis, kept)

    def save(self, folder: Path) -> None:
        """Write `net.json` and `weights.safetensors`, and `moments.safetensors` where there are any."""
        from safetensors.torch import save_file

        save_file({k: v.contiguous() for k, v in self.net.weights().items()}, str(folder / "weights.safetensors"))
        if self.moments:
            save_file({k: v.contiguous() for k, v in self.moments.items()}, str(folder / "moments.safetensors"))
        atomic_text(folder / "net.json", to_json(self._head(), indent=1) + "\n")

    @classmethod
    def load(cls, folder: Path, encoder: Encoder) -> NetPredictor:
        """Read what `save` wrote."""
        from safetensors.torch import load_file

        head = json.loads((folder / "net.json").read_text(encoding="utf-8"))
        backbone = CATALOG.create(head["backbone"], place=f"{folder}: backbone")
        weights = load_file(str(folder / "weights.safetensors"))
        made = cls.of(encoder, weights, backbone=backbone, width=head["width"], labels=head["labels"])
        if (folder / "moments.safetensors").is_file():
            made.moments = load_file(str(folder / "moments.safetensors"))
        return made

    @property
    def n_parameters(self) -> int:
        """Trainable numbers."""
        return sum(p.numel() for p in self.net.parameters())

    @property
    def digest(self) -> str:
        """Digest of the weights and the form."""
        return digest_json([self._head(), digest_arrays({k: v.numpy() for k, v in self.net.weights().items()})])

    def _head(self) -> dict[str, object]:
        return {"backbone": describe(self.backbone), "width": self.width, "labels": self.labels}


def _narrow_rows(table: Tensor, old: Encoder, new: Encoder, features: FeatureSet) -> Tensor:
    """Gather a table's rows `[V, ...]` by vocabulary."""
    parts, remaps = [], old.remaps(features)
    for name, vocabulary in new.vocabularies.items():
        start = old.offsets[name]
        counts = torch.from_numpy(old.vocabularies[name].counts.astype(np.float64))
        rows = table[start : start + len(counts)]
        remap = torch.from_numpy(remaps[name].astype(np.int64))
        owners = torch.bincount(remap, minlength=vocabulary.size)
        first = torch.full((vocabulary.size,), len(remap)).scatter_reduce(
            0, remap, torch.arange(len(remap)), "amin", include_self=True
        )
        out = rows[first.clamp(max=len(remap) - 1)].clone()
        merged = owners > 1
        merged[OTHER] = False
        if features.other == "learned":
            merged[OTHER] = bool(owners[OTHER] > 1)
        else:
            out[OTHER] = 0.0
        if merged.any():
            weight = counts.clamp(min=1e-9)
            shape = (-1, *[1] * (rows.dim() - 1))
            total = torch.zeros(vocabulary.size, *rows.shape[1:], dtype=torch.float64)
            total.index_add_(0, remap, rows.double() * weight.view(shape))
            mass = torch.zeros(vocabulary.size, dtype=torch.float64).index_add_(0, remap, weight)
            out[merged] = (total[merged] / mass[merged].view(shape)).to(out.dtype)
        out[HIDDEN] = 0.0
        parts.append(out)
    return torch.cat(parts) if parts else table[:0]
