"""Search ranges: what a component declares about a parameter so that tuning can try values of it.

A parameter's field carries its range: `learning_rate: float = field(default=1e-3, metadata=search(1e-4, 1e-2, log=True))`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

__all__ = ["Between", "Every", "OneOf", "Range", "choose", "every", "ranges", "search"]

_KEY = "search"


@dataclass(frozen=True, slots=True, kw_only=True)
class Between:
    """Numbers from `low` to `high`, both included.

    Attributes:
        low: The least.
        high: The largest.
        log: Whether to draw evenly on a log scale.
        whole: Whether only whole numbers are meant.
    """

    low: float
    high: float
    log: bool = False
    whole: bool = False

    def __post_init__(self) -> None:
        if not self.low <= self.high or (self.log and self.low <= 0):
            raise ValueError(f"a range needs low <= high, and low > 0 on a log scale, got {self.low} and {self.high}")


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of some values; lists stand for tuples, as in YAML.

    Attributes:
        options: At least one.
    """

    options: tuple[Any, ...]

    def __post_init__(self) -> None:
        if not self.options:
            raise ValueError("a choice needs at least one option")


@dataclass(frozen=True, slots=True)
class Every:
    """Each component of the field's catalogue, with the ranges that it declares itself."""


Range = Between | OneOf | Every


def search(low: float, high: float, *, log: bool = False) -> dict[str, Any]:
    """Return the metadata of a field whose values lie between two numbers; two whole numbers mean whole ones.

    Examples:
        >>> search(1e-4, 1e-2, log=True)["search"]
        Between(low=0.0001, high=0.01, log=True, whole=False)
        >>> search(1, 5)["search"].whole
        True
    """
    whole = isinstance(low, int) and isinstance(high, int)
    return {_KEY: Between(low=low, high=high, log=log, whole=whole)}


def choose(*options: Any) -> dict[str, Any]:
    """Return the metadata of a field that takes one of some values.

    Examples:
        >>> choose((64,), (64, 32))["search"]
        OneOf(options=((64,), (64, 32)))
    """
    return {_KEY: OneOf(options)}


def every() -> dict[str, Any]:
    """Return the metadata of a field that takes any component of its catalogue.

    Examples:
        >>> every()["search"]
        Every()
    """
    return {_KEY: Every()}


def ranges(component: object) -> Mapping[str, Range]:
    """Return the ranges that a component (a dataclass or an instance of one) declares, by parameter.

    Examples:
        >>> from dataclasses import dataclass, field
        >>> @dataclass
        ... class Ridge:
        ...     l2: float = field(default=1.0, metadata=search(1e-3, 1e3, log=True))
        ...     name: str = "ridge"
        >>> list(ranges(Ridge))
        ['l2']
    """
    return {f.name: f.metadata[_KEY] for f in fields(component) if _KEY in f.metadata}  # type: ignore[arg-type]  # any dataclass
