"""Elimination on planted fields and on formulas of numbers: the best mask is kept, and nothing good goes."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from ctrsel.core.config import FieldConfig, LabelConfig, SchemaConfig, SplitConfig
from ctrsel.core.errors import ConfigError
from ctrsel.data.ingest import ingest
from ctrsel.select import Problem, Size
from ctrsel.select.elimination import Elimination
from ctrsel.train.boosted import BoostedLearner

TREES = BoostedLearner(rounds=60, patience=10, leaves=7, monitor="log_loss")


def formula(function, *, inputs, noise, rows=5000, seed=0):
    """Whether a formula of some of the columns is above its median, with little noise; X as in ChaosMining."""
    rng = np.random.default_rng(seed)
    x = np.clip(rng.normal(0, 0.33, (rows, inputs + noise)), -1, 1)
    y = function(*x[:, :inputs].T) + rng.normal(0, 0.01, rows)
    names = [f"{'x' if j < inputs else 'noise'}{j}" for j in range(inputs + noise)]
    frame = pl.DataFrame({"up": (y > np.median(y)).astype(np.int8), **dict(zip(names, x.T, strict=True))})
    kept = FieldConfig(kind="numeric", bucket="none")
    schema = SchemaConfig(label=LabelConfig(name="up"), fields=dict.fromkeys(names, kept))
    return ingest(frame, schema=schema, split=SplitConfig(use="hash", valid=0.3), seed=1).without("test")


def nine(*x):
    a, b, c, d, e, f, g, h, i = x
    return (a - 1) / (b**2 + 1) - c**3 / (d**2 + 1) + e**5 / (f**2 + 1) - g**7 / (h**2 + 1) - np.tan(i)


def mix(*x):
    a, b, c, d, e, f, g, h, i, j = x
    start = np.sin(a) - 0.5 * b**3 - np.log(c**2 + 1) + np.sqrt((d + e) ** 2 + 1)
    return start - np.cos(f) * g + h * i**2 / ((1 - j) ** 2 + 1)


# ChaosMining's formulas but for those of five to eight inputs, of which some hardly move the label. Whether a best mask is exact
# is up to chance: dropping noise may cost more than a standard error on the validation rows.
@pytest.mark.parametrize(
    ("function", "inputs", "exact"),
    [
        (lambda a: a, 1, True),
        (lambda a: a**2, 1, False),
        (lambda a: 2 / (a**2 + 1) - 1, 1, False),
        (np.sin, 1, True),
        (lambda a: np.exp(a) - 1.5, 1, True),
        (lambda a: 2 * np.log(a**2 + 1) - 1, 1, True),
        (lambda a, b: 0.25 * a**3 + 0.75 * b**2, 2, True),
        (lambda a, b, c: 0.5 * a**3 + 1.5 * b**2 + 2 * a * c, 3, False),
        (lambda a, b, c, d: np.exp(a) * np.sin(b) - np.cos(d) ** 3 / (c**2 + 1), 4, True),
        (nine, 9, False),
        (mix, 10, False),
        # And two more.
        (lambda a, b, c: a * b + np.sin(3 * c), 3, True),
        (lambda a, b, c, d: np.exp(a) - b**2 + 2 * np.log(c**2 + 1) + d, 4, True),
    ],
)
def test_the_inputs_of_a_formula_are_recovered(function, inputs, exact):
    problem = Problem(table=formula(function, inputs=inputs, noise=20, seed=2), learner=TREES)
    found = Elimination(strict=True).search(problem, sizes=(), seed=1)
    truth = {n for n in problem.table.schema.names if n.startswith("x")}
    assert set(found.order[:inputs]) == truth
    assert not exact or found.wanted == truth


def test_without_noise_nothing_is_removed():
    table = formula(lambda a, b, c, d: a - b + 0.9 * c - 0.9 * d, inputs=4, noise=0)
    found = Elimination(strict=True).search(Problem(table=table, learner=TREES), sizes=(), seed=1)
    assert found.wanted == set(table.schema.names)
    assert [h["best"] for h in found.history] == [1, 0, 0]  # patience of two more rounds, and the mask before them
    assert found.at(Size(number=4, of="fields")).fields == table.schema.names


def test_without_noise_nothing_is_removed_by_nets(planted_fields, small_net):
    table = planted_fields(good=3, noise=0, strength=2.0)
    found = Elimination(importance="shark", strict=True).search(
        Problem(table=table, learner=small_net), sizes=(), seed=1
    )
    assert found.wanted == {"good0", "good1", "good2"}


@pytest.mark.parametrize("importance", ["permutation", "gain", "shap"])
def test_planted_fields_stay_longest(planted_fields, importance):
    problem = Problem(table=planted_fields(seed=4, strength=2.0), learner=TREES)
    found = Elimination(importance=importance).search(problem, sizes=(Size(number=2, of="fields"),), seed=1)
    assert set(found.order[:3]) == {"good0", "good1", "good2"}
    assert len(found.order) == 8
    assert found.history[-1]["fields"] <= 2  # so small a size is searched down to, although it is worse
    assert found.history[-1]["worse"] > 0
    assert found.at(Size(number=8, of="fields")).fields == problem.table.schema.names


def test_fields_that_always_stay_are_never_dropped_and_groups_go_as_one(planted_fields):
    problem = Problem(
        table=planted_fields(seed=4), learner=TREES, always_keep=("noise1",), groups=(("good0", "noise4"),)
    )
    found = Elimination(share=0.4).search(problem, sizes=(Size(number=3, of="fields"),), seed=1)
    assert found.at(Size(number=3, of="fields")).fields.count("noise1") == 1
    assert found.scores["good0"] == found.scores["noise4"]


@pytest.mark.parametrize(
    "given",
    [{"importance": "guess"}, {"share": 1.0}, {"patience": 0}, {"tolerance": -1}, {"rows": 1}, {"repeats": 0}],
)
def test_parameters_are_checked(given):
    with pytest.raises(ConfigError, match="elimination"):
        Elimination(**given)
