"""The model version's folder: saved model, report and example, our own code, signature and pinned requirements."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import polars as pl

from ctrsel.models.model import Model
from ctrsel.register.carry import Carried, carried
from ctrsel.serve.serving_model import ServingModel

__all__ = ["package", "signature"]


def signature(model: Model) -> Any:
    """Return the MLflow signature: optional input columns of any type, probabilities out, and the switch `details`.

    The columns are `Any` and not `string`, although all are read as text: for a string column MLflow refuses numbers,
    categories and a column that is empty throughout, and turns a JSON null into the text "None".
    """
    from mlflow.models import ModelSignature
    from mlflow.types.schema import AnyType, ColSpec, ParamSchema, ParamSpec, Schema

    anything: Any = AnyType  # its constructor is untyped
    labels = model.encoder.schema.labels
    always = ["probability", *(f"probability_{label.name}" for label in labels[1:])]
    return ModelSignature(
        inputs=Schema([ColSpec(anything(), f.name, required=False) for f in model.encoder.schema.inputs]),
        outputs=Schema(
            [
                *(ColSpec("double", name) for name in always),
                ColSpec("double", "logit", required=False),
                ColSpec("long", "other", required=False),
                ColSpec("long", "missing", required=False),
            ]
        ),
        params=ParamSchema([ParamSpec("details", "boolean", False)]),
    )


def package(folder: Path, model: Model, *, files: Path, example: pl.DataFrame, metadata: dict[str, str]) -> Carried:
    """Write the version's folder, as `mlflow.pyfunc` reads it, and say what it carries.

    Args:
        folder: Where; must not exist.
        model: The model.
        files: The run's files (see `contents.write_files`), of which the report and the feature set come along.
        example: Synthetic raw rows; they are stored with their probabilities, so that anybody can check the version.
        metadata: Goes into the MLmodel file.
    """
    import mlflow

    work = folder.parent / f"{folder.name}-parts"
    model.save(work / "model")
    shutil.copytree(files / "report", work / "report")
    (work / "example").mkdir()
    expected = ServingModel(model=model).predict(example)
    rows = {"rows": json.loads(example.write_json()), "probability": expected["probability"].to_list()}
    (work / "example" / "example.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    if (files / "feature_set").is_dir():
        shutil.copytree(files / "feature_set", work / "feature_set")
    luggage = carried(model)
    code = luggage.copy(work / "code")
    mlflow.pyfunc.save_model(
        path=str(folder),
        python_model=str(Path(__file__).with_name("pyfunc_model.py")),
        artifacts={p.name: str(p) for p in sorted(work.iterdir()) if p.name != "code"},
        code_paths=[str(p) for p in code],
        signature=signature(model),
        input_example=example.to_pandas(),
        pip_requirements=list(luggage.requirements),
        metadata=metadata,
    )
    for cache in folder.rglob("__pycache__"):
        shutil.rmtree(cache)
    shutil.rmtree(work)
    return luggage
