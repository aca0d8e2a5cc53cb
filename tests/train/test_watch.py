"""Learners are heard after each epoch, and may be ended by whoever listens."""

from __future__ import annotations

import pytest

from ctrsel.testing.tables import tiny_table
from ctrsel.train.boosted import BoostedLearner
from ctrsel.train.watch import Stopped, report, watching


def test_without_a_listener_a_report_is_nothing():
    report(1, auc=0.5, log_loss=0.7)


def test_the_innermost_listener_hears():
    outer, inner = [], []
    with watching(lambda *r: outer.append(r)):
        with watching(lambda *r: inner.append(r)):
            report(1, auc=0.6, log_loss=0.6)
        report(2, auc=0.7, log_loss=0.5)
    assert (outer, inner) == ([(2, 0.7, 0.5)], [(1, 0.6, 0.6)])


def test_trees_tell_every_tenth_and_can_be_ended():
    heard = []

    def listen(step: int, auc: float, log_loss: float) -> None:
        heard.append((step, auc, log_loss))
        if step == 20:
            raise Stopped

    table = tiny_table().without("test")
    with watching(listen), pytest.raises(Stopped):
        BoostedLearner(rounds=50, patience=50).fit(table, seed=1)
    assert [step for step, _, _ in heard] == [10, 20]
    history = BoostedLearner(rounds=20, patience=50).fit(table, seed=1).history
    assert heard[1][1:] == pytest.approx((history[19]["valid_auc"], history[19]["valid_log_loss"]))


def test_a_net_tells_every_epoch():
    from ctrsel.models.backbones.deepfm import DeepFM
    from ctrsel.train.net import NetLearner

    heard = []
    net = NetLearner(backbone=DeepFM(hidden=(4,)), width=2, max_epochs=2, patience=5)
    with watching(lambda step, auc, log_loss: heard.append((step, auc))):
        fit = net.fit(tiny_table().without("test"), seed=1)
    assert heard == [(i + 1, h["valid_auc"]) for i, h in enumerate(fit.history)]
