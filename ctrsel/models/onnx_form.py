"""ONNX form: a trained net as one graph from codes and floats to log-odds, checked against the net before it is written.

The look-up of texts stays in the Encoder: `onnx_inputs` makes what the graph reads of a Table. Standardisation of floats,
the averaging of lists, the net and the model's offset are in the graph. Reference: the ONNX standard, operator set 20 (2023).
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import logging
import os
import uuid
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ctrsel.core.errors import ConfigError, CtrselError, MissingExtraError
from ctrsel.data.encoder import Encoder
from ctrsel.data.example import example_rows
from ctrsel.data.table import Ragged, Table
from ctrsel.models.embedded import Embedded
from ctrsel.models.model import Model
from ctrsel.models.net import NetPredictor
from ctrsel.models.network import Net

__all__ = ["OPSET", "TOLERANCE", "onnx_inputs", "write_onnx"]

OPSET = 20
TOLERANCE = 1e-5  # of log-odds; of those beyond 1 in size a share of it, which is what float32 has
_PAD = -1  # behind the end of a list
_ROWS = (1, 2, 7, 100)  # batches that the graph is tried with


def onnx_inputs(table: Table) -> dict[str, np.ndarray]:
    """Return what the graph of a net reads of a table of its Encoder.

    Returns:
        By input's name: `codes` int64 `[N, C]`, codes of the fields with one code a row, each of its own vocabulary;
        `floats` float32 `[N, M]`, as they are, NaN where missing; `list_0`, ... int64 `[N, L]` per list field, L of its
        longest list here, -1 behind the end of a list. What the model has no field for is left out.

    Examples:
        >>> from ctrsel.testing.tables import tiny_table
        >>> {name: values.shape for name, values in onnx_inputs(tiny_table(rows=50)).items()}
        {'codes': (50, 5), 'floats': (50, 1)}
    """
    found: dict[str, np.ndarray] = {}
    if table.code_fields:
        found["codes"] = np.stack([np.asarray(table.columns[n], dtype=np.int64) for n in table.code_fields], axis=1)
    if table.float_fields:
        found["floats"] = np.stack([np.asarray(table.columns[n], dtype=np.float32) for n in table.float_fields], axis=1)
    for i, name in enumerate(table.list_fields):
        column = table.columns[name]
        assert isinstance(column, Ragged)
        lengths = np.diff(column.offsets)
        real = np.arange(max(int(lengths.max(initial=0)), 1))[None] < lengths[:, None]
        padded = np.full(real.shape, _PAD, dtype=np.int64)
        padded[real] = column.codes[column.offsets[0] : column.offsets[-1]]
        found[f"list_{i}"] = padded
    return found


def write_onnx(model: Model, path: str | Path) -> dict[str, Any]:
    """Write a net as ONNX; what is written gave the net's own log-odds under onnxruntime.

    The graph's outputs are `logits` and `probabilities`, float32 `[N, T]`; N and the lengths of lists are free. Its
    metadata hold, under "ctrsel", what this function returns.

    Args:
        model: A model of kind "net".
        path: The file; it appears whole or not at all.

    Returns:
        Facts as plain values: digests of model and encoder, names of the fields behind each input, labels, operator set, and
        the largest difference of log-odds that was met.

    Raises:
        ConfigError: If the model is no net.
        MissingExtraError: If onnx, onnxscript or onnxruntime is not installed.
        CtrselError: If the graph does not give the net's numbers; nothing is written then.
    """
    predictor = model.predictor
    if not isinstance(predictor, NetPredictor):
        raise ConfigError(
            f"onnx: only a net can be written as ONNX, got a model of kind {predictor.kind!r}; trees have converters of their "
            "own, and calibrated models and ensembles are served by ctrsel"
        )
    absent = [n for n in ("onnx", "onnxscript", "onnxruntime") if importlib.util.find_spec(n) is None]
    if absent:
        raise MissingExtraError(f"onnx: {absent[0]} is not installed: pip install 'ctrsel[onnx]'")
    encoder = model.encoder
    tables = [encoder.encode(example_rows(encoder, n, seed=n)) for n in _ROWS]
    facts: dict[str, Any] = {
        "model": model.digest,
        "encoder": encoder.digest,
        "codes": list(tables[0].code_fields),
        "floats": list(tables[0].float_fields),
        "lists": list(tables[0].list_fields),
        "labels": [label.name for label in encoder.schema.labels[: predictor.labels]],
        "opset": OPSET,
    }
    content = _content(_Graph(predictor.net, encoder, model.offset), onnx_inputs(tables[-1]), facts)
    facts["difference"] = _difference(content, model, tables)
    if not facts["difference"] <= TOLERANCE:
        raise CtrselError(
            f"onnx: the graph must give the net's log-odds to {TOLERANCE:g}, got a difference of {facts['difference']:.3g}"
        )
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.parent / f".{path.name}.partial-{uuid.uuid4().hex[:8]}"
    try:
        partial.write_bytes(content)
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return facts


class _Graph(nn.Module):
    """A net that reads the codes of each field's own vocabulary, raw floats and padded lists."""

    starts: Tensor
    means: Tensor
    spreads: Tensor

    def __init__(self, net: Net, encoder: Encoder, offset: float) -> None:
        super().__init__()
        self.net = net
        self.offset = offset
        layout = net.layout
        self.list_fields = [f.name for f in encoder.fields if f.is_list]
        self.list_starts = {n: encoder.offset(n) for n in self.list_fields}
        moments = np.array([encoder.moments[n] for n in layout.floats], dtype=np.float32).reshape(-1, 2)
        starts = torch.tensor([encoder.offset(n) for n in layout.code_fields], dtype=torch.int64)
        self.register_buffer("starts", starts, persistent=False)
        self.register_buffer("means", torch.from_numpy(moments[:, 0].copy()), persistent=False)
        self.register_buffer("spreads", torch.from_numpy(moments[:, 1].copy()), persistent=False)

    def forward(self, inputs: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Return log-odds and probabilities `[N, T]`."""
        e, layout = self.net.embedding, self.net.layout
        lists = {n: inputs[f"list_{i}"] for i, n in enumerate(self.list_fields)}
        some = next(iter(inputs.values()))
        floats = self.means.new_zeros(some.shape[0], 0)
        if layout.floats:
            raw = (inputs["floats"] - self.means) / self.spreads
            floats = torch.where(torch.isnan(raw), torch.zeros_like(raw), raw)
        main, first = self._slots(e.main, e.float_main, inputs, lists, floats), None
        if e.first is not None and e.float_first is not None:
            first = self._slots(e.first[:, None], e.float_first[:, None], inputs, lists, floats)
        history, masks = {}, {}
        for name, hidden in layout.histories:
            masks[name] = lists[name] >= 0
            codes = torch.where(masks[name], lists[name] + self.list_starts[name], torch.full_like(lists[name], hidden))
            history[name] = e.main[codes]
        logits = self.net.score(
            Embedded(main=main, first_order=first, floats=floats, history=history, history_mask=masks)
        ).logits
        logits = logits + self.offset
        return logits, torch.sigmoid(logits)

    def _slots(
        self, table: Tensor, vectors: Tensor, inputs: dict[str, Tensor], lists: dict[str, Tensor], floats: Tensor
    ) -> Tensor:
        layout, parts = self.net.layout, []
        if layout.code_fields:
            parts.append(table[inputs["codes"] + self.starts])
        for name, missing in layout.pooled:
            real = lists[name] >= 0  # [N, L]
            lengths = real.sum(1, keepdim=True)
            rows = table[torch.where(real, lists[name] + self.list_starts[name], torch.zeros_like(lists[name]))]
            mean = (rows * real[..., None]).sum(1) / lengths.clamp(min=1)
            parts.append(torch.where(lengths == 0, table[missing][None], mean)[:, None])
        if layout.floats:
            parts.append(floats[:, :, None] * vectors)
        return parts[0] if len(parts) == 1 else torch.cat(parts, 1)


def _content(graph: _Graph, inputs: dict[str, np.ndarray], facts: dict[str, Any]) -> bytes:
    """Export with free sizes; the metadata are written into the graph."""
    rows = torch.export.Dim("rows")
    shapes: dict[str, dict[int, Any]] = {
        name: {0: rows} | ({1: torch.export.Dim(f"{name}_length")} if name.startswith("list_") else {})
        for name in inputs
    }
    given = {name: torch.from_numpy(values) for name, values in inputs.items()}
    with _quiet(), torch.no_grad():
        program: Any = torch.onnx.export(
            graph.eval(),
            (),
            None,
            kwargs={"inputs": given},
            dynamo=True,
            dynamic_shapes={"inputs": shapes},
            input_names=list(inputs),
            output_names=["logits", "probabilities"],
            opset_version=OPSET,
            verbose=False,
        )
    proto = program.model_proto
    entry = proto.metadata_props.add()
    entry.key, entry.value = "ctrsel", json.dumps(facts)
    content: bytes = proto.SerializeToString()
    return content


def _difference(content: bytes, model: Model, tables: list[Table]) -> float:
    """Return the largest difference between onnxruntime's log-odds and the model's, as a share of those beyond 1."""
    import onnxruntime

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    reads = {i.name for i in session.get_inputs()}
    worst = 0.0
    for table in tables:
        given = {k: v for k, v in onnx_inputs(table).items() if k in reads}
        found = session.run(["logits"], given)[0]
        z = model.logits(table)
        worst = max(worst, float((np.abs(found - z) / np.maximum(np.abs(z), 1.0)).max(initial=0.0)))
    return worst


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's advice for developers of torch from the user."""
    log = logging.getLogger("torch.onnx")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(before)
