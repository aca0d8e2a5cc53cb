"""Catalogues: a component is a file, its name in YAML is the file's name, and nothing registers itself."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Generic, TypeVar

from ctrsel.core.building import build
from ctrsel.core.errors import ConfigError, unknown_name

__all__ = ["Catalog", "describe"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Catalog(Generic[T]):
    """The components of one package: every module whose `__all__` has exactly one entry, a frozen dataclass.

    Attributes:
        package: The package's dotted name, such as "ctrsel.rank".
        base: What every component must be a subclass of.
        kind: What a component is called in messages ("ranker").
    """

    package: str
    base: type[T]
    kind: str

    def names(self) -> list[str]:
        """List the component names: modules of the package that do not start with an underscore."""
        package = importlib.import_module(self.package)
        found = (m.name for m in pkgutil.iter_modules(package.__path__) if not m.name.startswith("_") and not m.ispkg)
        return sorted(name for name in found if self._component(f"{self.package}.{name}") is not None)

    def load(self, name: str, *, place: str = "") -> type[T]:
        """Return the component class of a name, or of `package.module:Class` for somebody else's.

        Raises:
            ConfigError: If the name is not known (the nearest known one is named) or is not a component.
        """
        if ":" in name:
            module, _, attribute = name.partition(":")
            try:
                found = getattr(importlib.import_module(module), attribute)
            except (ImportError, AttributeError, ValueError, TypeError) as error:
                raise ConfigError(f"{place or self.kind}: cannot load {name!r}: {error}") from error
            if not (isinstance(found, type) and issubclass(found, self.base)):
                raise ConfigError(f"{place or self.kind}: {name!r} must be a {self.base.__name__}")
            return found
        component = self._component(f"{self.package}.{name}") if name.isidentifier() and name[0] != "_" else None
        if component is None:
            raise unknown_name(self.kind, name, self.names(), place=place)
        return component

    def create(self, spec: Mapping[str, Any] | str, *, place: str = "") -> T:
        """Build a component from `{use: name, ...parameters}` or from a bare name.

        Raises:
            ConfigError: If the name or a parameter is unknown, or a parameter's value is not allowed.
        """
        if not isinstance(spec, str | Mapping):
            raise ConfigError(
                f"{place or self.kind}: expected a {self.kind}'s name, or 'use' and parameters, got {spec!r}"
            )
        given = {"use": spec} if isinstance(spec, str) else {str(k): v for k, v in spec.items()}
        if "use" not in given:
            raise ConfigError(
                f"{place or self.kind}: a {self.kind} needs the key 'use' with one of: {', '.join(self.names())}"
            )
        name = given.pop("use")
        if not isinstance(name, str):
            raise ConfigError(f"{place or self.kind}.use: expected a name, got {name!r}")
        return build(self.load(name, place=place), given, place=place or name)

    def _component(self, module_name: str) -> type[T] | None:
        try:
            module = importlib.import_module(module_name)
        except ModuleNotFoundError as error:
            if error.name == module_name:
                return None
            raise
        names = getattr(module, "__all__", [])
        if len(names) != 1:
            return None
        found = getattr(module, names[0])
        return found if isinstance(found, type) and issubclass(found, self.base) else None


def describe(component: Any) -> dict[str, Any]:
    """Return a component's `{use: name, ...parameters}`, the inverse of `Catalog.create`, for digests and records.

    Examples:
        >>> @dataclass(frozen=True)
        ... class Tiny:
        ...     size: int = 3
        >>> describe(Tiny())["size"]
        3
    """
    cls = type(component)
    short = (
        cls.__module__.rsplit(".", 1)[-1]
        if cls.__module__.startswith("ctrsel.")
        else f"{cls.__module__}:{cls.__name__}"
    )
    return {"use": short, **{f.name: _plain(getattr(component, f.name)) for f in fields(component) if f.init}}


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return describe(value)
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, tuple | list | set | frozenset):
        items = sorted(value) if isinstance(value, set | frozenset) else value
        return [_plain(v) for v in items]
    return value
