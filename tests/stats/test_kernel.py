"""Compiled loops run without a folder for their cache, and run beside each other in threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np

from ctrsel.stats._kernel import kernel
from ctrsel.stats.counts import label_counts


def test_compiles_where_no_cache_can_be_written(monkeypatch):
    plain = numba.njit

    def refusing(*, cache=False, **options):
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return plain(**options)

    monkeypatch.setattr(numba, "njit", refusing)

    @kernel
    def half(x):
        return x / 2

    assert half(3.0) == 1.5


def test_threads_count_as_one_does():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 20_000).astype(np.uint8)
    fields = [rng.integers(0, 50, 20_000).astype(np.uint8) for _ in range(8)]
    alone = [label_counts(codes, labels, size=50).positives for codes in fields]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda codes: label_counts(codes, labels, size=50).positives, fields))
    np.testing.assert_array_equal(alone, together)
