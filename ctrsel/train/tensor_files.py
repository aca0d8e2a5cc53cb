"""Named tensors in one plain file: written without a copy in memory, read as maps of the file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ctrsel.core.artifact import to_json

__all__ = ["load_tensors", "save_tensors"]

_DATA, _PLACES = "tensors.bin", "tensors.json"
_ALIGN = 64  # bytes


def save_tensors(tensors: Mapping[str, Tensor], folder: Path) -> None:
    """Write into an existing folder; what an earlier call wrote there is replaced."""
    places = []
    with (folder / _DATA).open("wb") as file:
        for name, tensor in tensors.items():
            # safetensors turns every tensor into bytes first: for a table of gigabytes that is a second one in memory.
            array = np.ascontiguousarray(tensor.detach().cpu().numpy()).reshape(tensor.shape)
            file.write(b"\0" * (-file.tell() % _ALIGN))
            places.append([name, array.dtype.str, list(array.shape), file.tell()])
            array.tofile(file)
    (folder / _PLACES).write_text(to_json(places) + "\n", encoding="utf-8")


def load_tensors(folder: Path) -> dict[str, Tensor]:
    """Read what `save_tensors` wrote; the tensors are private maps: what is written to them does not reach the file."""
    found = {}
    for name, kind, shape, place in json.loads((folder / _PLACES).read_text(encoding="utf-8")):
        array = np.zeros(shape, dtype=kind)
        if array.size:  # nothing cannot be mapped
            array = np.memmap(folder / _DATA, dtype=kind, mode="c", offset=place, shape=tuple(shape))
        found[name] = torch.from_numpy(np.asarray(array))
    return found
