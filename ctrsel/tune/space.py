"""Space: what tuning may try, read off the ranges that learners and their parts declare themselves.

A parameter is named by its way through the config: `net.learning_rate`, `net.backbone`, `net.backbone.deepfm.dropout`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any

from ctrsel.core.artifact import to_json
from ctrsel.core.catalog import Catalog, describe
from ctrsel.core.errors import ConfigError, unknown_name
from ctrsel.core.ranges import Between, Every, OneOf, Range, ranges
from ctrsel.train import CATALOG as LEARNERS

__all__ = ["AS_GIVEN", "Parameter", "Space", "Spec", "Start", "read_range"]

Spec = dict[str, Any]
AS_GIVEN = "as given"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One thing to be chosen.

    Attributes:
        name: Its way through the config; "learner" for the choice of a learner.
        range: What it may be; the start is always inside.
        start: What the config, or else the component, says.
        branch: Whether the choice decides which further parameters there are.
    """

    name: str
    range: Between | OneOf
    start: Any
    branch: bool = False


Ask = Callable[[Parameter], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """A learner as it stands, which is tried before anything is drawn.

    Attributes:
        origin: What it is ("net as in the config", "net with backbone fwfm").
        values: Every parameter's value, by name.
    """

    origin: str
    values: Mapping[str, Any]

    @property
    def given(self) -> bool:
        """Whether nothing of it is changed."""
        return self.origin.endswith(AS_GIVEN)


@dataclass(frozen=True, kw_only=True)
class Space:
    """Learners and what may be changed of them.

    Attributes:
        learners: By name `{use: ..., parameters}`, where tuning starts.
        fixed: By parameter name, what is not tried and set to this value.
        wished: By parameter name, ranges in place of the declared ones.
    """

    learners: Mapping[str, Spec]
    fixed: Mapping[str, Any] = field(default_factory=dict)
    wished: Mapping[str, Range] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.learners:
            raise ConfigError("tune: there is no learner to tune")
        both = sorted(set(self.fixed) & set(self.wished))
        if both:
            raise ConfigError(f"tune: {both[0]!r} stands in both fixed and ranges")
        if self.fixed or self.wished:
            seen = self._seen()
            for place, given in (("tune.fixed", self.fixed), ("tune.ranges", self.wished)):
                for name in given:
                    if name not in seen:
                        raise unknown_name("parameter", name, seen, place=place)

    def draw(self, ask: Ask) -> tuple[str, Spec]:
        """Return a learner's name and its `{use: ..., parameters}`, asking for each choice.

        Raises:
            ConfigError: If values do not go together; ranges of one component's parameters know nothing of each other.
        """
        name, spec = self._draw(ask)
        LEARNERS.create(spec, place=name)
        return name, spec

    def starts(self) -> tuple[Start, ...]:
        """Return what is tried first: each learner as it is given, then with each other part, the rest as it was."""
        return tuple(start for start, _ in self._starts)

    def spec(self, start: Start) -> Spec:
        """Return a start's learner as `{use: ..., parameters}`."""
        return self._draw(lambda p: start.values.get(p.name, p.start))[1]

    def parameters(self) -> tuple[Parameter, ...]:
        """Return everything that can be asked for."""
        found: dict[str, Parameter] = {}
        for _, asked in self._starts:
            for parameter in asked:
                found.setdefault(parameter.name, parameter)
        return tuple(found.values())

    def describe(self) -> dict[str, Any]:
        """Return plain values that say all there is to say, for digests."""
        told = {}
        for p in self.parameters():
            span = list(p.range.options) if isinstance(p.range, OneOf) else [p.range.low, p.range.high, p.range.log]
            told[p.name] = [span, p.start]
        return {"learners": {k: dict(v) for k, v in self.learners.items()}, "fixed": dict(self.fixed), "tried": told}

    @cached_property
    def _given(self) -> dict[str, Any]:
        return {name: LEARNERS.create(spec, place=f"learners.{name}") for name, spec in self.learners.items()}

    @cached_property
    def _starts(self) -> tuple[tuple[Start, tuple[Parameter, ...]], ...]:
        found: list[tuple[Start, tuple[Parameter, ...]]] = []
        waiting: list[tuple[str, dict[str, Any]]] = [
            (f"{name} {AS_GIVEN}", {"learner": name} if len(self.learners) > 1 else {}) for name in self.learners
        ]
        for origin, forced in waiting:  # grows as parts are met
            values, asked = self._asked(forced)
            found.append((Start(origin=origin, values=values), asked))
            for parameter in asked:
                learner, _, part = parameter.name.partition(".")
                if parameter.branch and part and parameter.name not in forced:
                    assert isinstance(parameter.range, OneOf)
                    waiting += [
                        (f"{learner} with {part} {option}", {**forced, parameter.name: option})
                        for option in parameter.range.options
                        if option != parameter.start
                    ]
        return tuple(found)

    def _asked(self, forced: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[Parameter, ...]]:
        """Return the values with some of them forced and the rest at their start, and what was asked for."""
        values: dict[str, Any] = {}
        asked: list[Parameter] = []

        def ask(parameter: Parameter) -> Any:
            asked.append(parameter)
            values[parameter.name] = forced.get(parameter.name, parameter.start)
            return values[parameter.name]

        self._draw(ask)
        return values, tuple(asked)

    def _draw(self, ask: Ask) -> tuple[str, Spec]:
        names = tuple(self.learners)
        name = names[0]
        if len(names) > 1:
            name = str(ask(Parameter(name="learner", range=OneOf(names), start=name, branch=True)))
        return name, self._component(self._given[name], name, ask)

    def _component(self, made: Any, place: str, ask: Ask) -> Spec:
        """Return a component's `{use: ..., parameters}` with what was asked for in place of its own."""
        declared = ranges(made)
        out: Spec = {"use": describe(made)["use"]}
        for f in fields(made):
            if not f.init:
                continue
            name, inner, value = f"{place}.{f.name}", f.metadata.get("catalog"), getattr(made, f.name)
            span = self.wished.get(name, declared.get(f.name))
            if name in self.fixed:
                out[f.name] = _plain(self.fixed[name])
            elif inner is not None and isinstance(value, tuple):  # parts side by side, named by their places
                out[f.name] = [self._component(part, f"{name}.{i}", ask) for i, part in enumerate(value)]
            elif inner is not None:
                out[f.name] = self._part(inner, value, span, name, ask)
            else:
                plain = _plain(describe(_One(value))["value"])
                out[f.name] = plain if span is None else ask(_parameter(name, span, plain))
        return out

    def _part(self, catalog: Catalog[Any], value: Any, span: Range | None, name: str, ask: Ask) -> Any:
        current = None if value is None else describe(value)["use"]
        options: tuple[Any, ...]
        if span is None:
            options = (current,)
        elif isinstance(span, Every):
            options = tuple(catalog.names())
        elif isinstance(span, OneOf) and all(isinstance(o, str) or o is None for o in span.options):
            options = span.options
            for option in options:
                if option is not None:
                    catalog.load(option, place=f"tune.ranges.{name}")
        else:
            raise ConfigError(f"tune.ranges.{name}: expected a list of names of a {catalog.kind}")
        chosen = current
        if len(options) > 1 or options[0] != current:
            wide = options if current in options else (current, *options)
            chosen = ask(Parameter(name=name, range=OneOf(wide), start=current, branch=True))
        if chosen is None:
            return None
        made = value if chosen == current else catalog.create(chosen, place=name)
        return self._component(made, f"{name}.{chosen}", ask)

    def _seen(self) -> set[str]:
        """Return the names of all parameters that can be reached, with and without a range."""
        branches = {k: v for k, v in self.wished.items() if isinstance(v, OneOf) and _names(v)}
        free = Space(learners=self.learners)
        object.__setattr__(free, "wished", branches)  # which is not checked again
        seen: set[str] = set()

        def note(catalog: Catalog[Any], spec: Any, place: str) -> None:
            for f in fields(catalog.load(spec["use"])):
                name, inner, part = f"{place}.{f.name}", f.metadata.get("catalog"), spec.get(f.name)
                if f.init:
                    seen.add(name)
                if inner is not None and isinstance(part, dict):
                    note(inner, part, f"{name}.{part['use']}")
                elif inner is not None and isinstance(part, list):
                    for i, one in enumerate(part):
                        note(inner, one, f"{name}.{i}")

        for start in free.starts():
            name, spec = free._draw(lambda p, now=start.values: now.get(p.name, p.start))  # type: ignore[misc]
            note(LEARNERS, spec, name)
        return seen


@dataclass(frozen=True, slots=True)
class _One:
    """Lets a single value be described as a component's parameter is."""

    value: Any


def _names(span: OneOf) -> bool:
    return all(isinstance(option, str) for option in span.options)


def _parameter(name: str, span: Range, start: Any) -> Parameter:
    """Return a parameter whose range holds its start."""
    if isinstance(span, OneOf):
        options = tuple(_plain(option) for option in span.options)
        return Parameter(name=name, range=OneOf(options if start in options else (start, *options)), start=start)
    if isinstance(span, Every):
        raise ConfigError(f"tune.ranges.{name}: is no choice of a component")
    if isinstance(start, bool) or not isinstance(start, int | float):
        raise ConfigError(f"tune.ranges.{name}: it starts at {start!r}, which is no number; give a list of values")
    if span.log and start <= 0:
        raise ConfigError(f"tune.ranges.{name}: it starts at {start}, which a log scale does not hold; leave log out")
    whole = isinstance(start, int) and float(span.low).is_integer() and float(span.high).is_integer()
    low, high = min(span.low, start), max(span.high, start)
    return Parameter(name=name, range=replace(span, low=low, high=high, whole=whole), start=start)


def read_range(value: Any, *, place: str) -> Range:
    """Read a range from plain values: a list of options, or `{low: ..., high: ..., log: ...}`.

    Raises:
        ConfigError: If it is neither.

    Examples:
        >>> read_range([8, 16], place="tune.ranges.net.width")
        OneOf(options=(8, 16))
        >>> read_range({"low": 1e-4, "high": 1e-2, "log": True}, place="tune.ranges.net.learning_rate").log
        True
    """
    if isinstance(value, list | tuple) and value:
        return OneOf(tuple(value))
    known = {"low", "high", "log"}
    if isinstance(value, Mapping) and {"low", "high"} <= set(value) <= known:
        try:
            low, high = float(value["low"]), float(value["high"])
            if math.isfinite(low) and math.isfinite(high):
                return Between(low=low, high=high, log=bool(value.get("log", False)))
        except (TypeError, ValueError) as error:
            raise ConfigError(f"{place}: {error}") from error
    raise ConfigError(f"{place}: expected a list of values, or low, high and perhaps log, got {value!r}")


def _plain(value: Any) -> Any:
    return json.loads(to_json(value))
