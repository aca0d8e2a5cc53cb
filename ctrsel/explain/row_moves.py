"""What every row's loss does if what is looked up for one field becomes a given row: a forward pass per field.

Reference: Breiman, "Random forests", 2001 (a field is worth what the loss gains when its values are taken away); here they are
taken away value by value, and what stands in their place is given.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ctrsel.core.errors import ConfigError, DataError
from ctrsel.data.batches import batches
from ctrsel.models.embedding import to_inputs
from ctrsel.models.net import NetPredictor

if TYPE_CHECKING:
    from ctrsel.data.table import Table
    from ctrsel.models.embedded import Embedded
    from ctrsel.models.model import Model

__all__ = ["Moves", "loss_moves"]

Moves = tuple[str, np.ndarray, np.ndarray, np.ndarray]


def loss_moves(
    model: Model, part: Table, given: Mapping[str, np.ndarray], *, batch_size: int = 8192
) -> Iterator[Moves]:
    """Yield by batch and field: vocabulary, codes `[m]`, how much the first label's loss rises, nats `[m]`, and mass `[m]`.

    A field with one code a row has its code's row replaced. An item of an averaged list is replaced alone, the others stay;
    its rise is taken to second order (gradient and Gauss-Newton curvature), which costs one backward pass in place of one
    forward pass an item. Items of histories that a backbone is given as they are are left out.

    Args:
        model: A net.
        part: Rows with labels.
        given: By vocabulary the row `[K]` that stands in, first order last where the net has one.
        batch_size: Rows at once.

    Raises:
        ConfigError: If the model is no net.
        DataError: If the table is another Encoder's, or has no labels.
    """
    predictor = model.predictor
    if not isinstance(predictor, NetPredictor):
        raise ConfigError(f"moves of rows need a model of kind 'net', got {predictor.kind!r}")
    if part.labels is None:
        raise DataError("moves of rows need rows with labels")
    model.logits(part.take(np.arange(0)))  # refuses another Encoder's table
    net, schema, encoder = predictor.net.eval(), part.schema, part.encoder
    layout = net.layout
    rows = {k: torch.from_numpy(np.asarray(v, np.float32)).to(net.device) for k, v in given.items()}
    for batch in batches(part, None, size=batch_size):
        assert batch.labels is not None
        inputs = to_inputs(batch, net.device)
        labels = torch.from_numpy(np.ascontiguousarray(batch.labels[:, 0])).to(net.device)
        mass = np.ones(len(labels)) if batch.weight is None else batch.weight.astype(np.float64)
        with torch.inference_mode():
            values = net.embedding(inputs)
            before = net.score(values).logits[:, 0]
            loss = functional.binary_cross_entropy_with_logits(before, labels, reduction="none")
            for j, name in enumerate(layout.code_fields):
                vocabulary = schema.field(name).vocabulary
                if vocabulary not in rows:
                    continue
                z = net.score(_put(values, j, rows[vocabulary])).logits[:, 0]
                after = functional.binary_cross_entropy_with_logits(z, labels, reduction="none")
                codes = batch.codes[:, j].astype(np.int64) - encoder.offset(name)
                yield vocabulary, codes, (after.double() - loss.double()).cpu().numpy(), mass
        if not any(schema.field(name).vocabulary in rows for name, _ in layout.pooled):
            continue
        with torch.no_grad():
            fresh = net.embedding(inputs)
        leaf = replace(fresh, main=fresh.main.detach().requires_grad_(), first_order=_leaf(fresh.first_order))
        wanted = [leaf.main] if leaf.first_order is None else [leaf.main, leaf.first_order]
        z = net.score(leaf).logits[:, 0]
        slopes = torch.cat(torch.autograd.grad(z.sum(), wanted), 2)
        p = torch.sigmoid(z.detach())
        for k, (name, _) in enumerate(layout.pooled):
            vocabulary = schema.field(name).vocabulary
            if vocabulary not in rows:
                continue
            offsets, items = inputs.lists[name]
            owner = torch.repeat_interleave(torch.arange(len(labels), device=net.device), offsets.diff())
            table = net.embedding.main.detach()[items]
            if net.embedding.first is not None:
                table = torch.cat([table, net.embedding.first.detach()[items, None]], 1)
            step = ((rows[vocabulary] - table) * slopes[owner, len(layout.code_fields) + k]).sum(1)
            step = (step / offsets.diff()[owner]).double()
            rise = (p - labels)[owner] * step + 0.5 * (p * (1 - p))[owner] * step**2
            codes = items.cpu().numpy() - encoder.offset(name)
            yield vocabulary, codes, rise.cpu().numpy(), mass[owner.cpu().numpy()]


def _put(values: Embedded, slot: int, row: Tensor) -> Embedded:
    width = values.main.shape[2]
    main = values.main.clone()
    main[:, slot] = row[:width]
    if values.first_order is None:
        return replace(values, main=main)
    first = values.first_order.clone()
    first[:, slot] = row[width:]
    return replace(values, main=main, first_order=first)


def _leaf(values: Tensor | None) -> Tensor | None:
    return None if values is None else values.detach().requires_grad_()
