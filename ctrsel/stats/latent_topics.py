"""Two topics behind documents of ordered tokens: how much of each document is about the topic of high tokens.

References:
    Hofmann (1999), "Probabilistic latent semantic analysis" (the mixture and its EM steps); Roffo, Melzi, Castellani
    and Vinciarelli (2017), "Infinite latent feature selection" (features as documents, a relevant and an irrelevant
    topic).
"""

from __future__ import annotations

import numpy as np

from ctrsel.core.errors import DataError
from ctrsel.stats._checks import Array, Floats

__all__ = ["high_topic"]

_STEEP = 5000.0  # of the first ramp: its highest probability over its lowest


def high_topic(
    tokens: Array, *, learn: bool = True, iterations: int = 15, tolerance: float = 1e-12
) -> tuple[Floats, tuple[float, ...]]:
    """Share of the topic of high tokens in each document, by expectation maximisation.

    Two topics start as probabilities that rise and fall in a straight line over the tokens; a document's share starts
    at its share of the best fifth of the tokens (at least one).

    Shape:
        ``tokens`` ``[F, T]``, the result ``[F]``.

    Args:
        tokens: How often each document has each token, at least 0; lowest token first.
        learn: Whether the topics' probabilities are updated, or stay straight lines.
        iterations: Steps at most.
        tolerance: Relative change of the log-likelihood at which to stop.

    Returns:
        Shares in [0, 1], and the log-likelihood before each step, which never falls.

    Raises:
        DataError: a document without tokens, or a negative count.

    Examples:
        >>> share, _ = high_topic(np.array([[9.0, 1.0], [5.0, 5.0], [1.0, 9.0]]), learn=False)
        >>> share.round(2)
        array([0.1, 0.5, 0.9])
    """
    counts: Floats = np.asarray(tokens, dtype=np.float64)
    if counts.ndim != 2 or counts.shape[1] < 2 or not (counts >= 0).all():
        raise DataError(f"tokens must be counts of at least 0 of two or more tokens, got shape {counts.shape}")
    if (counts.sum(axis=1) <= 0).any():
        raise DataError(f"document {int(np.argmax(counts.sum(axis=1) <= 0))} has no tokens")
    kinds = counts.shape[1]
    ramp = np.linspace(1.0, _STEEP, kinds)
    topics = np.stack([ramp, ramp[::-1]]) / ramp.sum()
    best = max(round(0.2 * kinds), 1)
    # A share of exactly 0 or 1 could never move.
    share: Floats = np.clip(counts[:, -best:].sum(axis=1) / counts.sum(axis=1), 0.01, 0.99)
    told: list[float] = []
    for _ in range(iterations):
        high, low = share[:, None] * topics[0], (1.0 - share)[:, None] * topics[1]
        whole = np.maximum(high + low, 1e-300)
        told.append(float((counts * np.log(whole)).sum()))
        if len(told) > 1 and told[-1] - told[-2] <= tolerance * abs(told[-1]):
            break
        mine, other = counts * high / whole, counts * low / whole
        share = mine.sum(axis=1) / counts.sum(axis=1)
        if learn:
            topics = np.stack([m.sum(axis=0) / max(m.sum(), 1e-300) for m in (mine, other)])
    return share, tuple(told)
