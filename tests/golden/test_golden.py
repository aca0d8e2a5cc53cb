"""The golden numbers, each within what another machine's arithmetic may change (see make.py)."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("golden_make", Path(__file__).with_name("make.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def both():
    make = load()
    return make.numbers(), json.loads(make.GOLDEN.read_text(encoding="utf-8"))


@pytest.mark.parametrize("part", ["rows", "sizes", "parameters"])
def test_counts_are_exact(both, part):
    now, golden = both
    assert now[part] == golden[part]


def test_the_ranking_is_exact_to_rounding(both):
    now, golden = both
    assert now["ranking"]["order"] == golden["ranking"]["order"]
    assert now["ranking"]["mi"] == pytest.approx(golden["ranking"]["mi"], abs=1e-12)


def test_the_selection_is_nearly_the_same(both):
    now, golden = both
    assert now["selection"]["fields"] == golden["selection"]["fields"]
    # A gate at the threshold may fall to the other side.
    assert now["selection"]["values"] == pytest.approx(golden["selection"]["values"], rel=0.02)


@pytest.mark.parametrize(("name", "tolerance"), [("trees", 1e-6), ("full", 1e-3), ("small", 3e-3)])
def test_metrics(both, name, tolerance):
    now, golden = both
    assert now["metrics"][name] == pytest.approx(golden["metrics"][name], abs=tolerance)
    assert now["intervals"][name] == pytest.approx(golden["intervals"][name], abs=2 * tolerance)


def test_difference_and_attribution(both):
    now, golden = both
    assert now["difference"] == pytest.approx(golden["difference"], abs=3e-3)
    assert now["attribution"] == pytest.approx(golden["attribution"], abs=2e-2)
