"""Processes: data parallel training, in which every process takes its part of each batch and all do the same step.

Reference: Li et al., "PyTorch distributed: experiences on accelerating data parallel training", 2020, for the scheme. Here
the batch is the one that a single process would use, whatever the number of processes: gradients are sums over rows
divided by the rows of the whole batch, and batch norms take the moments of the whole batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from ctrsel.core.errors import ConfigError
from ctrsel.core.seeds import derive
from ctrsel.data.batches import part_of
from ctrsel.models.backbones._mlp import BatchNorm

if TYPE_CHECKING:
    from ctrsel.data.rows import Batch
    from ctrsel.data.table import Table
    from ctrsel.models.net import NetPredictor
    from ctrsel.models.network import Net

__all__ = ["Processes"]

T = TypeVar("T")

_LARGE = 1 << 20  # numbers: gradients from here on are summed where they are, smaller ones together in one message
_DIGIT = 1 << 20  # a float32 holds whole numbers up to 2**24, so larger ones are sent as two


@dataclass(slots=True, kw_only=True)
class Processes:
    """The processes that train one net; one alone exchanges nothing and costs nothing.

    Attributes:
        rank: Which of them this is; rank 0 writes, logs and decides.
        size: How many there are.
        sharers: How many of them are on this machine and share its memory.
        rows: Rows of the last step, of all processes.
        told: Its loss, summed over them.
    """

    rank: int = 0
    size: int = 1
    sharers: int = 1
    rows: int = field(default=0, compare=False)
    told: float = field(default=0.0, compare=False)

    @property
    def part(self) -> tuple[int, int]:
        """Which part of each batch is this process's: (which, of how many)."""
        return self.rank, self.size

    def begin(self, net: Net) -> None:
        """Give every process the weights of rank 0, and the net's batch norms the rows of all processes.

        Raises:
            ConfigError: If the net is compiled, or has a batch norm that cannot take moments over processes.
        """
        if self.size == 1:
            return
        if net.backbone._compiled_call_impl is not None:
            raise ConfigError("net.compiled: a compiled net cannot be trained by several processes; leave it out")
        for module in net.modules():
            if isinstance(module, BatchNorm):
                module.across = self
            elif isinstance(module, nn.modules.batchnorm._BatchNorm):
                raise ConfigError(
                    f"net: with several processes its batch norms must be ctrsel's own, got {type(module).__name__}"
                )
        self.same(net.state_dict().values())

    def noise(self, seed: int, steps: int) -> None:
        """Draw this process's dropout of a step from a stream of its own, so that a fit can go on from any step."""
        if self.size > 1:
            torch.manual_seed(derive(seed, "net", "noise", self.rank, steps))

    def joined(self, objective: Tensor, *, loss: Tensor, rows: int, net: Net) -> Tensor:
        """Return an objective after whose `backward()` every gradient is that of the whole batch's.

        Args:
            objective: A mean over this process's rows, plus what does not depend on rows.
            loss: What `told` adds up, a mean over this process's rows.
            rows: How many; 0 where a last batch has fewer rows than there are processes.
            net: Whose gradients they are.
        """
        if self.size == 1:
            self.rows, self.told = rows, float(loss.detach()) * rows
            return objective
        told = float(loss.detach()) * rows if rows else 0.0

        def finish() -> None:
            self._sum_gradients([p for p in net.parameters() if p.requires_grad], rows=rows, told=told)

        out: Tensor = _Joined.apply(objective, rows, finish)  # type: ignore[no-untyped-call]  # torch does not annotate it
        return out

    def agreed(self, value: T) -> T:
        """Return rank 0's value."""
        if self.size == 1:
            return value
        import torch.distributed as dist

        held = [value]
        dist.broadcast_object_list(held, src=0)
        return held[0]

    def same(self, tensors: Iterable[Tensor]) -> None:
        """Copy rank 0's numbers into the tensors of the others."""
        if self.size == 1:
            return
        import torch.distributed as dist

        for tensor in tensors:
            if tensor.numel():
                dist.broadcast(tensor.detach(), src=0)

    def rows_of(self, batch: Batch) -> Batch:
        """Return this process's part of a batch."""
        return batch if self.size == 1 else batch.between(*part_of(len(batch.rows), *self.part))

    def logits(self, predictor: NetPredictor, table: Table) -> np.ndarray:
        """Score a table, each process its part; every process gets all logits, float32 `[N, T]`."""
        if self.size == 1:
            return predictor.logits(table)
        start, stop = part_of(table.n_rows, *self.part)
        own = predictor.logits(replace(table, splits={"part": (start, stop)}).part("part"))
        ends = [part_of(table.n_rows, i, self.size) for i in range(self.size)]
        longest = max(b - a for a, b in ends)
        padded = np.zeros((longest, own.shape[1]), dtype=np.float32)
        padded[: len(own)] = own
        parts = self.gathered(torch.from_numpy(padded).flatten()).view(self.size, longest, -1).numpy()
        return np.concatenate([part[: b - a] for part, (a, b) in zip(parts, ends, strict=True)])

    def gathered(self, part: Tensor) -> Tensor:
        """Return every process's part: `[K]` -> `[processes, K]`."""
        import torch.distributed as dist

        parts = part.new_zeros(self.size, len(part))
        parts[self.rank] = part
        dist.all_reduce(parts)  # adding zeros is exact, and one message for any backend
        return parts

    def summed(self, part: Tensor) -> Tensor:
        """Return the sum of every process's part, the same to the bit in each."""
        import torch.distributed as dist

        total = part.detach().clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total

    @torch.no_grad()
    def occurrences(self, codes: Tensor, gradients: Tensor) -> tuple[Tensor, Tensor]:
        """Put what all processes found for their rows behind each other, in the order of the batch.

        Shape:
            codes int64 `[n]`; gradients `[n]`, as the backward pass of `joined` leaves them.
        """
        if self.size == 1:
            return codes, gradients
        import torch.distributed as dist

        lengths = self.gathered(torch.tensor([len(codes)])).flatten().tolist()
        found = []
        for own in (codes, gradients):
            sent = own.new_zeros(max(lengths))
            sent[: len(own)] = own
            parts = [torch.empty_like(sent) for _ in range(self.size)]
            dist.all_gather(parts, sent)
            found.append(torch.cat([part[:n] for part, n in zip(parts, lengths, strict=True)]))
        return found[0], found[1] / max(self.rows, 1)

    @torch.no_grad()
    def _sum_gradients(self, parameters: Sequence[nn.Parameter], *, rows: int, told: float) -> None:
        """Sum what the processes have in `grad`, divide by the rows of all, and sum those and `told`.

        One message holds the small dense gradients, who has any, rows, and how much there is of sparse ones; a second one
        the sparse ones.
        """
        import torch.distributed as dist

        some, sparse = parameters[0], [p for p in parameters if p.grad is not None and p.grad.is_sparse]
        dense = [p for p in parameters if not (p.grad is not None and p.grad.is_sparse)]
        have = [float(p.grad is not None) for p in dense]
        facts = torch.zeros(3 + 2 * self.size * len(sparse), dtype=torch.float32)
        facts[0], facts[1:3] = rows, _two_floats(told)
        for i, p in enumerate(sparse):
            assert p.grad is not None
            at = 3 + 2 * (i * self.size + self.rank)
            facts[at], facts[at + 1] = divmod(p.grad._nnz(), _DIGIT)
        for p in dense:
            if p.grad is None:
                p.grad = torch.zeros_like(p)
        small = [p for p in dense if p.numel() < _LARGE]
        large = [p for p in dense if p.numel() >= _LARGE]
        head = torch.cat([torch.tensor(have), facts]).to(some.device)
        flat = torch.cat([head, *(_grad(p).reshape(-1).float() for p in small)])
        dist.all_reduce(flat)
        head = flat[: len(head)].to("cpu", copy=True)
        who, facts = head[: len(have)].tolist(), head[len(have) :]
        self.rows, self.told = round(float(facts[0])), float(facts[1].double() + facts[2].double())
        n = max(self.rows, 1)
        flat.div_(n)
        at = len(head)
        for p in small:
            _grad(p).copy_(flat[at : at + p.numel()].view_as(p))
            at += p.numel()
        for p in large:
            dist.all_reduce(_grad(p))
            _grad(p).div_(n)
        for p, held in zip(dense, who, strict=True):
            if not held:
                p.grad = None  # as it would be in one process
        if sparse:
            counts = facts[3:].view(len(sparse), self.size, 2).double()
            self._gather_rows(sparse, (counts[..., 0] * _DIGIT + counts[..., 1]).long(), n=n)

    def _gather_rows(self, tables: Sequence[nn.Parameter], counts: Tensor, *, n: int) -> None:
        """Put the rows of all processes' sparse gradients behind each other, in the order of the batch.

        Args:
            tables: Their gradients are sparse.
            counts: Rows in each process, int64 `[tables, processes]`.
            n: What gradients are divided by.
        """
        import torch.distributed as dist

        records = [_records(_grad(p)) for p in tables]
        widths = torch.tensor([r.shape[1] for r in records])
        lengths = (counts * widths[:, None]).sum(0).tolist()  # bytes of each process
        sent = records[0].new_zeros(max(lengths))
        sent[: lengths[self.rank]] = torch.cat([r.flatten() for r in records])
        parts = [torch.empty_like(sent) for _ in range(self.size)]
        dist.all_gather(parts, sent)
        at = [0] * self.size
        for i, p in enumerate(tables):
            found = []
            for r, part in enumerate(parts):
                stop = at[r] + int(counts[i, r]) * records[i].shape[1]
                found.append(part[at[r] : stop].view(-1, records[i].shape[1]))
                at[r] = stop
            whole, values = torch.cat(found), _grad(p)._values()
            rows = whole[:, :8].contiguous().view(torch.int64).view(1, -1)
            changes = whole[:, 8:].contiguous().view(values.dtype).view(-1, *p.shape[1:])
            p.grad = torch.sparse_coo_tensor(rows, changes.div_(n), p.shape, check_invariants=False)


class _Joined(torch.autograd.Function):
    """Scale a mean to a sum over rows; when all gradients are there, `finish` them."""

    @staticmethod
    def forward(ctx: Any, objective: Tensor, rows: int, finish: Callable[[], None]) -> Tensor:
        ctx.rows, ctx.finish = rows, finish
        return objective * rows

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        # As torch's own DistributedDataParallel does: called once the whole backward pass is over.
        engine: Any = torch.autograd.Variable._execution_engine
        engine.queue_callback(ctx.finish)
        return grads[0] * ctx.rows, None, None


def _grad(p: nn.Parameter) -> Tensor:
    assert p.grad is not None
    return p.grad


def _records(grad: Tensor) -> Tensor:
    """Return a sparse gradient as bytes, row by row: its row of the table (8 bytes), then its numbers."""
    rows, values = grad._indices().view(-1, 1), grad._values()
    numbers = values.reshape(len(values), int(np.prod(grad.shape[1:])))  # [n, D]
    return torch.cat([rows.contiguous().view(torch.uint8), numbers.contiguous().view(torch.uint8)], 1)


def _two_floats(x: float) -> Tensor:
    """Split a float64 into two float32 whose sum it is, nearly."""
    high = np.float32(x)
    return torch.tensor([float(high), x - float(high)], dtype=torch.float32)
