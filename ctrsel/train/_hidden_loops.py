"""Compiled loops of a hidden layer behind its matrix product: moments, normalisation, ReLU and dropout in few passes.

Dropout's bits are drawn by xorshift generators (Marsaglia, "Xorshift RNGs", 2003), one for each column.
"""

from __future__ import annotations

import numpy as np

from ctrsel.stats._kernel import kernel

__all__ = ["activate", "activate_dropped", "backward", "backward_sums", "moments"]

_BLOCK = 64  # rows that are added up in float32 before they go to float64


@kernel
def moments(y: np.ndarray, sums: np.ndarray) -> None:
    """Add up, per column, what rows differ from the first row, and its squares.

    Args:
        y: float32 `[B, D]`, at least one row.
        sums: float64 `[2, D]`, filled.
    """
    rows, width = y.shape
    shift = y[0].copy()
    some, some2 = np.zeros(width, np.float32), np.zeros(width, np.float32)
    sums[:] = 0.0
    for start in range(0, rows, _BLOCK):
        some[:] = 0.0
        some2[:] = 0.0
        for i in range(start, min(start + _BLOCK, rows)):
            for j in range(width):
                d = y[i, j] - shift[j]
                some[j] += d
                some2[j] += d * d
        for j in range(width):
            sums[0, j] += some[j]
            sums[1, j] += some2[j]


@kernel
def activate(y: np.ndarray, columns: np.ndarray, out: np.ndarray) -> None:
    """Fill `out` with ReLU(y * factor + offset).

    Args:
        y: float32 `[B, D]`.
        columns: float32 `[2, D]`, factors and offsets.
        out: float32 `[B, D]`, filled.
    """
    rows, width = y.shape
    for i in range(rows):
        for j in range(width):
            z = y[i, j] * columns[0, j] + columns[1, j]
            out[i, j] = z if z > np.float32(0.0) else np.float32(0.0)


@kernel
def activate_dropped(y: np.ndarray, columns: np.ndarray, lanes: np.ndarray, threshold: int, out: np.ndarray) -> None:
    """The same, and a number is dropped where its column's generator draws less than a threshold.

    Args:
        y: float32 `[B, D]`.
        columns: float32 `[2, D]`, factors and offsets, with 1 / keep in them.
        lanes: uint32 `[D]`, not 0: states of the generators; they move on.
        threshold: Of 2**32.
        out: float32 `[B, D]`, filled.
    """
    rows, width = y.shape
    least = np.uint32(threshold)
    for i in range(rows):
        for j in range(width):
            r = lanes[j]
            r = np.uint32(r ^ np.uint32(r << np.uint32(13)))  # shifts of 32 bits are numbers of 64 bits to the compiler
            r = np.uint32(r ^ np.uint32(r >> np.uint32(17)))
            r = np.uint32(r ^ np.uint32(r << np.uint32(5)))
            lanes[j] = r
            z = y[i, j] * columns[0, j] + columns[1, j]
            out[i, j] = z if (z > np.float32(0.0)) & (r >= least) else np.float32(0.0)


@kernel
def backward_sums(gradient: np.ndarray, out: np.ndarray, y: np.ndarray, mean: np.ndarray, sums: np.ndarray) -> None:
    """Add up, per column, the gradient where the output is not 0, and its products with y - mean.

    Args:
        gradient: float32 `[B, D]`, of the output.
        out: float32 `[B, D]`.
        y: float32 `[B, D]`.
        mean: float32 `[D]`.
        sums: float64 `[2, D]`, filled.
    """
    rows, width = y.shape
    some, some2 = np.zeros(width, np.float32), np.zeros(width, np.float32)
    sums[:] = 0.0
    for start in range(0, rows, _BLOCK):
        some[:] = 0.0
        some2[:] = 0.0
        for i in range(start, min(start + _BLOCK, rows)):
            for j in range(width):
                g = gradient[i, j] if out[i, j] > np.float32(0.0) else np.float32(0.0)
                some[j] += g
                some2[j] += g * (y[i, j] - mean[j])
        for j in range(width):
            sums[0, j] += some[j]
            sums[1, j] += some2[j]


@kernel
def backward(gradient: np.ndarray, out: np.ndarray, y: np.ndarray, columns: np.ndarray, result: np.ndarray) -> None:
    """Fill `result` with factor * gradient (0 where the output is 0) + constant + slope * y.

    Args:
        gradient: float32 `[B, D]`, of the output.
        out: float32 `[B, D]`.
        y: float32 `[B, D]`.
        columns: float32 `[3, D]`, factors, constants and slopes.
        result: float32 `[B, D]`, filled.
    """
    rows, width = y.shape
    for i in range(rows):
        for j in range(width):
            g = gradient[i, j] if out[i, j] > np.float32(0.0) else np.float32(0.0)
            result[i, j] = columns[0, j] * g + (columns[1, j] + columns[2, j] * y[i, j])
