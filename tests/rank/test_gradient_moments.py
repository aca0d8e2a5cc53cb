"""The estimate of explained variance: U-statistics against brute force, gradients, and what it estimates."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ctrsel.core.errors import ConfigError
from ctrsel.rank._gradient_moments import explained, inverse_coefficients, moments


def drawn(rows: int, columns: int, *, seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    made = rng.normal(size=(rows, columns)), rng.normal(size=rows), rng.random(columns)
    return tuple(torch.from_numpy(a) for a in made)  # type: ignore[return-value]


def brute(x: np.ndarray, y: np.ndarray, s: np.ndarray, order: int) -> float:
    """The mean over rising tuples of rows of y_i K_ij ... K_kl y_l."""
    k = x * s @ x.T
    found = []
    for rows in itertools.combinations(range(len(y)), order + 1):
        chain = np.prod([k[a, b] for a, b in itertools.pairwise(rows)])
        found.append(y[rows[0]] * chain * y[rows[-1]])
    return float(np.mean(found))


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000), rows=st.integers(5, 9), columns=st.integers(1, 4))
def test_moments_are_the_means_over_tuples(seed, rows, columns):
    x, y, s = drawn(rows, columns, seed=seed)
    expected = [brute(x.numpy(), y.numpy(), s.numpy(), m) for m in (1, 2, 3)]
    assert moments(x, y, s, order=3).tolist() == pytest.approx(expected)


def test_gradients_are_finite_differences():
    x, y, s = drawn(30, 4, seed=1)
    s.requires_grad_()
    assert torch.autograd.gradcheck(lambda v: moments(x, y, v, order=3), (s,))


@pytest.mark.parametrize(("order", "floor"), [(1, 0.5), (4, 0.1), (4, 0.2), (8, 0.05)])
def test_the_polynomial_is_near_the_inverse(order, floor):
    """As near as a Chebyshev polynomial comes: 1 / T_n((1 + floor) / (1 - floor)) at most, and 0 at 0."""
    a = inverse_coefficients(order, floor=floor)
    t = np.linspace(floor, 1, 400)
    values = sum(c * t ** (m + 1) for m, c in enumerate(a))
    limit = 1 / np.cosh(order * np.arccosh((1 + floor) / (1 - floor)))
    assert np.abs(values - 1).max() == pytest.approx(limit, rel=1e-3)


def linear(rows: int, *, columns: int = 30, noise: float = 1.5, seed: int = 0):
    rng = np.random.default_rng(seed)
    mixed = np.eye(columns) + 0.1 * np.random.default_rng(9).normal(size=(columns, columns))
    x = rng.normal(size=(rows, columns)) @ mixed
    x = (x - x.mean(0)) / x.std(0)
    y = x @ np.random.default_rng(8).normal(size=columns)
    y = y / y.std() + rng.normal(0, noise, rows)
    return torch.from_numpy(x), torch.from_numpy((y - y.mean()) / y.std())


def estimate(x: torch.Tensor, y: torch.Tensor, s: torch.Tensor | None = None, *, order: int = 6) -> float:
    top = float(np.linalg.eigvalsh((x.T @ x / len(x)).numpy())[-1])
    ones = torch.ones(x.shape[1], dtype=torch.float64)
    return float(
        explained(x, y, ones if s is None else s, coefficients=inverse_coefficients(order, floor=0.1), top=top)
    )


def test_it_estimates_the_variance_that_a_linear_predictor_explains():
    truth = 1 / (1 + 1.5**2)
    errors = []
    for rows in (200, 2000, 20_000):
        errors.append(np.mean([abs(estimate(*linear(rows, seed=s)) - truth) for s in range(5)]))
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 0.03
    # A fit of as many columns as half the rows would explain half of pure noise; this explains none of it on average.
    rng = np.random.default_rng(1)
    noise = []
    for _ in range(60):
        x = rng.normal(size=(200, 100))
        noise.append(estimate(torch.from_numpy((x - x.mean(0)) / x.std(0)), torch.from_numpy(rng.normal(size=200))))
    assert abs(np.mean(noise)) < 3 * np.std(noise) / np.sqrt(60)


def test_a_column_without_scale_explains_nothing():
    x, y = linear(5000, columns=4, noise=0.1, seed=2)
    assert estimate(x, y, torch.zeros(4, dtype=torch.float64)) == 0
    assert estimate(x, y) > 0.9


def test_refusals():
    with pytest.raises(ConfigError, match="order: must be at least 1, got 0"):
        inverse_coefficients(0, floor=0.1)
    with pytest.raises(ConfigError, match="floor: must be between 0 and 1, got 1"):
        inverse_coefficients(2, floor=1.0)
