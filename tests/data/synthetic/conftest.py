"""Drawn tables that several tests look at; the seeds are fixed, so that limits of chance hold every time."""

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import mutual_info_score

from ctrsel.data.synthetic import Planted, peers_table


def _codes(frame: pl.DataFrame, column: str) -> np.ndarray:
    """Whole numbers that stand for a column's values."""
    if frame[column].dtype.is_integer():
        return frame[column].fill_null(-1).to_numpy()
    return frame[column].rank("dense").fill_null(0).to_numpy()


def _excess(frame: pl.DataFrame, column: str, label: str = "label", draws: int = 6) -> tuple[float, float]:
    """Plug-in information by scikit-learn less its mean over shuffled labels, and their standard deviation, in nats."""
    x, y = _codes(frame, column), frame[label].to_numpy()
    rng = np.random.default_rng(0)
    null = [mutual_info_score(x, rng.permutation(y)) for _ in range(draws)]
    return float(mutual_info_score(x, y) - np.mean(null)), float(np.std(null, ddof=1))


@pytest.fixture(scope="session")
def excess():
    return _excess


@pytest.fixture(scope="session")
def peers() -> tuple[Planted, pl.DataFrame]:
    table = peers_table(rows=200_000, seed=7, texts="integers")
    return table, table.frame()
