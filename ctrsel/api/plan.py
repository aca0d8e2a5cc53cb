"""Plan: a configuration with every component built, so that a mistyped name fails before anything is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ctrsel.api.crosses import check_crosses
from ctrsel.api.starts import check_start, open_start
from ctrsel.core.catalog import describe
from ctrsel.core.config import RunConfig, SelectConfig
from ctrsel.core.durations import seconds
from ctrsel.core.errors import ConfigError, unknown_name
from ctrsel.data.table import Table
from ctrsel.models.model import Model
from ctrsel.rank import CATALOG as RANKERS
from ctrsel.rank import Ranker
from ctrsel.select import CATALOG as SELECTORS
from ctrsel.select import CONTROLS, Selector, Size, exclude
from ctrsel.select.none import NoSelection
from ctrsel.select.problem import check_wishes
from ctrsel.select.wanted import Wanted
from ctrsel.train import CATALOG as LEARNERS
from ctrsel.train import Learner

__all__ = ["Plan", "component_key", "plan", "selection_name"]

_NAMES = {
    "random": "random values",
    "frequent": "most frequent values",
    "none": "all values",
    "net_merge": "merged values",
    "merge": "values merged by counts",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a run will do: the configuration and its components.

    Attributes:
        config: The configuration.
        out: The run's folder.
        rankers: In the order of the config.
        learners: By the name that the config gives them.
        selectors: In the order of the config; what the first one keeps is the size of all that follow.
        size: How much may be kept.
        start: The model that nets go on from, None for fresh weights.
        cross_ranker: What crosses are chosen by, None if no ranking of them is wanted.
    """

    config: RunConfig
    out: Path
    rankers: tuple[Ranker, ...]
    learners: Mapping[str, Learner]
    selectors: tuple[Selector, ...]
    size: Wanted
    cross_ranker: Ranker | None = None
    start: Model | None = None

    @property
    def learner(self) -> Learner:
        """The learner that is searched with and retrained."""
        return self.learners[self.config.select.learner]

    def usable(self, table: Table) -> Table:
        """Return a table without what must never be used; wishes that it cannot fulfil are refused before anything is trained.

        Raises:
            ConfigError: If the wishes or the size ask for fields that it does not have.
        """
        wishes = self.config.select
        left = exclude(table, wishes.never_use)
        check_wishes(left.schema.names, always_keep=wishes.always_keep, groups=wishes.groups)
        self.size.check(left.schema.names)
        return left


def plan(config: RunConfig) -> Plan:
    """Build all components of a configuration.

    Raises:
        ConfigError: If a component or a parameter is not known, or the parts do not fit together.
    """
    seconds(config.register.patience, place="register.patience")
    learners = {name: LEARNERS.create(spec, place=f"learners.{name}") for name, spec in config.learners.items()}
    if config.select.learner not in learners:
        raise unknown_name("learner", config.select.learner, learners, place="select.learner")
    size = Wanted.read(config.select.size, place="select.size")
    # Gates choose values, so a number of fields is kept by a ranking unless something else is named.
    both = ({"use": "gated"}, {"use": "ranking"})
    specs = config.select.selectors or (both if size.fields is None else both[1:])
    selectors = tuple(SELECTORS.create(spec, place=f"select.selectors[{i}]") for i, spec in enumerate(specs))
    rankers = tuple(RANKERS.create(spec, place=f"rank[{i}]") for i, spec in enumerate(config.rank))
    _check_selectors(selectors, rankings=[component_key(r) for r in rankers], size=size)
    _check_wishes(config.select)
    for kind, components in (("rank", rankers), ("select.selectors", selectors)):
        keys = [component_key(c) for c in components]
        twice = sorted({k for k in keys if keys.count(k) > 1})
        if twice:
            raise ConfigError(f"{kind}: each component stands once, got {twice[0]!r} twice")
    cross_ranker = None
    if config.crosses is not None:
        check_crosses(config.crosses, never_use=config.select.never_use)
        if config.crosses.top:
            cross_ranker = RANKERS.create(config.crosses.ranker, place="crosses.ranker")
    out = Path(config.out or f"runs/{config.name}")
    start = None
    if config.start is not None:
        start = open_start(config.start, register=config.register, out=out)
        check_start(start, learners)
    return Plan(
        config=config,
        out=out,
        rankers=rankers,
        learners=learners,
        selectors=selectors,
        size=size,
        cross_ranker=cross_ranker,
        start=start,
    )


def _check_selectors(selectors: tuple[Selector, ...], *, rankings: list[str], size: Wanted) -> None:
    """Refuse what stands beside every selection anyway, a ranking that is not made, and a size of another kind."""
    for i, selector in enumerate(selectors):
        if size.fields is not None:
            selector.check(Size(number=size.fields, of="fields"))
        key = component_key(selector)
        if selector in (*CONTROLS, NoSelection()):
            raise ConfigError(
                f"select.selectors[{i}]: {key!r} is what every selection is compared with and is added by itself; name "
                "a selector that chooses, such as gated or ranking"
            )
        ranking = getattr(selector, "ranking", None)
        if isinstance(ranking, str) and ranking not in rankings:
            raise unknown_name("ranking", ranking, rankings, place=f"select.selectors[{i}].ranking")


def _check_wishes(wishes: SelectConfig) -> None:
    for place, names in (
        ("always_keep", wishes.always_keep),
        *((f"groups[{i}]", g) for i, g in enumerate(wishes.groups)),
    ):
        both = [n for n in names if n in wishes.never_use]
        if both:
            raise ConfigError(f"select.{place}: {both[0]!r} stands in select.never_use as well")


def component_key(component: Any) -> str:
    """Return a component's short name, for stages and tables."""
    return str(describe(component)["use"]).rsplit(":", 1)[-1]


def selection_name(learner: str, selector: Selector) -> str:
    """Return the name that the final table has for a learner retrained on a selection.

    Examples:
        >>> from ctrsel.select.random import RandomValues
        >>> selection_name("net", RandomValues())
        'net, random values'
    """
    spec = describe(selector)
    what = str(spec["use"])
    if "gate" in spec:
        what = f"{spec['gate']['use']} gates"
    elif "ranking" in spec:
        what = f"best fields by {spec['ranking'].replace('_', ' ')}"
    return f"{learner}, {_NAMES.get(what, what)}"
