"""What a net's embedding rows are worth: how fast its loss grows when a value's row moves, from one pass over the rows.

References: Schraudolph, "Fast curvature matrix-vector products for second-order gradient descent", 2002 (the Gauss-Newton
matrix: the loss's curvature in the logit, times the logit's gradient on both sides); LeCun, Denker and Solla, "Optimal brain
damage", 1990 (what a change of weights costs, from the curvature alone, at a minimum).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ctrsel.core.errors import ConfigError
from ctrsel.data.batches import batches
from ctrsel.models.embedding import Inputs, to_inputs
from ctrsel.models.net import NetPredictor

if TYPE_CHECKING:
    from ctrsel.data.table import Table
    from ctrsel.models.model import Model
    from ctrsel.models.network import Net

__all__ = ["RowCurvature", "row_curvature", "row_pulls"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RowCurvature:
    """The rows of one vocabulary and the curvature of the summed log-loss in them.

    The curvature of one value is about its weight times the matrix: values differ in how much their rows matter, and share
    the directions in which they do.

    Shape:
        V: codes. K: numbers of a row, its first order among them.

    Attributes:
        rows: float64 `[V, K]`.
        occurrences: Mass of the rows that have a value `[V]`.
        weight: Trace of each value's own Gauss-Newton matrix, nats `[V]`: 0 where no row has it.
        matrix: All values' matrices summed and divided by its trace `[K, K]`; zero where nothing tells.
    """

    rows: np.ndarray
    occurrences: np.ndarray
    weight: np.ndarray
    matrix: np.ndarray


def row_curvature(model: Model, part: Table, *, batch_size: int = 4096) -> Mapping[str, RowCurvature]:
    """Return rows and curvature by vocabulary: `sum_b p_b (1 - p_b) g_b g_b'`, g the gradient of the logit in the row.

    An item of a list that is averaged has the slot's gradient over the list's length. Curvatures of several labels add up;
    weights of rows count.

    Args:
        model: A net.
        part: The rows; labels are not looked at.
        batch_size: Rows at once; makes no difference to the result.

    Raises:
        ConfigError: If the model is no net.
        DataError: If the table is another Encoder's.
    """
    predictor = model.predictor
    if not isinstance(predictor, NetPredictor):
        raise ConfigError(f"the curvature of rows needs a model of kind 'net', got {predictor.kind!r}")
    model.logits(part.take(np.arange(0)))  # refuses another Encoder's table
    net, encoder = predictor.net.eval(), part.encoder
    tables = [net.embedding.main.detach()]
    if net.embedding.first is not None:
        tables.append(net.embedding.first.detach()[:, None])
    rows = torch.cat(tables, 1).double().cpu().numpy()
    weight, occurrences = np.zeros(len(rows)), np.zeros(len(rows))
    matrices = {name: np.zeros((rows.shape[1],) * 2) for name in encoder.vocabularies}
    for batch in batches(part, None, size=batch_size):
        inputs = to_inputs(batch, net.device)
        mass = np.ones(len(batch.rows)) if batch.weight is None else batch.weight.astype(np.float64)
        for label, (gradients, h) in enumerate(_gradients(net, inputs, torch.from_numpy(mass).to(net.device))):
            for field, codes, owner, g in _occurrences(net, inputs, gradients, h):
                name, places = part.schema.field(field).vocabulary, codes.cpu().numpy()
                matrices[name] += (g.T @ g).cpu().numpy()
                weight += np.bincount(places, (g * g).sum(1).cpu().numpy(), minlength=len(weight))
                if label == 0:
                    occurrences += np.bincount(places, mass[owner.cpu().numpy()], minlength=len(weight))
    found = {}
    for name, vocabulary in encoder.vocabularies.items():
        span = slice(encoder.offsets[name], encoder.offsets[name] + vocabulary.size)
        matrix = matrices[name]
        trace = float(np.trace(matrix))
        found[name] = RowCurvature(
            rows=rows[span],
            occurrences=occurrences[span],
            weight=weight[span],
            matrix=matrix / trace if trace > 0 else np.zeros_like(matrix),
        )
    return found


def row_pulls(
    model: Model, part: Table, centres: Mapping[str, np.ndarray], *, batch_size: int = 4096
) -> Mapping[str, tuple[np.ndarray, np.ndarray]]:
    """Return how the loss of rows held out changes as a value's row moves to a centre: slope and curvature, nats `[V]` each.

    With t the share of the way that is left undone, the loss of a value's rows is about ``slope (t - 1) + curve (t - 1)^2 / 2``:
    where it is least at a t below 1, the value's row goes further from the centre than held-out rows bear out.

    Args:
        model: A net.
        part: Rows that it was not trained on, with labels, the first of which counts.
        centres: By vocabulary a row `[K]`.
        batch_size: Rows at once; makes no difference to the result.
    """
    predictor = model.predictor
    if not isinstance(predictor, NetPredictor):
        raise ConfigError(f"the pull on rows needs a model of kind 'net', got {predictor.kind!r}")
    net, encoder = predictor.net.eval(), part.encoder
    tables = [net.embedding.main.detach()]
    if net.embedding.first is not None:
        tables.append(net.embedding.first.detach()[:, None])
    apart = torch.cat(tables, 1).double()
    for name, centre in centres.items():
        span = slice(encoder.offsets[name], encoder.offsets[name] + encoder.vocabularies[name].size)
        apart[span] -= torch.from_numpy(np.asarray(centre, np.float64)).to(net.device)
    slope, curve = np.zeros(len(apart)), np.zeros(len(apart))
    for batch in batches(part, None, size=batch_size):
        assert batch.labels is not None
        inputs = to_inputs(batch, net.device)
        mass = np.ones(len(batch.rows)) if batch.weight is None else batch.weight.astype(np.float64)
        ones = torch.ones(len(mass), dtype=torch.float64, device=net.device)
        gradients, _ = _gradients(net, inputs, ones)[0]
        with torch.no_grad():
            p = torch.sigmoid(net(inputs).logits[:, 0].double()).cpu().numpy()
        for _, codes, owner, g in _occurrences(net, inputs, gradients, ones):
            move = (g * apart[codes]).sum(1).cpu().numpy()
            places, of = codes.cpu().numpy(), owner.cpu().numpy()
            slope += np.bincount(places, (mass * (p - batch.labels[:, 0]))[of] * move, minlength=len(slope))
            curve += np.bincount(places, (mass * p * (1.0 - p))[of] * move**2, minlength=len(slope))
    found = {}
    for name, vocabulary in encoder.vocabularies.items():
        span = slice(encoder.offsets[name], encoder.offsets[name] + vocabulary.size)
        found[name] = (slope[span], curve[span])
    return found


def _gradients(net: Net, inputs: Inputs, mass: Tensor) -> list[tuple[dict[str, Tensor], Tensor]]:
    """Return for each label the gradient of the logit in what was looked up, and the loss's curvature in the logit `[B]`."""
    with torch.no_grad():
        values = net.embedding(inputs)
    leaf = replace(
        values,
        main=values.main.detach().requires_grad_(),
        first_order=None if values.first_order is None else values.first_order.detach().requires_grad_(),
        history={k: v.detach().requires_grad_() for k, v in values.history.items()},
    )
    leaves = {"main": leaf.main, **{f"history/{k}": v for k, v in leaf.history.items()}}
    if leaf.first_order is not None:
        leaves["first"] = leaf.first_order
    logits = net.score(leaf).logits
    found = []
    for label in range(logits.shape[1]):
        z = logits[:, label]
        parts = torch.autograd.grad(z.sum(), list(leaves.values()), allow_unused=True, retain_graph=True)
        p = torch.sigmoid(z.detach().double())
        given = {
            k: (torch.zeros_like(x) if g is None else g).double()
            for (k, x), g in zip(leaves.items(), parts, strict=True)
        }
        found.append((given, p * (1.0 - p) * mass))
    return found


def _occurrences(
    net: Net, inputs: Inputs, gradients: Mapping[str, Tensor], h: Tensor
) -> list[tuple[str, Tensor, Tensor, Tensor]]:
    """Return by field the codes that occur, in which row, and the gradient in the code's row times the root of `h`."""
    layout, root = net.layout, h.sqrt()
    slots = gradients["main"]
    if "first" in gradients:
        slots = torch.cat([slots, gradients["first"]], 2)
    every = torch.arange(len(root), device=root.device)
    found = [
        (name, inputs.codes[:, j], every, slots[:, j] * root[:, None]) for j, name in enumerate(layout.code_fields)
    ]
    for k, (name, _) in enumerate(layout.pooled):
        offsets, items = inputs.lists[name]
        lengths = offsets.diff()
        owner = torch.repeat_interleave(every, lengths)
        g = slots[:, len(layout.code_fields) + k] * (root / lengths.clamp(min=1))[:, None]
        found.append((name, items, owner, g[owner]))
    for name, _ in layout.histories:
        offsets, items = inputs.lists[name]
        lengths = offsets.diff()
        past = gradients[f"history/{name}"]
        real = torch.arange(past.shape[1], device=lengths.device)[None] < lengths[:, None]
        g = (past * root[:, None, None])[real]
        if "first" in gradients:
            g = torch.cat([g, g.new_zeros(len(g), 1)], 1)
        found.append((name, items, torch.repeat_interleave(every, lengths), g))
    return found
