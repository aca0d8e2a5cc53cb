"""Compiled loops of interacting layers over the rows of a batch: what lies between two matrix products, forwards and back.

A row's projections (10 slots of width 128: 15 KB) stay in the first cache while its scores, mixture, normalisation and ReLU
are made, where batched products of such small matrices, and the copies that they need, are bound by memory.

Shape:
    B rows, F slots, H heads, C numbers per head, A = H C; K = 3, or 4 with a projected residual. Projections are
    `[B, F, K, H, C]`: queries (times the scores' factor), keys, values, residual. All arrays are float32 and contiguous.
"""

from __future__ import annotations

import numpy as np

from ctrsel.stats._kernel import fast_kernel

__all__ = ["mixtures", "mixtures_back", "scores", "scores_back"]


@fast_kernel
def scores(p: np.ndarray, out: np.ndarray) -> None:
    """Fill `[B, H, F, F]` with the products of queries and keys."""
    rows, fields, _, heads, width = p.shape
    for b in range(rows):
        for h in range(heads):
            for i in range(fields):
                q = p[b, i, 0, h]
                for j in range(fields):
                    k = p[b, j, 1, h]
                    total = np.float32(0.0)
                    for c in range(width):
                        total += q[c] * k[c]
                    out[b, h, i, j] = total


@fast_kernel
def mixtures(  # noqa: PLR0917  # a compiled loop takes arrays by position
    p: np.ndarray,
    weights: np.ndarray,
    residual: np.ndarray,
    norm: tuple[np.ndarray, np.ndarray, float],
    normal: np.ndarray,
    scale: np.ndarray,
    out: np.ndarray,
) -> None:
    """Mix values by weights, add the residual, normalise, apply the ReLU.

    Args:
        p: Projections.
        weights: `[B, H, F, F]`.
        residual: `[B, F, A]`, or of no rows: then it is projected (K = 4) or absent.
        norm: Gain `[A]`, bias `[A]` and epsilon; no gains = no normalisation.
        normal: `[B, F, A]`, filled with what gain and bias are applied to; of no rows without normalisation.
        scale: `[B, F]`, filled with one over the standard deviation; of no rows without normalisation.
        out: `[B, F, A]`, filled.
    """
    rows, fields, parts, heads, width = p.shape
    gain, bias, epsilon = norm
    size = np.float32(heads * width)
    for b in range(rows):
        for i in range(fields):
            mixed = out[b, i]
            if residual.shape[0]:
                mixed[:] = residual[b, i]
            elif parts == 4:
                for h in range(heads):
                    mixed[h * width : (h + 1) * width] = p[b, i, 3, h]
            else:
                mixed[:] = np.float32(0.0)
            for h in range(heads):
                head = mixed[h * width : (h + 1) * width]
                for j in range(fields):
                    share, v = weights[b, h, i, j], p[b, j, 2, h]
                    for c in range(width):
                        head[c] += share * v[c]
            if gain.shape[0]:
                mean = np.float32(0.0)
                for a in range(gain.shape[0]):
                    mean += mixed[a]
                mean /= size
                square = np.float32(0.0)
                for a in range(gain.shape[0]):
                    square += (mixed[a] - mean) * (mixed[a] - mean)
                factor = np.float32(1.0) / np.sqrt(square / size + np.float32(epsilon))
                scale[b, i] = factor
                kept = normal[b, i]
                for a in range(gain.shape[0]):
                    kept[a] = (mixed[a] - mean) * factor
                    mixed[a] = kept[a] * gain[a] + bias[a]
            for a in range(mixed.shape[0]):
                mixed[a] = np.float32(0.0) if mixed[a] < 0 else mixed[a]


@fast_kernel
def mixtures_back(  # noqa: PLR0917  # a compiled loop takes arrays by position
    p: np.ndarray,
    weights: np.ndarray,
    forward: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
    down: np.ndarray,
    of_norm: tuple[np.ndarray, np.ndarray],
    of_p: np.ndarray,
    of_weights: np.ndarray,
) -> None:
    """Return gradients of values, weights and residual from that of `out`.

    Args:
        p: Projections.
        weights: As they were used.
        forward: `out`, `normal`, `scale` and the gains of `mixtures`.
        down: `[B, F, A]`, gradient of `out`; replaced by that of the sum of mixture and residual.
        of_norm: float64 `[A]` each, to which the gradients of gain and bias are added; empty without normalisation.
        of_p: Its values' (and residual's) part is filled.
        of_weights: `[B, H, F, F]`, filled.
    """
    rows, fields, parts, heads, width = p.shape
    out, normal, scale, gain = forward
    size = np.float32(heads * width)
    sums = np.empty((2, gain.shape[0]), dtype=np.float32)
    for b in range(rows):
        sums[:] = np.float32(0.0)
        of_gain, of_bias = sums[0], sums[1]
        for i in range(fields):
            g, y = down[b, i], out[b, i]
            for a in range(g.shape[0]):
                g[a] = g[a] if y[a] > 0 else np.float32(0.0)
            if gain.shape[0]:
                z = normal[b, i]
                first, second = np.float32(0.0), np.float32(0.0)
                for a in range(gain.shape[0]):
                    of_gain[a] += g[a] * z[a]
                    of_bias[a] += g[a]
                    g[a] *= gain[a]
                    first += g[a]
                    second += g[a] * z[a]
                first, second, factor = first / size, second / size, scale[b, i]
                for a in range(gain.shape[0]):
                    g[a] = (g[a] - first - z[a] * second) * factor
            if parts == 4:
                for h in range(heads):
                    of_p[b, i, 3, h, :] = g[h * width : (h + 1) * width]
        for a in range(gain.shape[0]):
            of_norm[0][a] += of_gain[a]
            of_norm[1][a] += of_bias[a]
        for h in range(heads):
            for j in range(fields):
                v, of_v = p[b, j, 2, h], of_p[b, j, 2, h]
                of_v[:] = np.float32(0.0)
                for i in range(fields):
                    g, share = down[b, i, h * width : (h + 1) * width], weights[b, h, i, j]
                    total = np.float32(0.0)
                    for c in range(width):
                        total += g[c] * v[c]
                        of_v[c] += share * g[c]
                    of_weights[b, h, i, j] = total


@fast_kernel
def scores_back(p: np.ndarray, of_scores: np.ndarray, of_p: np.ndarray) -> None:
    """Fill the queries' and keys' part of `of_p` from the gradient `[B, H, F, F]` of the scores."""
    rows, fields, _, heads, width = p.shape
    # Arrays of their own: the compiler cannot tell parts of `of_p` from each other, and would go entry by entry.
    of_q, of_keys = np.empty(width, dtype=np.float32), np.empty((fields, width), dtype=np.float32)
    for b in range(rows):
        for h in range(heads):
            of_keys[:] = np.float32(0.0)
            for i in range(fields):
                q = p[b, i, 0, h]
                of_q[:] = np.float32(0.0)
                for j in range(fields):
                    g, k, of_k = of_scores[b, h, i, j], p[b, j, 1, h], of_keys[j]
                    for c in range(width):
                        of_q[c] += g * k[c]
                    for c in range(width):
                        of_k[c] += g * q[c]
                of_p[b, i, 0, h, :] = of_q
            for j in range(fields):
                of_p[b, j, 1, h, :] = of_keys[j]
