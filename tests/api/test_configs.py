"""Every config that ships loads, and its components exist."""

from __future__ import annotations

from pathlib import Path

import pytest

from ctrsel.api.plan import plan
from ctrsel.core.config import load_config

CONFIGS = sorted((Path(__file__).parents[2] / "configs").glob("*.yaml"))


def test_there_are_configs():
    assert {"census_income", "census_income_full", "frappe", "criteo"} <= {p.stem for p in CONFIGS}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.stem)
def test_loads_and_plans(path):
    config = load_config(path)
    made = plan(config)
    assert config.name == path.stem
    assert made.out == Path("runs") / path.stem
    assert {"boosted", "net"} <= set(made.learners)
    # A net and trees, gates and a ranking by counts; a config may show more.
    assert {"Gated", "ByRanking"} <= {type(s).__name__ for s in made.selectors}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.stem)
def test_is_commented(path):
    lines = path.read_text().splitlines()
    assert lines[0].startswith("# ")
    assert sum("#" in line for line in lines) >= 8


def test_the_demo_keeps_at_most_sixty_percent():
    assert load_config(next(p for p in CONFIGS if p.stem == "census_income")).select.size <= 0.6


def test_full_is_the_demo_with_one_more_net():
    demo, full = (load_config(next(p for p in CONFIGS if p.stem == s)) for s in ("census_income", "census_income_full"))
    assert set(full.learners) - set(demo.learners) == {"autoint_plus"}
    assert (full.schema, full.split, full.select, full.seed) == (demo.schema, demo.split, demo.select, demo.seed)
    assert all(full.learners[k] == v for k, v in demo.learners.items())


def test_frappe_is_the_published_net():
    net = plan(load_config(next(p for p in CONFIGS if p.stem == "frappe"))).learners["net"]
    assert (net.width, net.batch_size, net.embedding_l2) == (10, 4096, 0.05)
    assert (net.backbone.hidden, net.backbone.batch_norm, net.backbone.dropout) == ((400, 400, 400), True, 0.2)
