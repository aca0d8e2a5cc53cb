"""What may be tried: every draw builds, starts are what was given, wishes are checked."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctrsel.core.errors import ConfigError
from ctrsel.core.ranges import Between, OneOf
from ctrsel.train import CATALOG as LEARNERS
from ctrsel.tune.space import Parameter, Space, read_range

BOTH: dict[str, Any] = {
    "net": {"use": "net", "width": 10, "backbone": {"use": "deepfm", "hidden": [7]}},
    "trees": {"use": "boosted", "category_smoothing": 1000},
}


def start_of(space: Space, **forced: Any) -> tuple[str, dict[str, Any]]:
    return space.draw(lambda p: forced.get(p.name, p.start))


def test_the_first_start_is_the_config():
    space = Space(learners=BOTH)
    first, second, *others = space.starts()
    assert (first.origin, second.origin) == ("net as given", "trees as given")
    name, spec = space.draw(lambda p: first.values[p.name])
    assert name == "net"
    assert LEARNERS.create(spec) == LEARNERS.create(BOTH["net"])
    name, spec = space.draw(lambda p: second.values[p.name])
    assert name == "trees"
    assert LEARNERS.create(spec) == LEARNERS.create(BOTH["trees"])
    # Then each other backbone with the net's own parameters.
    assert all(re.fullmatch(r"net with backbone \w+", s.origin) for s in others)
    assert {"net with backbone autoint_plus", "net with backbone fm"} <= {s.origin for s in others}
    assert all(s.values["net.width"] == 10 for s in others)


def test_a_range_is_widened_to_hold_what_is_given():
    found = {p.name: p for p in Space(learners=BOTH).parameters()}
    assert found["trees.category_smoothing"].range == Between(low=1, high=1000, log=True, whole=False)
    assert found["net.width"].range == OneOf((10, 8, 16, 32))
    assert found["net.backbone.deepfm.hidden"].range.options[0] == [7]
    assert found["trees.leaves"].range.whole
    assert not found["net.learning_rate"].range.whole


def test_fixed_and_wished():
    space = Space(
        learners=BOTH,
        fixed={"net.width": 12, "net.backbone.deepfm.hidden": [5, 5]},
        wished={
            "net.backbone": OneOf(("deepfm",)),
            "net.max_epochs": OneOf((1, 2)),
            "trees.leaves": Between(low=3, high=9),
        },
    )
    names = {p.name for p in space.parameters()}
    assert "net.max_epochs" in names
    assert not {"net.width", "net.backbone", "net.backbone.deepfm.hidden"} & names
    learner = LEARNERS.create(start_of(space)[1])
    assert (learner.width, learner.backbone.hidden) == (12, (5, 5))
    leaves = next(p for p in space.parameters() if p.name == "trees.leaves")
    assert (leaves.range.low, leaves.range.high) == (3, 63)  # the start, 63, is inside


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"fixed": {"net.widht": 3}}, "tune.fixed: unknown parameter 'net.widht'; did you mean 'net.width'"),
        (
            {"wished": {"net.backbone.fwfm.hiden": OneOf((1,))}},
            "tune.ranges: unknown parameter 'net.backbone.fwfm.hiden'",
        ),
        ({"wished": {"net.backbone": OneOf(("deepfmm",))}}, "unknown backbone 'deepfmm'; did you mean 'deepfm'"),
        ({"wished": {"net.backbone": Between(low=1, high=2)}}, "expected a list of names of a backbone"),
        ({"wished": {"net.batch_size": Between(low=1, high=2)}}, "it starts at None, which is no number"),
        (
            {"wished": {"trees.l2": Between(low=1, high=2, log=True)}},
            "it starts at 0.0, which a log scale does not hold",
        ),
        ({"fixed": {"net.width": 3}, "wished": {"net.width": OneOf((1,))}}, "stands in both fixed and ranges"),
    ],
)
def test_wishes_are_checked(given, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        Space(learners=BOTH, **given).parameters()


def test_nothing_to_tune():
    with pytest.raises(ConfigError, match="no learner"):
        Space(learners={})


@pytest.mark.parametrize(
    "value", [[], 3, {"low": 1}, {"low": 1, "high": 2, "lgo": True}, {"low": 2, "high": 1}, {"low": "a", "high": 1}]
)
def test_ranges_in_yaml_are_checked(value):
    with pytest.raises(ConfigError, match=r"^tune\.ranges\.x: "):
        read_range(value, place="tune.ranges.x")


def drawn(rng: np.random.Generator, p: Parameter) -> Any:
    if isinstance(p.range, OneOf):
        return p.range.options[rng.integers(len(p.range.options))]
    low, high = p.range.low, p.range.high
    if p.range.whole:
        return int(rng.integers(int(low), int(high), endpoint=True))
    return float(np.exp(rng.uniform(np.log(low), np.log(high))) if p.range.log else rng.uniform(low, high))


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_whatever_is_drawn_builds(seed):
    rng = np.random.default_rng(seed)
    space = Space(learners={name: {"use": name} for name in LEARNERS.names()})
    name, spec = space.draw(lambda p: drawn(rng, p))
    LEARNERS.create(spec, place=name)


@pytest.mark.parametrize("end", ["low", "high"])
def test_the_ends_of_all_ranges_build(end):
    space = Space(learners={name: {"use": name} for name in LEARNERS.names()})

    def extreme(p: Parameter) -> Any:
        if isinstance(p.range, OneOf):
            return p.range.options[0 if end == "low" else -1]
        value = getattr(p.range, end)
        return int(value) if p.range.whole else value

    for start in space.starts():
        space.draw(lambda p, s=start: s.values[p.name] if p.branch else extreme(p))


def test_what_is_tried_is_told_whole():
    a, b = Space(learners=BOTH), Space(learners=BOTH, fixed={"net.width": 11})
    assert a.describe() == Space(learners=BOTH).describe()
    assert a.describe() != b.describe()
