"""Lists: tags, each of which does something, and a history that counts by what it has in common with a target item."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ctrsel.core.errors import ConfigError
from ctrsel.core.seeds import generator
from ctrsel.data.synthetic.block import Block, Floats
from ctrsel.data.synthetic.part import Claim, Column, Moment, Part, Prepared, Root, World, between
from ctrsel.data.synthetic.popularity import Effects, Popularity, plant_effects

__all__ = ["History", "Tags"]

_TAGS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Tags(Part):
    """A list without order: each tag is in it or not, independently of the others, and adds to the log-odds if it is.

    Attributes:
        name: The column's name.
        values: V, how many tags; at most 200, because each is drawn for each row.
        items: Mean length of a list, if no tag is in too many.
        effect: Standard deviation of what a list adds; 0 = noise.
        skew: A tag's popularity falls as place^-skew; no tag is in more than 90 % of the lists.
        active: How many tags do anything; None = all.
    """

    name: str
    values: int = 20
    items: float = 3.0
    effect: float = 0.3
    skew: float = 1.05
    active: int | None = None

    def __post_init__(self) -> None:
        between(f"{self.name}.values", self.values, 1, _TAGS)
        between(f"{self.name}.items", self.items, 0.0, 0.9 * self.values)
        if self.active is not None:
            between(f"{self.name}.active", self.active, 1, self.values)

    def prepare(self, world: World) -> Prepared:
        """Draw what each tag does."""
        shares = np.minimum(self.items * Popularity(values=self.values, skew=self.skew).shares, 0.9)
        rng = generator(world.seed, "synthetic", self.name, "effects")
        effects = None
        if self.effect != 0.0:
            drawn = plant_effects(rng, shares / shares.sum(), effect=1.0, active=self.active)
            spread = float(np.sqrt((drawn.log_odds**2 * shares * (1 - shares)).sum()))
            effects = Effects(log_odds=self.effect * drawn.log_odds / max(spread, 1e-300), groups=drawn.groups)
        return _Tags(self, world, shares, effects)


class _Tags(Prepared):
    def __init__(self, spec: Tags, world: World, shares: Floats, effects: Effects | None) -> None:
        self.spec, self.world, self.shares, self.effects = spec, world, shares, effects
        self.columns = (Column(name=spec.name, kind="multivalued", values=spec.values, vocabulary=spec.name),)

    def draw(self, block: Block) -> None:
        drawn = block.rng(self.spec.name).random((block.rows, self.spec.values), dtype=np.float32)
        held = drawn < self.shares.astype(np.float32)
        block.cells[self.spec.name] = np.where(held, np.arange(self.spec.values, dtype=np.int32), np.int32(-1))
        if self.effects is not None:
            w = self.effects.log_odds
            block.add(self.world.label, held @ w - float(self.shares @ w))

    def roots(self, t: float) -> tuple[Root, ...]:
        """One root a tag."""
        del t
        if self.effects is None:
            return ()
        return tuple(
            Root(mass=np.array([1 - p, p]), log_odds={self.world.label: np.array([-p * w, (1 - p) * w])})
            for p, w in zip(self.shares.tolist(), self.effects.log_odds.tolist(), strict=True)
        )

    def joints(self, moment: Moment) -> dict[str | tuple[str, str], Floats]:
        """The sum of a list's effects, by which alone it acts on the label, in place of the list."""
        if self.effects is None:
            return {}
        lattice = moment.lattice
        own = lattice.total(
            lattice.transform(lattice.place(r.log_odds[self.world.label], r.mass)) for r in self.roots(moment.t)
        )
        return {self.spec.name: moment.joint(lattice.density(own), lattice.log_odds)}

    def value_joints(self, moment: Moment) -> dict[str, Floats]:
        """Each tag, where it is in the list."""
        if self.effects is None:
            return {}
        lattice = moment.lattice
        own = [lattice.transform(lattice.place(r.log_odds[self.world.label], r.mass)) for r in self.roots(moment.t)]
        up = np.empty(self.spec.values)
        for k, others in enumerate(lattice.all_but_one(own)):
            amount = float((1.0 - self.shares[k]) * self.effects.log_odds[k])
            up[k] = self.shares[k] * float(lattice.density(others) @ moment.rate(lattice.log_odds + amount))
        return {self.spec.name: np.stack([self.shares - up, up], axis=1)}

    def claims(self) -> tuple[Claim, ...]:
        planted = self.effects is not None
        return (
            Claim(
                column=self.spec.name,
                kind="tags" if planted else "noise",
                effect=self.spec.effect,
                informative=planted,
                effects=self.effects,
                shares=self.shares,
            ),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class History(Part):
    """A target item and a list of earlier items, oldest first, from one vocabulary; items have a cluster each.

    In half of the rows one of the items that count comes from the target's cluster, and the row gets `effect`; in the
    other half none does, and the row gets `-effect`. Given either of the two columns alone both are equally probable,
    so that the history tells nothing without the target. With `recent`, only the last items count, so that order
    matters.

    Attributes:
        item: Name of the target's column.
        history: Name of the list's column.
        values: V, how many items.
        clusters: How many clusters; V must be a multiple, and more than the items that count.
        length: Longest history, items; lengths from 1 on are equally frequent.
        recent: How many of the last items count; None = all.
        effect: Log-odds.
        item_effect: Standard deviation of what the target adds by itself, the same for each place in its cluster.
        skew: Popularity within a cluster.
    """

    item: str
    history: str
    values: int = 200
    clusters: int = 20
    length: int = 10
    recent: int | None = None
    effect: float = 0.6
    item_effect: float = 0.0
    skew: float = 1.05

    def __post_init__(self) -> None:
        if self.length < 1 or (self.recent is not None and self.recent < 1):
            raise ConfigError(f"{self.history}.length and recent: must be at least 1, got {self.length}, {self.recent}")
        if self.values % self.clusters:
            raise ConfigError(f"{self.item}.values: must be a multiple of {self.clusters} clusters, got {self.values}")
        if self.clusters <= self.counted:
            raise ConfigError(f"{self.item}.clusters: must be more than the {self.counted} items that count")

    @property
    def counted(self) -> int:
        """How many items count at most."""
        return self.length if self.recent is None else min(self.recent, self.length)

    def prepare(self, world: World) -> Prepared:
        """Draw what each item does."""
        inside = Popularity(values=self.values // self.clusters, skew=self.skew)
        # Items of cluster c have the codes c, c + clusters, c + 2 clusters and so on, by falling popularity.
        shares = np.repeat(inside.shares, self.clusters) / self.clusters
        effects = None
        if self.item_effect != 0.0:
            rng = generator(world.seed, "synthetic", self.item, "effects")
            drawn = plant_effects(rng, inside.shares, effect=self.item_effect)
            # The same in every cluster: a history, which tells something of the target's cluster, tells nothing of it.
            member = np.arange(self.values) // self.clusters
            effects = Effects(log_odds=drawn.log_odds[member], groups=drawn.groups[member])
        return _History(self, world, inside, shares, effects)


class _History(Prepared):
    def __init__(
        self, spec: History, world: World, inside: Popularity, shares: Floats, effects: Effects | None
    ) -> None:
        self.spec, self.world, self.inside, self.shares, self.effects = spec, world, inside, shares, effects
        self.columns = (
            Column(name=spec.item, values=spec.values, vocabulary=spec.item),
            Column(
                name=spec.history, kind="sequence", values=spec.values, vocabulary=spec.item, max_length=spec.length
            ),
        )

    def draw(self, block: Block) -> None:
        spec = self.spec
        rng, rows = block.rng(spec.item), block.rows
        places = np.arange(spec.length)
        lengths = rng.integers(1, spec.length + 1, rows)
        held = places >= spec.length - lengths[:, None]  # the list is filled from its end, the latest item
        cluster = rng.integers(0, spec.clusters, (rows, spec.length), dtype=np.int32)
        member = self.inside.draw(rng, rows * spec.length).reshape(rows, spec.length)
        block.cells[spec.history] = np.where(held, member * spec.clusters + cluster, np.int32(-1)).astype(np.int32)
        counts = np.minimum(lengths, spec.counted)
        counting = np.where(places >= spec.length - counts[:, None], cluster, -1)
        match = rng.integers(0, 2, rows).astype(bool)
        chosen = counting[np.arange(rows), spec.length - 1 - (rng.random(rows) * counts).astype(np.int64)]
        target = np.where(match, chosen, -1)
        todo = np.flatnonzero(~match)
        while len(todo):  # drawn again until the cluster is none of those that count
            target[todo] = rng.integers(0, spec.clusters, len(todo))
            todo = todo[(counting[todo] == target[todo, None]).any(axis=1)]
        item = (self.inside.draw(rng, rows) * spec.clusters + target).astype(np.int32)
        block.cells[spec.item] = item
        amount = np.where(match, spec.effect, -spec.effect)
        if self.effects is not None:
            amount = amount + self.effects.log_odds[item]
        block.add(self.world.label, amount)

    def roots(self, t: float) -> tuple[Root, ...]:
        """Whether the target's cluster is in the history, and the target itself."""
        del t
        label, effect = self.world.label, self.spec.effect
        match = Root(mass=np.array([0.5, 0.5]), log_odds={label: np.array([-effect, effect])})
        if self.effects is None:
            return (match,)
        return match, Root(mass=self.shares, log_odds={label: self.effects.log_odds})

    def joints(self, moment: Moment) -> dict[str | tuple[str, str], Floats]:
        spec = self.spec
        own = np.zeros(spec.values) if self.effects is None else self.effects.log_odds
        apart = moment.joint(self.shares / 2, own - spec.effect)
        along = moment.joint(self.shares / 2, own + spec.effect)
        return {spec.item: apart + along, (spec.item, spec.history): np.concatenate([apart, along])}

    def claims(self) -> tuple[Claim, ...]:
        spec = self.spec
        both = spec.effect != 0.0
        effect = float(np.hypot(spec.effect, spec.item_effect))
        return (
            Claim(
                column=spec.item,
                kind="target",
                effect=effect,
                informative=both or self.effects is not None,
                partner=spec.history if both else None,
                effects=self.effects,
                shares=self.shares,
            ),
            Claim(
                column=spec.history,
                kind="sequence",
                effect=spec.effect,
                informative=both,
                partner=spec.item,
                recent=spec.recent,
            ),
        )
