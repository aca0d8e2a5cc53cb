"""What `ctrsel export --to onnx` does: a saved net as one graph."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ctrsel.core.errors import ConfigError

__all__ = ["onnx_export"]


def onnx_export(model: Path, out: Path | None) -> tuple[dict[str, Any], str]:
    """Write a saved model's net as ONNX.

    Returns:
        Facts for JSON, and the same as text.

    Raises:
        ConfigError: If no file is named.
    """
    from ctrsel.models.model import Model
    from ctrsel.models.onnx_form import write_onnx

    if out is None:
        raise ConfigError("--out: an ONNX graph is no text; name a file that ends in .onnx")
    facts = write_onnx(Model.load(model), out)
    inputs = [name for name in ("codes", "floats") if facts[name]] + [f"list_{i}" for i in range(len(facts["lists"]))]
    told = (
        f"{out}: reads {', '.join(inputs)}, gives logits and probabilities; differs from the net by {facts['difference']:.1e} at "
        "most. Codes come from the Encoder: ctrsel.models.onnx_form.onnx_inputs(encoder.encode(rows))"
    )
    return {"to": "onnx", "out": out, **facts}, told
