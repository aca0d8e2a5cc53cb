"""The path is that of an independent solver, and fields enter in the order of what they say."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse
from scipy.optimize import minimize

from ctrsel.core.errors import ConfigError
from ctrsel.select import Problem
from ctrsel.select._group_path import path
from ctrsel.select.lasso import Lasso


@pytest.fixture(scope="module")
def numbers():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(400, 6)) * [1, 1, 2, 1, 0.5, 1]
    z = x @ [1.0, -0.7, 0.2, 0, 0.9, 0] - 0.4
    return x, (rng.random(400) < 1 / (1 + np.exp(-z))).astype(float)


def loss(x, y, w, b):
    z = x @ w + b
    return float(np.mean(np.logaddexp(0, z) - y * z))


def test_groups_of_one_are_the_lasso_of_scikit_learn(numbers):
    from sklearn.linear_model import LogisticRegression

    x, y = numbers
    points = list(
        path(
            scipy.sparse.csr_array(x),
            y,
            np.arange(6),
            factor=np.ones(6),
            steps=8,
            smallest=0.05,
            tolerance=1e-7,
            iterations=5000,
        )
    )
    assert not points[0].weights.any()
    for point in points[1:]:
        model = LogisticRegression(
            l1_ratio=1.0, solver="saga", C=1 / (point.penalty * len(y)), tol=1e-9, max_iter=20_000
        )
        model.fit(x, y)
        np.testing.assert_allclose(point.weights, model.coef_[0], atol=2e-4)
        assert point.intercept == pytest.approx(model.intercept_[0], abs=2e-4)


def test_groups_enter_together_at_the_minimum_of_a_general_solver(numbers):
    x, y = numbers
    group, factor = np.array([0, 0, 1, 1, 2, 2]), np.sqrt([2.0, 2.0, 2.0])
    mean = np.array([0.5, -1, 0, 2, 0, 1])
    points = list(
        path(
            scipy.sparse.csr_array(x),
            y,
            group,
            factor=factor,
            mean=mean,
            steps=5,
            smallest=0.1,
            tolerance=1e-7,
            iterations=5000,
        )
    )
    for point in points:
        sizes = np.sqrt(np.bincount(group, weights=point.weights**2))
        for g in range(3):
            assert (point.weights[group == g] != 0).all() == (sizes[g] > 0)

        def total(v, penalty=point.penalty):
            norms = np.sqrt(np.bincount(group, weights=v[:6] ** 2) + 1e-16)
            return loss(x - mean, y, v[:6], v[6]) + penalty * float(factor @ norms)

        here = total(np.append(point.weights, point.intercept))
        best = min(
            minimize(total, s, method="L-BFGS-B", options={"maxiter": 5000, "ftol": 1e-15}).fun
            for s in (np.zeros(7) + 0.01, np.append(point.weights, point.intercept))
        )
        assert here <= best + 1e-6


@pytest.mark.parametrize("form", ["group", "values"])
def test_planted_fields_enter_first(planted_fields, untouched, form):
    found = Lasso(form=form).search(Problem(table=planted_fields(seed=1), learner=untouched), sizes=(), seed=1)
    assert found.order[:3] == ("good0", "good1", "good2")
    assert found.history[0]["fields"] == 0
    assert found.history[-1]["fields"] >= 3
    assert len(found.order) == 8


def test_many_values_are_no_advantage_in_groups(untouched):
    """Fields of noise of 2 to 500 values, and one that says a little: which enters first, over some tables."""
    import polars as pl

    from ctrsel.data.ingest import ingest

    first = {"group": 0, "values": 0}
    for seed in range(6):
        rng = np.random.default_rng(seed)
        n = 4000
        signal = rng.integers(0, 2, n)
        click = (rng.random(n) < np.where(signal, 0.36, 0.28)).astype(np.int8)
        noise = {f"noise{k}": [f"v{v}" for v in rng.integers(0, k, n)] for k in (2, 20, 100, 300)}
        frame = pl.DataFrame({"click": click, "signal": [f"s{v}" for v in signal], **noise})
        table = ingest(frame, label="click", seed=seed).without("test")
        for form in first:
            found = Lasso(form=form, steps=12, smallest=0.2).search(
                Problem(table=table, learner=untouched), sizes=(), seed=1
            )
            first[form] += found.order[0] == "signal"
    assert first["group"] == 6


def test_weights_count_as_rows(planted_fields, untouched):
    from dataclasses import replace

    table = planted_fields(seed=2, rows=600)
    n = table.n_rows
    twice = replace(table, weight=np.full(n, 2.0, dtype=np.float32))
    one, two = (Lasso().search(Problem(table=t, learner=untouched), sizes=(), seed=1).scores for t in (table, twice))
    for name in one:
        assert one[name] == pytest.approx(two[name], rel=1e-6)


@pytest.mark.parametrize("given", [{"form": "ridge"}, {"smallest": 1.0}, {"steps": 1}, {"min_count": 0}])
def test_parameters_are_checked(given):
    with pytest.raises(ConfigError, match="lasso"):
        Lasso(**given)
