"""What a registered model carries: the modules of ours that loading and predicting needs, and pinned requirements.

Both are read from the source: the imports of the serving code and of the model's own predictor and components,
followed as far as our modules go. A net's version thus asks for torch and not for LightGBM, and neither for shap.
"""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import importlib.metadata
import importlib.util
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ctrsel.core.errors import ConfigError
from ctrsel.models._contract import Predictor
from ctrsel.models.model import Model

__all__ = ["Carried", "carried", "pinned"]

_OURS = "ctrsel"
_ENTRY = ("ctrsel.serve.serving_model", "ctrsel.register.pyfunc_model")
_ADAPTER = ("mlflow", "pandas", "pyarrow")  # MLflow hands over pandas frames, which polars reads by pyarrow
_LAZY_PACKAGES = ("ctrsel.serve", "ctrsel.register")  # their own names are not needed, and would draw in more


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """Code and requirements of one model version.

    Attributes:
        modules: Dotted name of each module to its file.
        requirements: `name==version` of each distribution that they import, sorted.
    """

    modules: Mapping[str, Path]
    requirements: tuple[str, ...]

    def copy(self, folder: Path) -> list[Path]:
        """Copy the modules into a folder, package by package; return its entries, for MLflow's `code_paths`."""
        for name, file in self.modules.items():
            parts = name.split(".")
            place = folder.joinpath(*parts, "__init__.py") if file.name == "__init__.py" else None
            target = place or folder.joinpath(*parts[:-1], f"{parts[-1]}.py")
            target.parent.mkdir(parents=True, exist_ok=True)
            if name in _LAZY_PACKAGES:
                target.write_text(f'"""The part of {name} that a registered model needs."""\n', encoding="utf-8")
            else:
                shutil.copyfile(file, target)
        return sorted(folder.iterdir())


def carried(model: Model) -> Carried:
    """Find what a model needs to be loaded and to predict somewhere else.

    Raises:
        ConfigError: If a component of the model was defined where no file can be carried, as in a notebook cell.
    """
    roots = [*_ENTRY, *sorted({type(part).__module__ for part in _parts(model.predictor)})]
    foreign = {r.split(".")[0] for r in roots} - {_OURS}
    followed = {_OURS, *(top for top in foreign if _distribution(top) is None)}
    modules: dict[str, Path] = {}
    outside = set(_ADAPTER) | (foreign - followed)
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        if name in modules or name.split(".")[0] not in followed:
            continue
        modules[name] = file = _file(name)
        waiting += [name.rpartition(".")[0]] if "." in name else []
        if name in _LAZY_PACKAGES:
            continue
        for imported in _imports(file, name):
            if imported.split(".")[0] in followed:
                waiting.append(imported)
            else:
                outside.add(imported.split(".")[0])
    names = {d for top in outside - set(sys.stdlib_module_names) if (d := _distribution(top)) is not None}
    kept = {k: v for k, v in sorted(modules.items()) if not k.startswith("ctrsel.register")}  # MLflow copies that file
    return Carried(modules=kept, requirements=pinned(names))


def pinned(names: set[str]) -> tuple[str, ...]:
    """Pin distributions to their installed versions, without local labels ("+cpu"), which no index has."""
    return tuple(sorted(f"{n}=={importlib.metadata.version(n).split('+')[0]}" for n in names))


def _parts(value: Any) -> Iterator[Any]:
    """Yield a predictor and the predictors and components that it holds, by itself or in a tuple, to any depth."""
    yield value
    held = (
        [getattr(value, f.name) for f in dataclasses.fields(value)]
        if dataclasses.is_dataclass(value)
        else list(vars(value).values())
    )
    for part in [p for h in held for p in (h if isinstance(h, tuple) else (h,))]:
        if isinstance(part, Predictor) or (dataclasses.is_dataclass(part) and not isinstance(part, type)):
            yield from _parts(part)


def _file(name: str) -> Path:
    spec = importlib.util.find_spec(name) if name != "__main__" else None
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        raise ConfigError(
            f"register: a component of the model is defined in {name!r}, which is no file that a version can carry; "
            "put it into a module of its own"
        )
    return Path(spec.origin)


def _imports(file: Path, name: str) -> Iterator[str]:
    """Yield the modules that a file imports when it runs; what is for type checkers only is left out."""
    waiting: list[ast.AST] = [ast.parse(file.read_text(encoding="utf-8"))]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            waiting += node.orelse
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = name if file.name == "__init__.py" else name.rpartition(".")[0]
            base = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
            yield base
            yield from (f"{base}.{a.name}" for a in node.names if _is_module(base, a.name))
        waiting += list(ast.iter_child_nodes(node))


def _is_module(base: str, name: str) -> bool:
    if base.split(".", maxsplit=1)[0] != _OURS:
        return False
    spec = importlib.util.find_spec(base)
    folders = spec.submodule_search_locations if spec is not None else None
    return any((Path(f) / f"{name}.py").is_file() or (Path(f) / name).is_dir() for f in folders or ())


def _distribution(top: str) -> str | None:
    """Return the distribution that a package was installed from; most are called as their package is."""
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        return str(importlib.metadata.distribution(top).metadata["Name"])
    for found in importlib.metadata.distributions():
        if top in (found.read_text("top_level.txt") or "").split():
            return str(found.metadata["Name"])
    return next(iter(importlib.metadata.packages_distributions().get(top, [])), None)  # reads every file list: seconds
