"""Sending: hand a Python value to all processes; arrays go without a copy, and mapped files by their name."""

from __future__ import annotations

import io
import mmap
import pickle
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

__all__ = ["packed", "sent", "unpacked"]


def sent(value: Any, *, rank: int) -> Any:
    """Return rank 0's value in every process; rank 0 keeps its own object."""
    import torch.distributed as dist

    data, buffers = packed(value) if rank == 0 else (b"", [])
    sizes = [[len(data), *(len(b) for b in buffers)]]
    dist.broadcast_object_list(sizes, src=0)
    received: list[Any] = []
    for size, buffer in zip(
        sizes[0], [memoryview(data), *buffers] if rank == 0 else [None] * len(sizes[0]), strict=True
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what may not be written is only read here
            tensor = torch.empty(size, dtype=torch.uint8) if not buffer else torch.frombuffer(buffer, dtype=torch.uint8)
        if size:
            dist.broadcast(tensor, src=0)
        received.append(tensor.numpy().data)
    return value if rank == 0 else unpacked(received[0], received[1:])


def packed(value: Any) -> tuple[bytes, list[memoryview]]:
    """Return a value as bytes and the buffers of its arrays."""
    stream, buffers = io.BytesIO(), []

    def keep(buffer: pickle.PickleBuffer) -> None:
        buffers.append(buffer.raw())

    _Pickler(stream, keep).dump(value)
    return stream.getvalue(), buffers


def unpacked(data: Any, buffers: list[Any]) -> Any:
    """Return what was packed; its arrays lie in the buffers."""
    return pickle.loads(data, buffers=buffers)


class _Pickler(pickle.Pickler):
    """Names the file of an array that is mapped from one, where all processes can open it."""

    def __init__(self, stream: io.BytesIO, keep: Callable[[pickle.PickleBuffer], None]) -> None:
        super().__init__(stream, protocol=5, buffer_callback=keep)

    def reducer_override(self, obj: Any) -> Any:
        """Reduce mapped arrays."""
        if not isinstance(obj, np.memmap):
            return NotImplemented
        place = _place(obj)
        return np.asarray(obj).__reduce_ex__(5) if place is None else (_opened, (*place, obj.dtype, obj.shape))


def _place(array: np.memmap[Any, Any]) -> tuple[str, int] | None:
    """Return the file that an array is mapped from and where in it it starts; None if others could not open it."""
    name, mapped = getattr(array, "filename", None), getattr(array, "_mmap", None)
    if not isinstance(name, str | Path) or mapped is None or not array.flags.c_contiguous or not array.size:
        return None
    if not Path(name).is_file():
        return None
    whole = np.frombuffer(mapped, dtype=np.uint8)
    begin = array.offset - array.offset % mmap.ALLOCATIONGRANULARITY  # where the system's map begins in the file
    return str(name), begin + array.__array_interface__["data"][0] - whole.__array_interface__["data"][0]


def _opened(name: str, offset: int, dtype: np.dtype[Any], shape: tuple[int, ...]) -> np.ndarray:
    return np.memmap(name, dtype=dtype, mode="r", offset=offset, shape=shape)
