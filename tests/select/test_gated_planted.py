"""What calibrated gates find where it is known what is of use: effects of several sizes, equal and unequal frequencies."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

from ctrsel.core.config import LabelConfig, SchemaConfig
from ctrsel.data.ingest import ingest
from ctrsel.models.backbones.deepfm import DeepFM
from ctrsel.models.gates.calibrated_optfs import CalibratedOptFS
from ctrsel.models.gates.lpfs import LPFS
from ctrsel.models.gates.optembed import OptEmbed
from ctrsel.models.gates.pep import PEP
from ctrsel.select import Problem, Size
from ctrsel.select.gated import Gated
from ctrsel.train.net import NetLearner

VALUES, ROWS = 100, 12_000
NET = NetLearner(
    backbone=DeepFM(hidden=(16,)), width=4, batch_size=256, learning_rate=3e-3, embedding_l2=0.01, max_epochs=6
)


def planted(effects, *, zipf):
    """Two fields of 100 values, the first of which have effects on the log-odds."""
    rng = np.random.default_rng(11)
    columns = {}
    for name in ("one", "two"):
        if zipf:
            shares = np.arange(1, VALUES + 1) ** -1.1
            ranks = rng.choice(VALUES, size=ROWS, p=shares / shares.sum())
            columns[name] = rng.permutation(VALUES)[ranks]
        else:
            columns[name] = rng.permutation(np.arange(ROWS) % VALUES)
    effect = np.zeros(VALUES)
    effect[: len(effects)] = effects
    logit = -0.5 + effect[columns["one"]] + effect[columns["two"]]
    frame = pl.DataFrame(
        {
            "click": (rng.random(ROWS) < 1 / (1 + np.exp(-logit))).astype(np.int8),
            **{k: [f"{k}{i}" for i in v] for k, v in columns.items()},
        }
    )
    table = ingest(frame, schema=SchemaConfig(label=LabelConfig(name="click")), seed=1).without("test")
    return table, effect


def told(table, effect, fit):
    """Per value its effect, its count, its score and whether it is kept."""
    found = []
    for name in ("one", "two"):
        v = table.encoder.vocabularies[name]
        for text, code in zip(v.values.to_list(), v.codes.tolist(), strict=True):
            found.append((effect[int(text[3:])], v.counts[code], fit.scores[name][code], fit.kept[name][code]))
    return np.array(found, dtype=float).T


@pytest.fixture(scope="module")
def equal():
    return planted([0.5, -0.5, 1, -1, 2, -2, 3, -3], zipf=False)


@pytest.fixture(scope="module")
def unequal():
    return planted([1] * 5 + [-1] * 5 + [2] * 5 + [-2] * 5, zipf=True)


def test_among_equally_frequent_values_those_of_use_are_kept(equal):
    table, effect = equal
    fit = NET.fit(table, gate=CalibratedOptFS(epochs=6), seed=2)
    size, _, _, kept = told(table, effect, fit)
    assert kept[np.abs(size) >= 2].all()
    assert kept[np.abs(size) == 1].mean() >= 0.5
    assert kept[size == 0].mean() < 0.15
    # The soft and the hardened model end together, and the first one gets there from a wider gap.
    assert abs(fit.history[-1]["gap"]) < 0.02
    assert {"hard_auc", "hard_log_loss", "kendall", "jaccard"} <= set(fit.history[-1])
    assert fit.valid["auc"] == pytest.approx(fit.history[-1]["hard_auc"], abs=1e-6)


def test_it_is_no_frequency_filter(unequal):
    table, effect = unequal
    fit = NET.fit(table, gate=CalibratedOptFS(epochs=6), seed=2)
    size, count, score, kept = told(table, effect, fit)
    assert roc_auc_score(size != 0, score) > 0.75
    assert roc_auc_score(size != 0, count) < 0.6
    assert kept[size == 0].mean() < 0.15
    gain = count * size**2 * 0.22 / 2  # nats: rows times the effect squared times p (1 - p), over two
    assert kept[gain > 8].mean() > 0.8


def test_a_size_is_cut_by_the_gains_and_filled_up_with_them(equal):
    table, _ = equal
    problem = Problem(table=table, learner=NET)
    gate = CalibratedOptFS(epochs=4)
    found = Gated(gate=gate).search(problem, sizes=(), seed=2)
    few, many = found.at(Size(number=8)), found.at(Size(number=150))
    assert few.n_values == 8
    assert many.n_values == 150
    gains = np.concatenate([found.scores[k][few.kept(k)][3:] for k in ("one", "two")])
    rest = np.concatenate([found.scores[k][~few.kept(k)] for k in ("one", "two")])
    assert gains.min() >= rest.max()
    only = Gated(gate=gate, fill=False).search(problem, sizes=(), seed=2).at(Size(number=150))
    assert only.n_values < 100


@pytest.mark.parametrize(
    "gate", [LPFS(alpha=0.0), LPFS(), OptEmbed(), PEP()], ids=lambda g: f"{type(g).__name__}{getattr(g, 'alpha', '')}"
)
def test_the_other_gates_order_values_and_what_is_handed_back_is_what_was_measured(equal, gate):
    table, effect = equal
    fit = NET.fit(table, gate=gate, seed=2)
    size, _, score, kept = told(table, effect, fit)
    assert fit.valid["auc"] == pytest.approx(fit.history[-1]["hard_auc"], abs=1e-6)
    assert 0 < kept.mean() < 1 or isinstance(gate, PEP)  # PEP's thresholds stay below the largest number of every row
    assert roc_auc_score(np.abs(size) >= 2, score) > 0.6


def test_a_search_stops_when_its_mind_is_made_up(equal):
    table, _ = equal
    fit = NET.fit(table, gate=CalibratedOptFS(epochs=12, patience=2, temperature=200.0), seed=2)
    assert fit.epochs < 12
    assert fit.epochs == len(fit.history)
