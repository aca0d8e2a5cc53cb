"""Judges: the learners that a comparison of selectors retrains, so that no conclusion hangs on one of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ctrsel.core.errors import unknown_name
from ctrsel.models.backbones.dcn_v2 import DCNV2
from ctrsel.models.backbones.deepfm import DeepFM
from ctrsel.train import Learner
from ctrsel.train.boosted import BoostedLearner
from ctrsel.train.net import NetLearner

__all__ = ["judges_of"]


def judges_of(
    learners: Mapping[str, Learner], *, preferred: str | None = None, names: Sequence[str] = ()
) -> dict[str, Learner]:
    """Return judges by name: DeepFM, DCN-V2 and LightGBM, unless others are named.

    They take over the settings of a config's net and trees. The trees draw 80 % of the rows anew for each tree, since trees
    on all rows are the same whatever the seed, and their interval over seeds would say nothing.

    Args:
        learners: Of a config, by name.
        preferred: The one whose net is taken, if it is a net.
        names: Of judges or of learners; empty for all three judges.

    Raises:
        ConfigError: If a name is neither a judge's nor a learner's.

    Examples:
        >>> list(judges_of({})), list(judges_of({"mine": BoostedLearner()}, names=["mine", "DCN-V2"]))
        (['DeepFM', 'DCN-V2', 'LightGBM'], ['mine', 'DCN-V2'])
    """
    order = sorted(learners, key=lambda name: name != preferred)
    net = next((found for name in order if isinstance(found := learners[name], NetLearner)), NetLearner())
    trees = next((found for name in order if isinstance(found := learners[name], BoostedLearner)), BoostedLearner())
    deep = net.backbone if isinstance(net.backbone, DeepFM) else DeepFM()
    crossed = net.backbone if isinstance(net.backbone, DCNV2) else DCNV2(hidden=deep.hidden, dropout=deep.dropout)
    judges: dict[str, Learner] = {
        "DeepFM": replace(net, backbone=deep),
        "DCN-V2": replace(net, backbone=crossed),
        "LightGBM": trees if trees.row_share < 1 else replace(trees, row_share=0.8),
    }
    if not names:
        return judges
    known = {**learners, **judges}
    for name in names:
        if name not in known:
            raise unknown_name("judge", name, known, place="--judge")
    return {name: known[name] for name in names}
