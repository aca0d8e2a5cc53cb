"""Knockoff copies of categorical columns: drawn one after the other, each given all columns and the copies before it.

Reference: Candes, Fan, Janson and Lv, "Panning for gold: model-X knockoffs", 2018, algorithm 1 (sequential conditional
independent pairs).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ctrsel.rank._knockoff_loops import draw_copies, pooled_moments

__all__ = ["Copies", "knockoff_copies"]

_SURE = 3.0  # standard errors that another column's help must be away from nothing
_WORK = 1e8  # multiplications that one step of fitting the weights may take
_STEPS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Copies:
    """The copies, and what they were drawn from.

    Attributes:
        columns: F copies, int64 `[N]` each, in the codes of their originals.
        parents: Per column how many originals its copy was drawn given.
        same: Per column the share of rows whose copy equals the original.
    """

    columns: tuple[np.ndarray, ...]
    parents: tuple[int, ...]
    same: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Help:
    """What another column tells about the one to copy: mean log-likelihood gained on rows not counted, and how surely."""

    gain: float
    sure: float


def knockoff_copies(
    columns: Sequence[np.ndarray],
    sizes: Sequence[int],
    *,
    halves: np.ndarray,
    rng: np.random.Generator,
    parents: int,
    smooth: float,
) -> Copies:
    """Draw knockoff copies.

    The distribution of a column given others pools what each of them tells alone: the log of the smoothed frequency of its
    values beside the other's value over their frequency at all, weighted by what fits best together (maximum
    likelihood). Frequencies are counted on one half of the rows and used on the other, so that no row's own value leads
    its copy.

    Args:
        columns: F columns of codes from 0, int64 `[N]` each.
        sizes: Their numbers of codes.
        halves: Which half a row is in, bool `[N]`.
        rng: Draws.
        parents: At most so many other columns a copy is drawn given, those that tell most, and as many of their copies.
        smooth: Rows at the column's own frequencies that are added to each value of another column.
    """
    copies: list[np.ndarray] = []
    used: list[int] = []
    for j, (column, size) in enumerate(zip(columns, sizes, strict=True)):
        found: list[tuple[float, int]] = []
        for k, other in enumerate(columns):
            if k != j:
                told = _help(column, size, other, sizes[k], halves=halves, smooth=smooth)
                if told.sure > _SURE:
                    found.append((told.gain, k))
        best = [k for _, k in sorted(found, key=lambda item: (-item[0], item[1]))[:parents]]
        # The copy of a column that tells nothing about this one tells nothing either.
        given = [(columns[k], sizes[k]) for k in best] + [(copies[k], sizes[k]) for k in best if k < j]
        uniform = rng.random(len(column))
        copies.append(_draw(column, size, given, halves=halves, uniform=uniform, smooth=smooth))
        used.append(len(best))
    same = tuple(float((copy == column).mean()) for copy, column in zip(copies, columns, strict=True))
    return Copies(columns=tuple(copies), parents=tuple(used), same=same)


def _shares(column: np.ndarray, size: int) -> np.ndarray:
    """Return smoothed frequencies of all codes, none of them zero."""
    counts = np.bincount(column, minlength=size) + 0.5
    shares: np.ndarray = counts / counts.sum()
    return shares


def _help(
    column: np.ndarray, size: int, other: np.ndarray, other_size: int, *, halves: np.ndarray, smooth: float
) -> _Help:
    gains = []
    for half in (False, True):
        counted, asked = halves == half, halves != half
        share = _shares(column[counted], size)
        cells = np.bincount(other[counted] * size + column[counted], minlength=size * other_size)
        rows = np.bincount(other[counted], minlength=other_size)
        x, v = other[asked], column[asked]
        gains.append(np.log((cells[x * size + v] / share[v] + smooth) / (rows[x] + smooth)))
    gain = np.concatenate(gains)
    error = gain.std() / np.sqrt(gain.size)
    return _Help(gain=float(gain.mean()), sure=float(gain.mean() / error) if error > 0 else 0.0)


def _draw(
    column: np.ndarray,
    size: int,
    given: Sequence[tuple[np.ndarray, int]],
    *,
    halves: np.ndarray,
    uniform: np.ndarray,
    smooth: float,
) -> np.ndarray:
    out = np.empty(len(column), dtype=np.int64)
    codes = np.ascontiguousarray([other for other, _ in given], dtype=np.int64).reshape(len(given), len(column))
    starts = np.cumsum([0, *(other_size * size for _, other_size in given)])[:-1].astype(np.int64)
    for half in (False, True):
        counted, asked = halves == half, np.flatnonzero(halves != half)
        share = _shares(column[counted], size)
        tables = [_table(column[counted], share, o[counted], s, smooth=smooth) for o, s in given]
        flat = np.concatenate(tables) if tables else np.empty(0)
        base = np.log(share)
        beta = _weights(base, flat, starts, codes, column, asked)
        draw_copies(base, flat, starts, codes, asked, beta, uniform, out)
    return out


def _table(column: np.ndarray, share: np.ndarray, other: np.ndarray, other_size: int, *, smooth: float) -> np.ndarray:
    size = len(share)
    cells = np.bincount(other * size + column, minlength=size * other_size).reshape(other_size, size)
    rows = cells.sum(axis=1, keepdims=True)
    flat: np.ndarray = np.log((cells / share + smooth) / (rows + smooth)).reshape(-1)
    return flat


def _weights(  # noqa: PLR0917  # in the order that the loop takes them
    base: np.ndarray, flat: np.ndarray, starts: np.ndarray, codes: np.ndarray, target: np.ndarray, rows: np.ndarray
) -> np.ndarray:
    """Return the others' weights of most likelihood, by Newton's method with halved steps where one goes too far."""
    m = len(starts)
    beta, gradient, hessian = np.zeros(m), np.zeros(m), np.zeros((m, m))
    if m == 0:
        return beta
    wanted = int(min(max(_WORK / (len(base) * m * m), 500), 10_000))
    sample = rows[:: max(len(rows) // wanted, 1)]
    now = pooled_moments(base, flat, starts, codes, target, sample, beta, gradient, hessian)
    for _ in range(_STEPS):
        step = np.linalg.solve(hessian + 1e-3 * len(sample) * np.eye(m) / 100, gradient - 1e-5 * len(sample) * beta)
        slope, before = float(step @ gradient), now
        for _ in range(_STEPS):
            now = pooled_moments(base, flat, starts, codes, target, sample, beta + step, gradient, hessian)
            if now >= before - 1e-9 * abs(before):
                break
            step = step / 2.0
        beta = beta + step
        if slope < 1e-5 * len(sample):
            break
    return beta
