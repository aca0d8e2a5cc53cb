"""Solve: the truth of a planted table from its parts, at a few moments of its time, without drawing a row."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ctrsel.data.synthetic.block import Floats
from ctrsel.data.synthetic.lattice import Complexes, Lattice, area, expit, information, log_loss_of
from ctrsel.data.synthetic.part import Claim, Moment, Prepared
from ctrsel.data.synthetic.truth import FieldTruth, PairTruth, ValueTruth

__all__ = ["Solution", "moments", "own_spread", "solve", "solve_base"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Solution:
    """What `Truth` holds of the first label."""

    rate: float
    bayes_auc: float
    bayes_log_loss: float
    fields: dict[str, FieldTruth]
    pairs: tuple[PairTruth, ...]
    values: dict[str, ValueTruth]


def own_spread(part: Prepared, label: str, t: float) -> tuple[float, float]:
    """Variance of what a part adds to a label's log-odds, and the largest amount."""
    variance = largest = 0.0
    for root in part.roots(t):
        if label in root.log_odds:
            w = root.log_odds[label]
            mean = float(root.mass @ w)
            variance += float(root.mass @ w**2) - mean**2
            largest += float(np.abs(w[root.mass > 0]).max(initial=0.0))
    return variance, largest


def _lattice(parts: Sequence[Prepared], label: str, hidden: float, times: Sequence[float]) -> Lattice:
    found = [[own_spread(p, label, t) for p in parts] for t in times]
    variance = max(sum(v for v, _ in at) for at in found) + hidden**2
    largest = max(max((m for _, m in at), default=0.0) for at in found)
    return Lattice.spanning(float(np.sqrt(variance)), largest)


def moments(edges: Sequence[float]) -> list[tuple[float, float]]:
    """Return moments and the lengths of time that they stand for: two in each span, or the middle of a single one.

    Two points make the mean of a cubic exact (Gauss and Legendre's rule).

    Examples:
        >>> moments([0.0, 1.0]), [(round(t, 3), length) for t, length in moments([0.0, 0.5, 1.0])]
        ([(0.5, 1.0)], [(0.106, 0.25), (0.394, 0.25), (0.606, 0.25), (0.894, 0.25)])
    """
    if len(edges) == 2:
        return [((edges[0] + edges[1]) / 2, edges[1] - edges[0])]
    found = []
    for a, b in itertools.pairwise(edges):
        off = (b - a) / (2 * 3**0.5)
        found += [((a + b) / 2 + side * off, (b - a) / 2) for side in (-1, 1)]
    return found


def _transform(lattice: Lattice, part: Prepared, label: str, t: float) -> Complexes:
    return lattice.total(
        lattice.transform(lattice.place(root.log_odds[label], root.mass))
        for root in part.roots(t)
        if label in root.log_odds
    )


def _normal(lattice: Lattice, spread: float) -> Complexes:
    """Transform of a normal distribution; a spread of 0 is a certain 0."""
    if spread == 0.0:
        return np.ones(lattice.points // 2 + 1, dtype=np.complex128)
    mass = np.exp(-0.5 * (lattice.log_odds / spread) ** 2)
    return lattice.transform(mass / mass.sum())


def solve_base(
    parts: Sequence[Prepared], *, label: str, rate: float, slope: float, hidden: float, edges: Sequence[float]
) -> float:
    """Return the log-odds of a row to which nothing is added that make the label's rate what it shall be.

    Args:
        parts: All of them.
        label: The label.
        rate: Its rate.
        slope: Log-odds added at the end of the time.
        hidden: Standard deviation of what a session adds.
        edges: Spans of time in which nothing changes by much, from 0 to 1.
    """
    times = moments(edges)
    lattice = _lattice(parts, label, hidden, [t for t, _ in times])
    low, high = -40.0, 40.0
    at = []
    for t, length in times:
        total = lattice.total(_transform(lattice, p, label, t) for p in parts)
        at.append((lattice.density(total * _normal(lattice, hidden)) * length, slope * t))
    for _ in range(60):
        middle = (low + high) / 2
        found = sum(float(d @ expit(middle + s + lattice.log_odds)) for d, s in at)
        low, high = (middle, high) if found < rate else (low, middle)
    return (low + high) / 2


def _lazy_rate(lattice: Lattice, rest: Complexes, base: float) -> Callable[[Floats], Floats]:
    """The rate given what a part adds, worked out when it is first asked for: most noise never asks."""
    found: list[Callable[[Floats], Floats]] = []

    def of(log_odds: Floats) -> Floats:
        if not found:
            found.append(lattice.rate(lattice.density(rest), base))
        return found[0](log_odds)

    return of


def solve(
    parts: Sequence[Prepared], *, label: str, base: float, slope: float, hidden: float, edges: Sequence[float]
) -> Solution:
    """Return what is so about the first label.

    Args:
        parts: All of them, in order.
        label: The label.
        base: Log-odds of a row to which nothing is added.
        slope: Log-odds added at the end of the time.
        hidden: Standard deviation of what a session adds; no field tells it.
        edges: Spans of time in which nothing changes by much, from 0 to 1.
    """
    times = moments(edges)
    lattice = _lattice(parts, label, hidden, [t for t, _ in times])
    session = _normal(lattice, hidden)
    masses: list[Floats] = []
    rates: list[Floats] = []
    without = np.zeros(len(parts))  # log-loss of the best model without a part
    sums: dict[str | tuple[str, str], Floats] = {}
    by_value: dict[str, Floats] = {}
    for t, length in times:
        own = [_transform(lattice, p, label, t) for p in parts]
        density = lattice.density(lattice.total(own))
        known = lattice.rate(lattice.density(session), base + slope * t)(lattice.log_odds)
        masses.append(density * length)
        rates.append(known)
        joints: dict[str | tuple[str, str], Floats] = {}
        for i, (part, rest) in enumerate(zip(parts, lattice.all_but_one(own), strict=True)):
            has_roots = part.acts
            if has_roots:
                seen = lattice.density(rest)
                unseen = lattice.rate(lattice.density(own[i] * session), base + slope * t)(lattice.log_odds)
                without[i] += log_loss_of(seen, unseen) * length
            moment = Moment(
                t=t,
                lattice=lattice,
                rate=_lazy_rate(lattice, rest * session, base + slope * t),
                base_rate=float(density @ known),
                joints=joints,
            )
            joints |= part.joints(moment)
            for name, joint in part.value_joints(moment).items():
                by_value[name] = by_value.get(name, 0.0) + joint * length
        for key, joint in joints.items():
            sums[key] = sums.get(key, 0.0) + joint * length
    mass, rate = np.concatenate(masses), np.concatenate(rates)
    best = log_loss_of(mass, rate)
    fields, values = _fields(parts, sums, by_value, without - best)
    return Solution(
        rate=float(mass @ rate),
        bayes_auc=area(np.stack([mass * (1 - rate), mass * rate], axis=1)),
        bayes_log_loss=best,
        fields=fields,
        pairs=tuple(_pair(a, b, sums, fields) for a, b in (k for k in sums if isinstance(k, tuple))),
        values=values,
    )


def _pair(a: str, b: str, sums: dict[str | tuple[str, str], Floats], fields: dict[str, FieldTruth]) -> PairTruth:
    both = information(sums[(a, b)])
    alone = (fields[a].information or 0.0) + (fields[b].information or 0.0)
    return PairTruth(left=a, right=b, information=both, synergy=both - alone)


def _fields(
    parts: Sequence[Prepared],
    sums: dict[str | tuple[str, str], Floats],
    by_value: dict[str, Floats],
    lost: Floats,
) -> tuple[dict[str, FieldTruth], dict[str, ValueTruth]]:
    claims: dict[str, Claim] = {}
    adds: dict[str, float] = {}
    sizes: dict[str, int | None] = {}
    for part, amount in zip(parts, lost.tolist(), strict=True):
        has_roots = part.acts
        for column, claim in zip(part.columns, part.claims(), strict=True):
            claims[claim.column] = claim
            sizes[claim.column] = column.values
            source = claim.redundant_with
            adds[claim.column] = max(amount, 0.0) if has_roots else 0.0 if source is None else adds.get(source, 0.0)
    fields, values = {}, {}
    families = _families(claims)
    for name, claim in claims.items():
        joint = sums.get(name)
        computed = claim.leak is None or joint is not None
        fields[name] = FieldTruth(
            kind=claim.kind,
            values=sizes[name],
            effect=claim.effect,
            informative=claim.informative,
            information=(0.0 if joint is None else information(joint)) if computed else None,
            auc=(0.5 if joint is None else area(joint)) if computed else None,
            adds=adds[name] if claim.leak is None else None,
            redundant_with=tuple(n for n in families[name] if n != name),
            partner=claim.partner,
            recent=claim.recent,
            determined_by=claim.determined_by,
        )
        if claim.effects is not None and claim.shares is not None and joint is not None:
            v = len(claim.shares)
            joint = by_value.get(name, joint)
            known = joint[:v].sum(axis=1)
            values[name] = ValueTruth(
                share=claim.shares,
                effect=claim.effects.log_odds,
                rate=np.divide(joint[:v, 1], known, out=np.zeros(v), where=known > 0),
                group=claim.effects.groups,
            )
    return fields, values


def _families(claims: dict[str, Claim]) -> dict[str, list[str]]:
    """Fields that say the same as each field, itself included, in the order of the table."""
    head: dict[str, str] = {}
    for name, claim in claims.items():
        head[name] = name if claim.redundant_with is None else head[claim.redundant_with]
    members: dict[str, list[str]] = {}
    for name, of in head.items():
        members.setdefault(of, []).append(name)
    return {name: members[of] for name, of in head.items()}
