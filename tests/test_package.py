"""The package as a whole: what an import loads, what is public, and the habits of every file."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import pkgutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import ctrsel
from ctrsel.core.catalog import Catalog, describe

ROOT = Path(ctrsel.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
NAMES = [str(f.relative_to(ROOT)) for f in FILES]
HEAVY = {"polars", "pandas", "torch", "lightgbm", "shap", "mlflow", "optuna", "numpy", "scipy", "sklearn", "pydantic"}
PACKAGES = sorted(f.parent.relative_to(ROOT).as_posix().replace("/", ".") for f in FILES if f.name == "__init__.py")


def loaded_by(code: str, *args: str) -> set[str]:
    """Top-level modules that a fresh interpreter has loaded after `code`."""
    script = f"{code}\nimport sys\nprint(*sorted({{m.split('.')[0] for m in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", script, *args], check=True, capture_output=True, text=True)
    return set(done.stdout.splitlines()[-1].split())


def test_the_import_loads_no_heavy_library():
    assert not HEAVY & loaded_by("import ctrsel; dir(ctrsel)")


def test_the_config_is_read_without_heavy_libraries():
    heavy = HEAVY - {"pydantic", "numpy"}
    assert not heavy & loaded_by("import ctrsel; ctrsel.load_config")


def test_public_names_resolve():
    for name in ctrsel.__all__:
        assert callable(getattr(ctrsel, name)), name
        assert name in dir(ctrsel)
    assert ctrsel.__all__ == sorted(ctrsel.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = ctrsel.nothing


def test_the_version_is_that_of_the_project_file():
    project = ROOT.parent / "pyproject.toml"
    if not project.is_file():
        pytest.skip("installed without its checkout")
    assert tomllib.loads(project.read_text())["project"]["version"] == ctrsel.__version__


@pytest.mark.parametrize("file", FILES, ids=NAMES)
def test_each_file_says_what_it_is(file):
    tree = ast.parse(file.read_text(encoding="utf-8"))
    doc = ast.get_docstring(tree)
    assert doc, "a module needs a docstring"
    first = doc.split("\n\n")[0].strip()
    assert first.endswith((".", ":", "?")), f"the docstring starts with a sentence, got {first!r}"
    assert file.stem not in {"utils", "util", "helpers", "helper", "common", "misc"}
    assert len(file.read_text(encoding="utf-8").splitlines()) <= 450
    body = [n for n in tree.body if not isinstance(n, ast.Expr)]
    if file.name not in {"__init__.py", "__main__.py"} and any(
        isinstance(n, ast.ClassDef | ast.FunctionDef) for n in body
    ):
        exported = [
            n
            for n in body
            if (isinstance(n, ast.Assign) and ast.unparse(n.targets[0]) == "__all__")
            or (isinstance(n, ast.AnnAssign) and ast.unparse(n.target) == "__all__")
        ]
        assert len(exported) == 1, "a file with functions or classes says what is public"


def test_nothing_prints_but_the_command_line_and_nothing_evaluates_text():
    for file in FILES:
        if file.parent.name == "testing":  # runs the documents' examples
            continue
        forbidden = {"eval", "exec"} if "cli" in file.parts else {"eval", "exec", "print"}
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in forbidden, f"{file}:{node.lineno}"


def catalogues() -> list[Catalog]:
    found = []
    for info in pkgutil.walk_packages([str(ROOT)], "ctrsel."):
        if info.ispkg and (ROOT.parent / info.name.replace(".", "/") / "_contract.py").is_file():
            found.append(importlib.import_module(info.name).CATALOG)
    return found


CATALOGUES = catalogues()
COMPONENTS = [(c, name) for c in CATALOGUES for name in c.names()]


def test_there_is_a_catalogue_for_each_kind():
    kinds = {c.kind for c in CATALOGUES}
    assert {"ranker", "learner", "selector", "explainer", "backbone", "gate", "step"} <= kinds
    assert len(kinds) == len(CATALOGUES)


@pytest.mark.parametrize(("catalog", "name"), COMPONENTS, ids=[f"{c.kind}-{n}" for c, n in COMPONENTS])
def test_each_component_is_one_documented_frozen_dataclass(catalog, name):
    cls = catalog.load(name)
    assert cls.__doc__
    assert not cls.__doc__.startswith(f"{cls.__name__}("), "the docstring is the generated one"
    module = importlib.import_module(f"{catalog.package}.{name}")
    assert module.__all__ == [cls.__name__]
    if catalog.kind == "predictor":  # fitted, not configured
        return
    assert dataclasses.is_dataclass(cls)
    assert cls.__dataclass_params__.frozen
    made = cls()
    spec = describe(made)
    assert spec["use"] == name
    assert catalog.create(spec) == made
