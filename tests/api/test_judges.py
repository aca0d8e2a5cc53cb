from __future__ import annotations

import pytest

from ctrsel.api.judges import judges_of
from ctrsel.core.errors import ConfigError
from ctrsel.models.backbones.dcn_v2 import DCNV2
from ctrsel.models.backbones.deepfm import DeepFM
from ctrsel.train.boosted import BoostedLearner
from ctrsel.train.net import NetLearner


def test_the_settings_of_a_config_are_taken_over():
    mine = {"net": NetLearner(width=4, backbone=DeepFM(hidden=(8,))), "trees": BoostedLearner(rounds=7)}
    found = judges_of(mine, preferred="net")
    assert found["DeepFM"] == mine["net"]
    assert found["DCN-V2"].width == 4
    assert isinstance(found["DCN-V2"].backbone, DCNV2)
    assert found["DCN-V2"].backbone.hidden == (8,)
    assert (found["LightGBM"].rounds, found["LightGBM"].row_share) == (7, 0.8)


def test_learners_may_judge():
    mine = {"trees": BoostedLearner()}
    assert judges_of(mine, names=["trees", "LightGBM"])["trees"] == mine["trees"]
    with pytest.raises(ConfigError, match="--judge: unknown judge 'DeepFN'; did you mean 'DeepFM'"):
        judges_of(mine, names=["DeepFN"])
