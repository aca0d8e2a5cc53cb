"""How a net's loss moves, to first order, with what it has looked up for each field: from one backward pass over the rows.

References: Zhang et al., "SHARK: a lightweight model compression approach for large-scale recommender systems", 2023,
section 3.1 (a field's row replaced by the mean row, by first-order Taylor expansion of the loss); Wang et al., "Single-shot
feature selection for multi-task recommendations", 2023 (gradients of masks that are 1).
"""

from __future__ import annotations

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
    from ctrsel.data.batches import Batch
    from ctrsel.data.table import Table
    from ctrsel.models.embedded import Embedded
    from ctrsel.models.layout import Layout
    from ctrsel.models.model import Model
    from ctrsel.models.network import Net

__all__ = ["embedded_gradients", "field_products", "mask_gradients", "mean_row_moves"]


def mean_row_moves(model: Model, part: Table, *, batch_size: int = 4096) -> np.ndarray:
    """Return by how much each row's loss of the first label would rise if a field's row were the mean row, nats `[N, F]`.

    To first order: ``<dL_b / de_bf, mean(e_f) - e_bf>``, the mean over these rows, by weight where rows have weights. The
    net scores as it serves, where no row's loss depends on another row, so that the gradient of the summed loss holds
    every row's own.

    Args:
        model: A net.
        part: Rows that it was not trained on, with labels.
        batch_size: Rows at once; makes no difference to the result.

    Raises:
        ConfigError: If the model is no net.
        DataError: If the table is another Encoder's, or has no rows or labels.
    """
    net, columns = _net(model, part)
    mean = _mean_embedded(net, part, batch_size=batch_size)
    out = np.empty((part.n_rows, len(columns)))
    done = 0
    for batch in batches(part, None, size=batch_size):
        values, gradients = embedded_gradients(net, batch)
        found = field_products(net.layout, gradients, _less(mean, values))
        out[done : done + len(found)] = found[:, columns].cpu().numpy()
        done += len(found)
    return out


def mask_gradients(model: Model, part: Table, *, batch_size: int = 4096) -> np.ndarray:
    """Return dL/dm of every batch, nats `[K, F]`, where the mask m multiplies what is looked up for a field and is 1.

    L is the mean loss of the first label over the rows of a batch, by weight where rows have weights; batches are consecutive
    rows, so the caller decides which rows share one.

    Args:
        model: A net.
        part: Rows that it was not trained on, with labels.
        batch_size: Rows that share a mask.

    Raises:
        ConfigError: If the model is no net.
        DataError: If the table is another Encoder's, or has no rows or labels.
    """
    net, columns = _net(model, part)
    found = []
    for batch in batches(part, None, size=batch_size):
        values, gradients = embedded_gradients(net, batch)
        each = field_products(net.layout, gradients, values)[:, columns].cpu().numpy()
        found.append(np.average(each, axis=0, weights=batch.weight))
    return np.array(found)


def embedded_gradients(net: Net, batch: Batch) -> tuple[Embedded, Embedded]:
    """Return what is looked up for a batch, and the gradient of the summed loss of the first label with respect to it.

    Args:
        net: In evaluation mode and without a gate; its weights get no gradient.
        batch: With labels; weights of rows are left out.
    """
    assert batch.labels is not None
    with torch.no_grad():
        values = net.embedding(to_inputs(batch, net.device))
    leaf = replace(
        values,
        main=values.main.detach().requires_grad_(),
        first_order=None if values.first_order is None else values.first_order.detach().requires_grad_(),
        floats=values.floats.detach().requires_grad_(),
        history={k: v.detach().requires_grad_() for k, v in values.history.items()},
    )
    labels = torch.from_numpy(np.ascontiguousarray(batch.labels[:, 0])).to(net.device)
    loss = functional.binary_cross_entropy_with_logits(net.score(leaf).logits[:, 0], labels, reduction="sum")
    inputs = [leaf.main, leaf.floats, *leaf.history.values()]
    if leaf.first_order is not None:
        inputs.append(leaf.first_order)
    found = torch.autograd.grad(loss, inputs, allow_unused=True)
    given = iter([torch.zeros_like(x) if g is None else g for x, g in zip(inputs, found, strict=True)])
    main, floats = next(given), next(given)
    history = {k: next(given) for k in leaf.history}
    first = None if leaf.first_order is None else next(given)
    return values, replace(values, main=main, floats=floats, history=history, first_order=first)


def field_products(layout: Layout, a: Embedded, b: Embedded) -> Tensor:
    """Return the inner product of two embedded batches by row and field, float64 `[B, F]`.

    A field has its slot, its first order, its number where it stays a float, and its history where it is given as one.

    Args:
        layout: Of the net; fields stand in the order of its slots, histories behind them.
        a: A batch.
        b: Another of the same shape.
    """
    out = (a.main.double() * b.main.double()).sum(-1)
    if a.first_order is not None and b.first_order is not None:
        out = out + (a.first_order.double() * b.first_order.double()).sum(-1)
    if layout.floats:
        numbers = a.floats.double() * b.floats.double()
        out = torch.cat([out[:, : -len(layout.floats)], out[:, -len(layout.floats) :] + numbers], 1)
    past = [(a.history[k].double() * b.history[k].double()).sum((1, 2)) for k, _ in layout.histories]
    return torch.cat([out, torch.stack(past, 1)], 1) if past else out


def _net(model: Model, part: Table) -> tuple[Net, list[int]]:
    """Return the net in evaluation mode, and where each field of the schema stands among slots and histories."""
    predictor = model.predictor
    if not isinstance(predictor, NetPredictor):
        raise ConfigError(
            f"gradients of fields need a model of kind 'net', got {predictor.kind!r}; permutation needs none of a kind"
        )
    if part.labels is None or not part.n_rows:
        raise DataError(f"gradients of fields need rows with labels, got {part.n_rows} rows")
    model.logits(part.take(np.arange(0)))  # refuses another Encoder's table
    net = predictor.net.eval()
    names = [*net.layout.slots, *(name for name, _ in net.layout.histories)]
    return net, [names.index(name) for name in part.schema.names]


@torch.no_grad()
def _mean_embedded(net: Net, part: Table, *, batch_size: int) -> Embedded:
    """Return the mean of what is looked up: `[1, F, D]` and so on; that of a history is over all its entries."""
    total: Embedded | None = None
    mass, entries = 0.0, dict.fromkeys((k for k, _ in net.layout.histories), 0.0)
    for batch in batches(part, None, size=batch_size):
        e = net.embedding(to_inputs(batch, net.device))
        weight = np.ones(len(batch.rows)) if batch.weight is None else batch.weight.astype(np.float64)
        w = torch.from_numpy(weight).to(net.device)
        masks = {k: m.double() * w[:, None] for k, m in e.history_mask.items()}
        summed = replace(
            e,
            main=torch.einsum("b,bfd->fd", w, e.main.double())[None],
            first_order=None if e.first_order is None else torch.einsum("b,bfd->fd", w, e.first_order.double())[None],
            floats=torch.einsum("b,bm->m", w, e.floats.double())[None],
            history={k: torch.einsum("bl,bld->d", masks[k], h.double())[None, None] for k, h in e.history.items()},
        )
        total = summed if total is None else _combined(total, summed)
        mass += float(w.sum())
        entries = {k: n + float(masks[k].sum()) for k, n in entries.items()}
    assert total is not None
    return replace(
        total,
        main=total.main / mass,
        first_order=None if total.first_order is None else total.first_order / mass,
        floats=total.floats / mass,
        history={k: h / max(entries[k], 1e-300) for k, h in total.history.items()},
    )


def _combined(a: Embedded, b: Embedded) -> Embedded:
    first = None if a.first_order is None or b.first_order is None else a.first_order + b.first_order
    history = {k: h + b.history[k] for k, h in a.history.items()}
    return replace(a, main=a.main + b.main, first_order=first, floats=a.floats + b.floats, history=history)


def _less(mean: Embedded, values: Embedded) -> Embedded:
    """Return the way from each row's numbers to the mean, 0 where a history is padded."""
    first = None
    if mean.first_order is not None and values.first_order is not None:
        first = mean.first_order - values.first_order
    history = {k: (mean.history[k] - h) * values.history_mask[k][..., None] for k, h in values.history.items()}
    return replace(
        values, main=mean.main - values.main, first_order=first, floats=mean.floats - values.floats, history=history
    )
