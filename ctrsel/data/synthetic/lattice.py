"""Exact sums of independent effects: their distribution on a lattice of log-odds, by the Fourier transform.

A mass between two points of the lattice is put on the three nearest so that its mean and variance stay what they are
(quadratic Lagrange weights, one of which may be below 0); the sum of independent parts is the product of their
transforms. What follows from it has no sampling error: rates, mutual information, AUC and log-loss of a planted table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ctrsel.data.synthetic.block import Counts, Floats

__all__ = ["Lattice", "area", "expit", "information", "log_loss_of"]

Complexes = npt.NDArray[np.complex128]


def expit(z: Floats) -> Floats:
    """Return `1 / (1 + exp(-z))`, safe at both ends.

    Examples:
        >>> expit(np.array([-800.0, 0.0, 800.0])).tolist()
        [0.0, 0.5, 1.0]
    """
    e = np.exp(-np.abs(z))
    return np.asarray(np.where(z >= 0, 1.0, e) / (1.0 + e))


@dataclass(frozen=True, kw_only=True)
class Lattice:
    """Points `step * (-points / 2 ... points / 2 - 1)` of log-odds.

    Attributes:
        step: Distance of two points.
        points: M, how many; even.
    """

    step: float = 0.02
    points: int = 4096

    @staticmethod
    def spanning(spread: float, largest: float, *, step: float = 0.02) -> Lattice:
        """Return a lattice that is wide enough for a sum of that standard deviation and a single part that large."""
        half = max(6.0, 8.0 * spread + largest + 1.0)
        return Lattice(step=step, points=1 << int(np.ceil(np.log2(2.0 * half / step))))

    @cached_property
    def log_odds(self) -> Floats:
        """The points, `[M]`."""
        return np.asarray(self.step * (np.arange(self.points) - self.points // 2), dtype=np.float64)

    def place(self, values: Floats, mass: Floats) -> Floats:
        """Put masses on the lattice, `[V]`, `[V]` to `[M]`; mean and variance are kept."""
        found = np.zeros(self.points)
        for where, weight in self._near(values):
            found += np.bincount(where, weights=mass * weight, minlength=self.points)
        return found

    def place_pairs(self, rows: Floats, columns: Floats, mass: Floats) -> Floats:
        """Put masses of pairs on a lattice of two directions, three times `[V]` to `[M, M]`."""
        found = np.zeros(self.points**2)
        for row, a in self._near(rows):
            for column, b in self._near(columns):
                found += np.bincount(row * self.points + column, weights=mass * a * b, minlength=len(found))
        return found.reshape(self.points, self.points)

    def _near(self, values: Floats) -> list[tuple[Counts, Floats]]:
        """The three nearest points of each value, and the share that each of them gets."""
        at = values / self.step
        near = np.rint(at)
        off = at - near
        where = near.astype(np.int64) + self.points // 2
        return [(where - 1, off * (off - 1) / 2), (where, 1 - off * off), (where + 1, off * (off + 1) / 2)]

    def transform(self, density: Floats) -> Complexes:
        """Return the transform of masses `[M]`; products of transforms are sums of independent parts."""
        return np.asarray(np.fft.rfft(np.fft.ifftshift(density)))

    def density(self, transform: Complexes) -> Floats:
        """Return the masses `[M]` of a transform."""
        return np.asarray(np.fft.fftshift(np.fft.irfft(transform, n=self.points)))

    def total(self, transforms: Iterable[Complexes]) -> Complexes:
        """Return the transform of a sum."""
        found = np.ones(self.points // 2 + 1, dtype=np.complex128)
        for one in transforms:
            found = found * one
        return found

    def all_but_one(self, transforms: Sequence[Complexes]) -> Iterator[Complexes]:
        """Return, for each part, the transform of the sum of all others."""
        behind = [np.ones(self.points // 2 + 1, dtype=np.complex128)]
        for one in reversed(transforms):
            behind.append(behind[-1] * one)
        before = behind[0]
        for one, rest in zip(transforms, behind[-2::-1], strict=True):
            yield before * rest
            before = before * one

    def rate(self, density: Floats, base: float) -> Callable[[Floats], Floats]:
        """Return the function `w -> E[expit(base + w + rest)]` of a rest with these masses `[M]`."""
        wide = np.asarray(self.step * (np.arange(2 * self.points) - self.points), dtype=np.float64)
        size = 4 * self.points
        # A correlation: for each shift k, the sum over j of density[j] * expit(base + x_j + x_k).
        found = np.fft.irfft(np.fft.rfft(expit(base + wide), size) * np.conj(np.fft.rfft(density, size)), size)
        curve = found[: self.points]

        def of(log_odds: Floats) -> Floats:
            return np.interp(log_odds, self.log_odds, curve)

        return of


def information(joint: Floats) -> float:
    """Mutual information in nats of a value and a label with these masses `[V, 2]`.

    ``sum over values of mass * KL(rate of the value || rate)``: linear in the masses, so that the few below 0 that a
    lattice has do no harm.

    Examples:
        >>> round(information(np.array([[0.5, 0.0], [0.0, 0.5]])), 6), information(np.full((3, 2), 1 / 6))
        (0.693147, 0.0)
    """
    mass, rate = _rates(joint)
    whole = float(joint[:, 1].sum() / joint.sum())
    if not 0.0 < whole < 1.0:
        return 0.0
    tiny = np.finfo(np.float64).tiny
    up = rate * np.log(np.maximum(rate, tiny) / whole)
    down = (1 - rate) * np.log(np.maximum(1 - rate, tiny) / (1 - whole))
    return max(float(mass @ (up + down) / mass.sum()), 0.0)


def area(joint: Floats) -> float:
    """AUC of the best score, the rate of the positives, for masses `[V, 2]` of negatives and positives per value.

    Examples:
        >>> area(np.array([[0.5, 0.0], [0.0, 0.5]])), area(np.array([[0.3, 0.1], [0.3, 0.1]]))
        (1.0, 0.5)
    """
    order = np.argsort(_rates(joint)[1], kind="stable")
    down, up = joint[order, 0], joint[order, 1]
    below = np.cumsum(down) - down
    pairs = float(down.sum()) * float(up.sum())
    return float((up * (below + down / 2)).sum()) / pairs if pairs > 0 else 0.5


def _rates(joint: Floats) -> tuple[Floats, Floats]:
    """Mass and rate of each value, `[V]` each; a value without mass has the rate 0."""
    mass = joint.sum(axis=1)
    rate = np.divide(joint[:, 1], mass, out=np.zeros(len(mass)), where=mass != 0)
    return mass, np.clip(rate, 0.0, 1.0)


def log_loss_of(mass: Floats, rate: Floats) -> float:
    """Mean log-loss in nats of the true rates `[V]` of values with these masses `[V]`."""
    inside = np.clip(rate, 1e-300, 1.0 - 1e-16)
    return float(-(mass * (inside * np.log(inside) + (1 - inside) * np.log1p(-inside))).sum() / mass.sum())
