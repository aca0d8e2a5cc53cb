"""Contestants: who takes part in a comparison of selectors, by name, and who cannot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ctrsel.core.artifact import to_json
from ctrsel.core.catalog import describe
from ctrsel.core.errors import ConfigError, unknown_name
from ctrsel.rank import CATALOG as RANKERS
from ctrsel.select import CATALOG, CONTROLS, Selector
from ctrsel.select.frequent import MostFrequent
from ctrsel.select.none import NoSelection
from ctrsel.select.random import RandomValues
from ctrsel.select.ranking import ByRanking

__all__ = ["Contest", "controls", "every_selector"]

_LONGEST = 40  # letters of parameters in a name


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """Selectors and controls.

    Attributes:
        specs: By name, each one's `{use: ..., parameters}`.
        selectors: Names of the selectors, in the order given.
        controls: Names of the controls.
        refused: By name, why one cannot be made as its name stands.
    """

    specs: Mapping[str, Mapping[str, Any]]
    selectors: tuple[str, ...]
    controls: tuple[str, ...]
    refused: Mapping[str, str] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """Controls, then selectors."""
        return (*self.controls, *self.selectors)

    @staticmethod
    def of(selectors: Sequence[str | Selector | Mapping[str, Any]], *, controls: Mapping[str, Selector]) -> Contest:
        """Name everybody; one who is given with parameters takes the names of its parts, too ("gated lpfs").

        Of two with the same name the second has the parameters in which it differs behind it: "gated lpfs (alpha=0.0)".

        Raises:
            ConfigError: If a name or a parameter is not known, nobody is named, or a control is.
        """
        if not selectors:
            raise ConfigError("compare: name at least one selector")
        specs: dict[str, Mapping[str, Any]] = {name: describe(c) for name, c in controls.items()}
        refused: dict[str, str] = {}
        for i, given in enumerate(selectors):
            place = f"compare[{i}]"
            use = given if isinstance(given, str) else None
            if use is not None and ":" not in use and use not in CATALOG.names():
                raise unknown_name("selector", use, CATALOG.names(), place=place)
            try:
                made = given if isinstance(given, Selector) else CATALOG.create(given, place=place)
            except ConfigError as error:
                if use is None:  # parameters that somebody wrote are a mistake
                    raise
                refused[_fresh(use, {}, specs, refused)] = str(error)
                continue
            if made in (*CONTROLS, NoSelection()):
                raise ConfigError(
                    f"{place}: {describe(made)['use']!r} is what every selector is compared with and takes part anyway"
                )
            spec = describe(made)
            specs[_fresh(_short(spec) if use is None else use.rsplit(":", 1)[-1], spec, specs, refused)] = spec
        return Contest(
            specs=specs,
            selectors=tuple(n for n in (*specs, *refused) if n not in controls),
            controls=tuple(controls),
            refused=refused,
        )


def controls(ranking: str) -> dict[str, Selector]:
    """Return what stands beside every selector: random, most frequent, and the best fields by a ranking without a model.

    Raises:
        ConfigError: If there is no such ranker.
    """
    if ranking not in RANKERS.names():
        raise unknown_name("ranker", ranking, RANKERS.names(), place="compare.ranking")
    return {
        "random": RandomValues(),
        "frequent": MostFrequent(),
        f"by {ranking}": ByRanking(ranking=ranking, max_q=1.0),
    }


def every_selector() -> list[str]:
    """Return the names of all selectors of the catalogue that are not controls."""
    controls = {describe(c)["use"] for c in (*CONTROLS, NoSelection())}
    return [name for name in CATALOG.names() if name not in controls]


def _short(spec: Mapping[str, Any]) -> str:
    """Return a selector's name and those of its parts: "gated lpfs"."""
    parts = [part for part in spec.values() if isinstance(part, Mapping) and "use" in part]
    return " ".join([str(spec["use"]).rsplit(":", 1)[-1], *map(_short, parts)])


def _fresh(
    name: str, spec: Mapping[str, Any], specs: Mapping[str, Mapping[str, Any]], refused: Mapping[str, str]
) -> str:
    """Return a name that nobody has: with the parameters in which it differs from who has it, or a number."""
    taken = (*specs, *refused)
    if name in specs:
        other = dict(_parameters(specs[name]))
        apart = ", ".join(f"{k.rsplit('.', 1)[-1]}={v}" for k, v in _parameters(spec) if other.get(k) != v)
        if 0 < len(apart) <= _LONGEST and f"{name} ({apart})" not in taken:
            return f"{name} ({apart})"
    count, found = 1, name
    while found in taken:
        count += 1
        found = f"{name} #{count}"
    return found


def _parameters(spec: Mapping[str, Any], place: str = "") -> Iterator[tuple[str, str]]:
    """Yield the parameters of a selector and of its parts by their places, as JSON."""
    for key, value in spec.items():
        if isinstance(value, Mapping):
            yield from _parameters(value, f"{place}{key}.")
        else:
            yield f"{place}{key}", to_json(value).strip('"')
