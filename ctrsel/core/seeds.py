"""Independent random streams, derived by name from one seed so that no stage disturbs another."""

from __future__ import annotations

import hashlib

import numpy as np

__all__ = ["derive", "generator", "uniform_hash"]


def derive(seed: int, *names: str | int) -> int:
    """Derive a 63-bit seed for a named stream.

    Args:
        seed: The user's seed.
        names: The stage and the item that draws ("train", "net", 3).

    Returns:
        An integer in [0, 2**63), the same on every platform.

    Examples:
        >>> derive(1, "train") == derive(1, "train"), derive(1, "train") == derive(1, "rank")
        (True, False)
    """
    text = "\x1f".join([str(int(seed)), *map(str, names)])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") >> 1


def generator(seed: int, *names: str | int) -> np.random.Generator:
    """Return the numpy generator of a named stream (see `derive`)."""
    return np.random.default_rng(derive(seed, *names))


def uniform_hash(keys: np.ndarray, *, seed: int) -> np.ndarray:
    """Map integer keys to uniform numbers by a fixed mixing function (splitmix64; Steele et al., 2014).

    The number depends on the key and the seed only, not on the order or the number of rows, so that a split by it
    is stable when rows are added.

    Args:
        keys: Integers, shape `[N]`.
        seed: Which of the possible mappings to use.

    Returns:
        float64 in [0, 1), shape `[N]`.

    Examples:
        >>> uniform_hash(np.arange(3), seed=0).round(3).tolist() == uniform_hash(np.arange(9), seed=0)[:3].round(3).tolist()
        True
    """
    with np.errstate(over="ignore"):
        z = keys.astype(np.uint64) + np.uint64(derive(seed, "uniform_hash"))
        z = z + np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(11)).astype(np.float64) / float(1 << 53)
