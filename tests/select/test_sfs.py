"""SFS finds planted fields, and its score is what it says."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from math import log

import polars as pl
import pytest
import torch

from ctrsel.core.config import LabelConfig, SchemaConfig
from ctrsel.core.errors import ConfigError
from ctrsel.data.ingest import ingest
from ctrsel.models.backbones.deepfm import DeepFM
from ctrsel.models.backbones.lr import LR
from ctrsel.select import Problem, Size
from ctrsel.select.sfs import SFS
from ctrsel.train import Learner
from ctrsel.train.net import NetLearner

NET = NetLearner(backbone=DeepFM(hidden=(8,)), width=4, batch_size=64, learning_rate=5e-3, max_epochs=3)


def test_a_field_that_the_net_can_tell_nothing_by_has_no_gradient(planted_fields):
    problem = Problem(table=planted_fields(seed=2, good=2, noise=3, strength=2.0), learner=NET)
    found = SFS().search(problem, sizes=(Size(number=2, of="fields"),), seed=1)
    assert all(score >= 0 for score in found.scores.values())
    assert found.order[0] in {"good0", "good1"}
    assert len(found.at(Size(number=2, of="fields")).fields) == 2


@dataclass(frozen=True, kw_only=True)
class Given(Learner):
    """A logistic regression whose log-odds are sums of given numbers, one a value."""

    weights: dict[str, float]

    def fit(self, table, features=None, *, gate=None, start=None, work=None, seed):
        fit = NetLearner(backbone=LR(), batch_size=64, max_epochs=1).fit(table, seed=seed)
        net, encoder = fit.model.predictor.net, table.encoder
        with torch.no_grad():
            net.embedding.main.zero_()
            net.backbone.bias.zero_()
            net.prior.zero_()
            for name, v in encoder.vocabularies.items():
                for text, code in zip(v.values.to_list(), v.codes.tolist(), strict=True):
                    net.embedding.main[encoder.offset(name) + code] = self.weights[text]
        return fit


def test_the_score_is_the_gradient_of_a_mask_and_not_the_move_to_the_mean_row():
    # All eight rows of two fields and a label. `even` gives the same weight c whatever its value; `split` gives d or -d.
    rows = list(itertools.product("pq", "uv", (0, 1)))
    frame = pl.DataFrame(rows, schema=["even", "split", "click"], orient="row").with_columns(
        pl.col("click").cast(pl.Int8)
    )
    table = ingest(
        {"train": frame, "valid": frame, "test": frame}, schema=SchemaConfig(label=LabelConfig(name="click"))
    ).without("test")
    # c + d = ln 3 and c - d = ln 1.5: the model says .75 where `split` is u and .6 where it is v; one row of two is a click.
    c, d = (log(3) + log(1.5)) / 2, (log(3) - log(1.5)) / 2
    found = SFS().search(
        Problem(table=table, learner=Given(weights={"p": c, "q": c, "u": d, "v": -d})), sizes=(), seed=1
    )
    # A mask's gradient is the mean of (prediction - click) x weight: .175 c, and (.25 d - .1 d) / 2. SHARK has 0 for `even`,
    # whose row is the mean row, and for `split` the mean of |prediction - click| d = d / 2: the other order.
    assert found.scores == pytest.approx({"even": 0.175 * c, "split": 0.075 * d}, rel=1e-5)
    assert found.order == ("even", "split")


def test_rows_are_checked():
    with pytest.raises(ConfigError, match=r"sfs.rows: must be at least 1, got 0"):
        SFS(rows=0)
