"""One embedding table for all vocabularies, looked up once a batch.

Reference: the layout with one shared table and per-field offsets is that of Guo et al. (DeepFM, 2017) and of most
public code; a float is its standardised value times a learned vector (Song et al., AutoInt, 2019, section 4.3).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ctrsel.data.batches import Batch
from ctrsel.models.embedded import Embedded
from ctrsel.models.layout import Layout
from ctrsel.records.feature_set import HIDDEN

__all__ = ["INIT_STD", "Embedding", "Inputs", "Scale", "to_inputs"]

Scale = Callable[..., Tensor]  # looked-up rows [..., D] and their codes [...] -> scaled rows; see `ValueGateModule`

INIT_STD = 1e-4  # of the tables, as in FuxiCTR


class Inputs(NamedTuple):
    """A batch as tensors: codes int64 `[B, C]`, floats `[B, M]`, per list field (offsets `[B + 1]`, codes `[m]`)."""

    codes: Tensor
    floats: Tensor
    lists: Mapping[str, tuple[Tensor, Tensor]]


def to_inputs(batch: Batch, device: torch.device | None = None) -> Inputs:
    """Turn a batch into tensors on a device, None for the processor."""
    return Inputs(
        torch.from_numpy(batch.codes).to(device).long(),
        torch.from_numpy(batch.floats).to(device),
        {
            k: (torch.from_numpy(o).to(device), torch.from_numpy(c).to(device).long())
            for k, (o, c) in batch.lists.items()
        },
    )


class Embedding(nn.Module):
    """The tables.

    Shape:
        V rows over all vocabularies, D width, M fields that stay floats, C fields with one code, F slots.

    Args:
        layout: Which field stands where.
        width: D.
        first_order: Whether there is a table of width 1 as well.
        init_std: Standard deviation of the numbers that the tables begin with.
        sparse: Whether the gradients of the tables with a row per code are torch's sparse ones, uncoalesced: the codes
            of a batch as they come and a row for each. Whoever uses them leaves out `hidden`.

    Attributes:
        hidden: Rows of `HIDDEN`, int64: they are zero and stay zero.
    """

    hidden: Tensor
    others: Tensor

    def __init__(
        self, layout: Layout, *, width: int, first_order: bool, init_std: float = INIT_STD, sparse: bool = False
    ) -> None:
        super().__init__()
        self.layout = layout
        self.width = width
        self.sparse = sparse
        floats = len(layout.floats)
        self.main = nn.Parameter(_empty(layout.total_codes, width).normal_(std=init_std))
        self.first = nn.Parameter(_empty(layout.total_codes).normal_(std=init_std)) if first_order else None
        self.float_main = nn.Parameter(torch.empty(floats, width).normal_(std=init_std))
        self.float_first = nn.Parameter(torch.empty(floats).normal_(std=init_std)) if first_order else None
        self.register_buffer("hidden", torch.from_numpy(layout.rows(HIDDEN)), persistent=False)
        self.register_buffer("others", torch.tensor(layout.others, dtype=torch.int64), persistent=False)
        with torch.no_grad():
            self.zero_rows(self.hidden)
        for table in [] if sparse else self.tables():
            table.register_post_accumulate_grad_hook(_without(self.hidden))  # type: ignore[no-untyped-call]  # torch does not annotate it

    def tables(self) -> list[nn.Parameter]:
        """The tables with a row per code."""
        return [self.main] if self.first is None else [self.main, self.first]

    @torch.no_grad()
    def zero_rows(self, rows: Tensor) -> None:
        """Set rows to zero in every table."""
        for table in self.tables():
            table[rows] = 0.0

    def forward(self, inputs: Inputs, scale: Scale | None = None) -> Embedded:
        """Look a batch up.

        Args:
            inputs: The batch.
            scale: A gate on values.
        """
        pooled = [_filled(*inputs.lists[name], missing=row) for name, row in self.layout.pooled]
        main = self._slots(self.main, self.float_main, inputs, pooled, scale)
        first = None
        if self.first is not None and self.float_first is not None:
            first = self._slots(self.first, self.float_first, inputs, pooled, scale)
        history, masks = {}, {}
        others = self._others(self.main, scale)[len(self.layout.code_fields) + len(pooled) :]
        for (name, hidden), other in zip(self.layout.histories, others, strict=True):
            codes, masks[name] = _padded(*inputs.lists[name], hidden=hidden)
            rows = self._take(self.main, codes.reshape(-1)).view(*codes.shape, self.width)
            history[name] = _scaled(scale, rows, codes, other)
        return Embedded(main=main, first_order=first, floats=inputs.floats, history=history, history_mask=masks)

    def _slots(
        self,
        table: Tensor,
        vectors: Tensor,
        inputs: Inputs,
        pooled: list[tuple[Tensor, Tensor, Tensor]],
        scale: Scale | None,
    ) -> Tensor:
        """Look one table up: `[B, F, D]`, D = 1 for the first order."""
        codes = inputs.codes
        rows = self._take(table, codes.reshape(-1))
        parts = [rows.view(*codes.shape, rows.shape[1])]
        others, fields = self._others(table, scale), codes.shape[1]
        parts[0] = _scaled(scale, parts[0], codes, others[:fields])
        for (values, owner, lengths), other in zip(pooled, others[fields:], strict=False):
            rows = _scaled(scale, self._take(table, values), values, other)
            total = rows.new_zeros(len(lengths), rows.shape[1]).index_add(0, owner, rows)
            parts.append((total / lengths[:, None])[:, None])
        if inputs.floats.shape[1]:
            v = vectors if vectors.dim() == 2 else vectors[:, None]  # [M, D]
            parts.append(inputs.floats[:, :, None] * v)
        return parts[0] if len(parts) == 1 else torch.cat(parts, 1)

    def _others(self, table: Tensor, scale: Scale | None) -> Tensor | list[None]:
        """Rows `OTHER` of the fields with one code, the pooled lists and the histories, for a gate that asks for them."""
        if getattr(scale, "toward_other", False):
            return self._take(table, self.others)
        return [None] * (len(self.layout.code_fields) + len(self.layout.pooled) + len(self.layout.histories))

    def _take(self, table: Tensor, codes: Tensor) -> Tensor:
        """Look up rows of a table `[V, D]`, or numbers of a table `[V]` as rows of width 1."""
        if table.dim() == 1:
            return table.gather(0, codes, sparse_grad=self.sparse)[:, None]
        if self.sparse:
            return functional.embedding(codes, table, sparse=True)
        # The dense gradients of select and gather take a quarter (a tenth) of the time of nn.Embedding's on one thread.
        return table.index_select(0, codes)


def _scaled(scale: Scale | None, rows: Tensor, codes: Tensor, other: Tensor | list[None] | None) -> Tensor:
    if scale is None:
        return rows
    return scale(rows, codes, other=other) if isinstance(other, Tensor) else scale(rows, codes)


def _empty(*shape: int) -> Tensor:
    """Take memory from numpy, whose large arrays get large pages where the system has them: look-ups miss less."""
    return torch.from_numpy(np.empty(shape, dtype=np.float32))


def _filled(offsets: Tensor, codes: Tensor, *, missing: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the codes of all lists, whose row each belongs to, and the lengths; an empty list holds `missing`."""
    lengths = offsets.diff()
    owner = torch.repeat_interleave(torch.arange(len(lengths), device=lengths.device), lengths)
    empty = torch.nonzero(lengths == 0).flatten()
    if len(empty):
        codes = torch.cat([codes, codes.new_full((len(empty),), missing)])
        owner = torch.cat([owner, empty])
    return codes, owner, lengths.clamp(min=1).float()


def _padded(offsets: Tensor, codes: Tensor, *, hidden: int) -> tuple[Tensor, Tensor]:
    """Return lists as `[B, L]` with `hidden` behind their end, and which entries are real."""
    lengths = offsets.diff()
    longest = int(lengths.max()) if len(lengths) else 0
    mask = torch.arange(max(longest, 1), device=lengths.device)[None] < lengths[:, None]
    out = codes.new_full(mask.shape, hidden)
    out[mask] = codes
    return out, mask


def _without(rows: Tensor) -> Any:
    def hook(parameter: Tensor) -> None:
        if parameter.grad is not None:
            parameter.grad[rows] = 0.0

    return hook
