"""Building: plain values to a frozen dataclass, where an unknown key is an error that names the nearest known one."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from datetime import date
from functools import cache
from typing import Any, TypeVar

from ctrsel.core.errors import ConfigError, unknown_name

__all__ = ["Spec", "build"]

T = TypeVar("T")
Spec = dict[str, Any]


def build(cls: type[T], given: Mapping[str, Any], *, place: str) -> T:
    """Build a frozen dataclass from plain values; unknown keys and wrong types are refused with their place.

    A field whose metadata holds a `catalog` takes `{use: name, ...}` and becomes that catalogue's component, or takes a
    list of them where it is a tuple.

    Raises:
        ConfigError: Naming the key, the rule and the value.

    Examples:
        >>> from ctrsel.core.config import SplitConfig
        >>> build(SplitConfig, {"use": "hash", "valid": 0.2}, place="split").valid
        0.2
        >>> build(SplitConfig, {"vaild": 0.2}, place="split")
        Traceback (most recent call last):
        ctrsel.core.errors.ConfigError: split: unknown key 'vaild'; did you mean 'valid'? Known: test, use, valid
    """
    hints = _hints(typing.cast("Any", cls))
    known = {f.name: f for f in dataclasses.fields(typing.cast("Any", cls)) if f.init}
    values: dict[str, Any] = {}
    for key, value in given.items():
        if key not in known:
            raise unknown_name("key", str(key), known, place=place)
        catalog = known[key].metadata.get("catalog")
        here = f"{place}.{key}"
        if catalog is not None:
            values[key] = _component(catalog, hints[key], value, here)
        else:
            values[key] = _convert(hints[key], value, here)
    missing = [
        name
        for name, f in known.items()
        if name not in values and f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise ConfigError(f"{place}: the key {missing[0]!r} is required")
    try:
        return cls(**values)
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{place}: {error}") from error


@cache
def _hints(cls: type) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def _component(catalog: Any, hint: Any, value: Any, place: str) -> Any:
    """Make components of what stands in a field with a catalogue."""
    if typing.get_origin(hint) is tuple:
        if not isinstance(value, list | tuple):
            raise ConfigError(f"{place}: expected a list of {catalog.kind}s, got {_shown(value)}")
        return tuple(_component(catalog, catalog.base, item, f"{place}[{i}]") for i, item in enumerate(value))
    ready = isinstance(value, catalog.base) or (value is None and type(None) in typing.get_args(hint))
    return value if ready else catalog.create(value, place=place)


def _convert(hint: Any, value: Any, place: str) -> Any:
    """Convert one value to its annotated type; dataclasses inside unions, tuples and dicts are built in turn."""
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        if isinstance(value, hint):
            return value
        if not isinstance(value, Mapping):
            raise ConfigError(f"{place}: expected keys and values, got {_shown(value)}")
        return build(hint, value, place=place)
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in args:
            return None
        rest = [a for a in args if a is not type(None)]
        if len(rest) == 1:
            return _convert(rest[0], value, place)
    if origin is tuple and len(args) == 2 and args[1] is Ellipsis:
        if not isinstance(value, list | tuple):
            raise ConfigError(f"{place}: expected a list, got {_shown(value)}")
        return tuple(_convert(args[0], item, f"{place}[{i}]") for i, item in enumerate(value))
    if hint == Spec and isinstance(value, str):
        return {"use": value}  # a component by its bare name
    if origin is dict and isinstance(value, Mapping) and args[0] is str:
        return {str(k): _convert(args[1], item, f"{place}.{k}") for k, item in value.items()}
    return _validate(hint, value, place)


def _shown(value: Any) -> str:
    """Show a value in a message; a whole document that was put in a wrong place is cut."""
    text = repr(value)
    return text if len(text) <= 300 else text[:300] + "..."


def _validate(hint: Any, value: Any, place: str) -> Any:
    from pydantic import ValidationError

    # A switch is no number, although Python counts with it; a number may come as a text, since YAML reads 1e-3 as one.
    if isinstance(value, bool) and hint in (int, float):
        raise ConfigError(f"{place}: input should be a number, got {_shown(value)}")
    if isinstance(value, date) and str in (hint, *typing.get_args(hint)):  # what YAML makes of `as_of: 2026-01-31`
        value = value.isoformat()
    try:
        return _adapter(hint).validate_python(value)
    except ValidationError as error:
        reason = error.errors()[0]["msg"]
        raise ConfigError(f"{place}: {reason[0].lower()}{reason[1:]}, got {_shown(value)}") from error


@cache
def _adapter(hint: Any) -> Any:
    from pydantic import ConfigDict, TypeAdapter

    # Numbers may stand where a text is expected (`positive: 1`).
    return TypeAdapter(
        hint, config=ConfigDict(coerce_numbers_to_str=True, arbitrary_types_allowed=True, allow_inf_nan=False)
    )
