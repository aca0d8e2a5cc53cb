"""The published recipes load, and every net of the catalogue with a published figure is among them."""

from __future__ import annotations

from pathlib import Path

import pytest

from ctrsel.api.plan import plan
from ctrsel.core.config import load_config
from ctrsel.train.net import NetLearner

CONFIGS = sorted((Path(__file__).parents[2] / "configs" / "bars").glob("*.yaml"))


def test_there_are_configs():
    assert [p.stem for p in CONFIGS] == ["frappe"]


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.stem)
def test_loads_with_the_published_training(path):
    learners = plan(load_config(path)).learners
    for name, learner in learners.items():
        assert isinstance(learner, NetLearner)
        assert type(learner.backbone).__module__.rsplit(".", 1)[-1] == name
        assert (learner.width, learner.batch_size, learner.learning_rate) == (10, 4096, 1e-3)
        assert (learner.lr_drop, learner.clip, learner.other_share, learner.max_epochs) == (0.1, 10.0, 0.0, 100)
        assert learner.patience == (3 if name == "ipnn" else 2)
    nets = {"lr", "fm", "fwfm", "dnn", "wide_deep", "ipnn", "deepfm", "dcn", "dcn_v2", "xdeepfm", "autoint_plus"}
    assert nets | {"final_mlp", "final_net"} <= set(learners)
