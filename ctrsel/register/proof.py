"""Proof of a version: a fresh process loads it from what it carries and must predict the stored example alike."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile

import numpy as np

from ctrsel.core.errors import CtrselError

__all__ = ["prove"]

_TOLERANCE = 1e-6
_TIMEOUT = 600  # seconds; on a busy machine importing the libraries alone takes tens of them
_SCRIPT = """
import json, sys, warnings
warnings.simplefilter("ignore")
import mlflow
folder = sys.argv[1]
model = mlflow.pyfunc.load_model(folder)
example = json.load(open(folder + "/artifacts/example/example.json", encoding="utf-8"))
import pandas, ctrsel
found = model.predict(pandas.DataFrame(example["rows"]))["probability"].tolist()
print(json.dumps({"found": found, "expected": example["probability"], "code": ctrsel.__file__}))
"""


def prove(folder: str) -> float:
    """Load a version's folder in a fresh process without pickle and without this checkout; return the largest difference.

    Args:
        folder: The version's folder, as `package` wrote it.

    Raises:
        CtrselError: If it cannot be loaded, uses other code than its own, or predicts something else.
    """
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    environment["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] = "false"
    with tempfile.TemporaryDirectory() as elsewhere:
        try:
            done = subprocess.run(
                [sys.executable, "-I", "-B", "-c", _SCRIPT, folder],
                cwd=elsewhere,
                env=environment,
                capture_output=True,
                text=True,
                timeout=_TIMEOUT,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise CtrselError(f"register: loading the model in a fresh process took over {_TIMEOUT} s") from error
    if done.returncode != 0:
        reason = (done.stderr.strip().split("\n") or ["no message"])[-1][:500]
        raise CtrselError(f"register: a fresh process cannot load the model that was to be registered: {reason}")
    result = json.loads(done.stdout.strip().split("\n")[-1])
    if not result["code"].startswith(str(folder)):
        raise CtrselError(f"register: the model must run on the code that it carries, but used {result['code']}")
    gap = float(np.max(np.abs(np.asarray(result["found"]) - np.asarray(result["expected"])), initial=0.0))
    if not gap <= _TOLERANCE:
        raise CtrselError(f"register: a fresh process predicts {gap:.2g} off the model that was to be registered")
    return gap
