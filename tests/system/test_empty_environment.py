"""The registered version predicts in an environment that has nothing but the version's own requirements."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.system, pytest.mark.timeout(1800)]

SCRIPT = """
import importlib.util, json, sys
assert importlib.util.find_spec("ctrsel") is None, "the checkout must not be here"
import mlflow, pandas
folder = sys.argv[1]
example = json.load(open(folder + "/artifacts/example/example.json"))
found = mlflow.pyfunc.load_model(folder).predict(pandas.DataFrame(example["rows"]))["probability"].tolist()
import ctrsel
assert ctrsel.__file__.startswith(folder), ctrsel.__file__
absent = [n for n in ("optuna", "shap", "lightgbm") if importlib.util.find_spec(n) is None]
print(json.dumps({"found": found, "absent": absent}))
"""


def test_the_version_runs_in_an_empty_environment(registered, tmp_path):
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL_ENV", "MLFLOW"))}
    environment |= {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false"}
    python = str(tmp_path / "venv" / "bin" / "python")

    def call(*command, timeout):
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=timeout, check=False
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
        return done.stdout

    call(sys.executable, "-m", "venv", str(tmp_path / "venv"), timeout=300)
    requirements = str(Path(registered.folder) / "requirements.txt")
    call(python, "-m", "pip", "install", "--quiet", "--requirement", requirements, timeout=1200)
    result = json.loads(call(python, "-I", "-c", SCRIPT, registered.folder, timeout=300).strip().split("\n")[-1])
    expected = json.loads((Path(registered.folder) / "artifacts" / "example" / "example.json").read_text())
    np.testing.assert_allclose(result["found"], expected["probability"], atol=1e-6, rtol=0)
    assert result["absent"] == ["optuna", "shap", "lightgbm"]
