from __future__ import annotations

import dataclasses
import importlib
import subprocess
import sys

import numpy as np
import pytest

from ctrsel.core.errors import ConfigError
from ctrsel.models.calibrated import CalibratedPredictor
from ctrsel.models.ensemble import EnsemblePredictor
from ctrsel.models.model import Model
from ctrsel.register.carry import carried, pinned
from ctrsel.stats.log_odds_maps import Platt
from ctrsel.train.boosted import BoostedLearner


@pytest.fixture(scope="module")
def boosted(table):
    return BoostedLearner(rounds=3, patience=3, leaves=4).fit(table.without("test"), seed=1).model


def names(model):
    return {r.split("==")[0] for r in carried(model).requirements}


def test_a_net_asks_for_torch_and_trees_for_lightgbm(net, boosted):
    common = {"mlflow", "numpy", "pandas", "polars", "psutil", "pyarrow", "pydantic"}
    assert names(net) == common | {"torch", "safetensors"}
    assert names(boosted) == common | {"lightgbm"}


def test_a_calibrated_ensemble_asks_for_what_its_members_need(net, boosted):
    both = EnsemblePredictor(members=(net.predictor, boosted.predictor), weights=np.ones((2, 1)), intercept=np.zeros(1))
    whole = dataclasses.replace(net, predictor=CalibratedPredictor(base=both, maps=(Platt(scale=2.0, shift=0.0),)))
    assert names(whole) == names(net) | names(boosted)
    wanted = {"models.ensemble", "models.calibrated", "models.net", "models.boosted", "stats.log_odds_maps"}
    assert {f"ctrsel.{name}" for name in wanted} <= set(carried(whole).modules)


def test_only_what_predicting_needs_is_carried(net, boosted):
    modules = set(carried(net).modules)
    assert {"ctrsel", "ctrsel.serve.serving_model", "ctrsel.models.net", "ctrsel.models.backbones.deepfm"} <= modules
    stages = ("api", "cli", "explain", "rank", "register", "report", "select", "stats", "testing", "train", "tune")
    assert not {m for m in modules if m.split(".")[1:2] and m.split(".")[1] in stages}
    assert "ctrsel.models.net" not in carried(boosted).modules


@pytest.mark.parametrize("kind", ["net", "boosted"])
def test_a_process_with_nothing_but_the_carried_code_predicts(request, tmp_path, kind):
    """The checkout is taken off the path, so whatever is not carried cannot be imported."""
    model: Model = request.getfixturevalue(kind)
    carried(model).copy(tmp_path / "code")
    model.save(tmp_path / "model")
    script = f"""
import sys
sys.path = [p for p in sys.path if "site-packages" in p or "python3" in p]
sys.meta_path = [f for f in sys.meta_path if "editable" not in repr(f).lower()]
sys.path.insert(0, {str(tmp_path / "code")!r})
import ctrsel
assert ctrsel.__file__.startswith({str(tmp_path)!r}), ctrsel.__file__
from ctrsel.serve.serving_model import ServingModel
import polars as pl
print(ServingModel.load({str(tmp_path / "model")!r}).predict(pl.DataFrame({{"site": ["site1"]}}))["probability"][0])
for name in ("mlflow", "optuna", "shap", "numba", {"lightgbm" if kind == "net" else "torch"!r}):
    assert name not in sys.modules, name
"""
    done = subprocess.run(
        [sys.executable, "-I", "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=400, check=False
    )
    assert done.returncode == 0, done.stderr
    import polars as pl

    assert float(done.stdout) == pytest.approx(model.probabilities(pl.DataFrame({"site": ["site1"]}))[0, 0], abs=1e-7)


def with_foreign_backbone(net, cls):
    predictor = net.predictor
    twin = object.__new__(type(predictor))
    twin.__dict__.update(vars(predictor) | {"backbone": cls()})
    return Model(encoder=net.encoder, predictor=twin)


def test_a_users_own_component_is_carried_with_its_imports(net, tmp_path, monkeypatch):
    (tmp_path / "my_parts").mkdir()
    (tmp_path / "my_parts" / "__init__.py").touch()
    (tmp_path / "my_parts" / "sums.py").write_text("import scipy.special\n")
    (tmp_path / "my_parts" / "backbone.py").write_text(
        "from dataclasses import dataclass\nfrom . import sums\nfrom .sums import scipy\n@dataclass\nclass Mine:\n    size: int = 3\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    mine = importlib.import_module("my_parts.backbone").Mine
    luggage = carried(with_foreign_backbone(net, mine))
    assert {"my_parts", "my_parts.backbone", "my_parts.sums"} <= set(luggage.modules)
    assert any(r.startswith("scipy==") for r in luggage.requirements)
    entries = luggage.copy(tmp_path / "code")
    assert [e.name for e in entries] == ["ctrsel", "my_parts"]


def test_a_component_of_a_notebook_cell_is_refused(net):
    cls = dataclasses.make_dataclass("Cell", [("size", int, 1)])
    cls.__module__ = "__main__"
    with pytest.raises(ConfigError, match="defined in '__main__'"):
        carried(with_foreign_backbone(net, cls))


def test_pins_have_no_local_label():
    assert not any("+" in p for p in pinned({"torch", "numpy"}))
