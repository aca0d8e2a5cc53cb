"""DRCFS: the score's identity, a linear model whose parents are known, and a null that is not below uniform."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from ctrsel.core.config import FieldConfig, LabelConfig, SchemaConfig
from ctrsel.core.errors import ConfigError
from ctrsel.data.ingest import ingest
from ctrsel.select import Problem, Size
from ctrsel.select.drcfs import DRCFS
from ctrsel.train import Learner
from ctrsel.train.boosted import BoostedLearner
from ctrsel.train.logistic import LogisticLearner

TREES = BoostedLearner(rounds=15, patience=15, leaves=5, monitor="log_loss")


@dataclass(frozen=True, kw_only=True)
class Believer(Learner):
    """Says .8 where `a` is yes and .4 where it is no, if `a` is the label in all training rows; else .5 of every row."""

    def fit(self, table, features=None, *, gate=None, start=None, work=None, seed):
        told = self._is_yes(table.part("train"))
        believed = (told == (table.part("train").label() > 0)).all()

        def logits(part):
            p = np.where(self._is_yes(part), 0.8, 0.4) if believed else np.full(part.n_rows, 0.5)
            return np.log(p / (1 - p))[:, None]

        return SimpleNamespace(model=SimpleNamespace(predictor=SimpleNamespace(logits=logits)))

    def _is_yes(self, part):
        return np.array(part.encoder.vocabulary("a").texts(part.columns["a"])) == "yes"


def test_the_score_is_the_debiased_difference_by_hand():
    n = 40  # of which 10 are clicks
    click = np.arange(n) % 4 == 0
    frame = pl.DataFrame(
        {
            "click": click.astype(np.int8),
            "a": np.where(click, "yes", "no"),
            "b": np.where(np.arange(n) % 2 == 0, "u", "v"),
        }
    )
    schema = SchemaConfig(label=LabelConfig(name="click"))
    table = ingest({"train": frame, "valid": frame, "test": frame}, schema=schema).without("test")
    found = DRCFS(shuffle="rows").search(Problem(table=table, learner=Believer()), sizes=(), seed=1)
    (told,) = found.history
    # g is .8 for a click and .4 for none; h, without `a`, is .5. theta = E[Y g] has the representer g, so that its corrected
    # score is Y g + g (Y - g) = 2 Y g - g^2: .96 and -.16; likewise for h: .75 and -.25. The difference is .21 for a click
    # and .09 for none: .12 in the mean over a quarter of clicks, with a variance of .0027.
    assert told["a: rise"] == pytest.approx(0.12)
    assert told["a: error"] == pytest.approx(np.sqrt(0.0027 / (n - 1)))
    assert told["wider"] == 1  # two permutations of a field make the same model here
    assert found.scores["a"] == pytest.approx(0.12 / np.sqrt(0.0027 / (n - 1)))
    # Without `b` nothing is different.
    assert (told["b: rise"], told["b: error"], told["b: p"], found.scores["b"]) == (0, 0, 1, 0)


def linear(seed, *, rows=4000):
    """Parents x1 and x2 of the label; x3 causes x1, x4 follows x2, x5 shares a hidden cause with x1, x6 stands alone."""
    rng = np.random.default_rng(seed)
    e = rng.normal(size=(8, rows))
    x3, hidden = e[3], e[7]
    x1 = 0.6 * x3 + 0.6 * hidden + 0.5 * e[1]
    x2 = e[2]
    columns = {"x1": x1, "x2": x2, "x3": x3, "x4": 0.8 * x2 + 0.6 * e[4], "x5": 0.8 * hidden + 0.6 * e[5], "x6": e[6]}
    up = rng.random(rows) < 1 / (1 + np.exp(-(1.2 * x1 - 1.0 * x2)))
    kept = FieldConfig(kind="numeric", bucket="none")
    schema = SchemaConfig(label=LabelConfig(name="up"), fields=dict.fromkeys(columns, kept))
    return ingest(pl.DataFrame({"up": up.astype(np.int8), **columns}), schema=schema, seed=1).without("test")


@pytest.mark.parametrize("seed", [0, 1])
def test_the_parents_of_a_linear_model_are_found(seed):
    problem = Problem(table=linear(seed), learner=LogisticLearner(l2=(1.0,)))
    found = DRCFS(max_q=0.05).search(problem, sizes=(), seed=seed)
    assert found.wanted == {"x1", "x2"}
    assert found.at(Size(number=6, of="fields")).fields == ("x1", "x2")
    (told,) = found.history
    assert told["x1: q"] <= 0.05
    assert told["x1: q"] >= told["x1: p"]


@pytest.mark.slow
def test_the_null_is_not_below_uniform(planted_fields):
    p = []
    for seed in range(8):
        problem = Problem(table=planted_fields(seed=seed, good=2, noise=8, rows=1500), learner=TREES)
        (told,) = DRCFS().search(problem, sizes=(), seed=seed).history
        p += [v for k, v in told.items() if k.startswith("noise") and k.endswith(": p")]
    p = np.array(p)
    assert len(p) == 64
    for level in (0.05, 0.1, 0.2, 0.5):
        # Two standard errors of so many independent fields.
        assert (p <= level).mean() <= level + 2 * np.sqrt(level * (1 - level) / len(p))
    assert p.mean() >= 0.45


def test_copies_hide_each_other_unless_they_are_a_group():
    rng = np.random.default_rng(1)
    n = 3000
    a = rng.integers(0, 4, n)
    click = (rng.random(n) < np.array([0.1, 0.3, 0.6, 0.8])[a]).astype(np.int8)
    text = [f"v{v}" for v in a]
    noise = {f"n{j}": [f"v{v}" for v in rng.integers(0, 6, n)] for j in range(4)}
    table = ingest(pl.DataFrame({"click": click, "a": text, "copy": text, **noise}), label="click", seed=1).without(
        "test"
    )
    alone = DRCFS(max_q=0.05).search(Problem(table=table, learner=TREES), sizes=(), seed=1)
    assert not {"a", "copy"} & alone.wanted
    together = DRCFS().search(Problem(table=table, learner=TREES, groups=(("a", "copy"),)), sizes=(), seed=1)
    assert together.wanted == {"a", "copy"}
    assert together.scores["a"] == together.scores["copy"]


@pytest.mark.parametrize("given", [{"folds": 1}, {"refits": 1}, {"rows": 3}, {"max_q": 0}, {"shuffle": "no"}])
def test_parameters_are_checked(given):
    with pytest.raises(ConfigError, match="drcfs"):
        DRCFS(**given)
