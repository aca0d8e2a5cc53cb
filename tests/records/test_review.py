"""Reviews, checks and comparisons as records: whole after a way through JSON, and the check's rules one by one."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from ctrsel.api.checking import check_margins, promotion_check
from ctrsel.core.config import CheckConfig
from ctrsel.core.errors import ConfigError
from ctrsel.records.audit import Finding
from ctrsel.records.check import Check
from ctrsel.records.evaluation import Metric
from ctrsel.records.review import Costs, Review
from ctrsel.records.set_difference import FieldDifference, SetDifference
from ctrsel.records.window import Delta, FieldDrift, ScoreDrift, SegmentDelta, WindowComparison
from ctrsel.report.review import LONGEST, review_card, review_text

COSTS = Costs(bytes=1000, milliseconds=10.0, fields=3, values=30)
LEAK = Finding(rule="leak", field="f", severity="stop", number=1.0, evidence="AUC 1", advice="drop it")


def delta(low, high, *, old=0.7, digits=0.001):
    value = (low + high) / 2
    return Delta(champion=old, challenger=old + value, difference=Metric(value=value, low=low, high=high, method="m"))


WINDOW = WindowComparison(
    source="new.csv",
    rows=500,
    positives=100,
    metrics={"auc": delta(-0.004, 0.002), "log_loss": delta(-0.01, 0.02), "calibration_ratio": delta(0, 0, old=1.0)},
    segments=(
        SegmentDelta(
            field="site",
            value="<b>",
            rows=30,
            observed=0.1,
            champion_ratio=1.0,
            challenger_ratio=None,
            auc=delta(-1, 1),
        ),
        SegmentDelta(
            field="site", value=None, rows=20, observed=0.0, champion_ratio=None, challenger_ratio=None, auc=None
        ),
    ),
    drift=(
        FieldDrift(
            field="site", other=0.5, other_trained=0.1, missing=0.0, missing_trained=None, distance=0.2, limit=0.1
        ),
    ),
    scores=(ScoreDrift(model="champion", distance=0.1, limit=0.2),),
    notes=("a note",),
)


def check(config=None, **more):
    given = {
        "champion": 4,
        "comparison": WINDOW,
        "costs": COSTS,
        "champion_costs": COSTS,
        "findings": (),
        "reasons": ("passed: smaller",),
    }
    return promotion_check(config or CheckConfig(), **{**given, **more})


def failed(found):
    return [line.rule for line in found.lines if line.status == "failed"]


def test_all_rules_pass():
    found = check()
    assert found.passed
    assert [x.rule for x in found.lines] == ["run", "auc", "log_loss", "calibration", "latency", "audit", "example"]
    assert "-0.0040 to +0.0020" in found.lines[1].words


@pytest.mark.parametrize(
    ("config", "more", "rules"),
    [
        (CheckConfig(auc_margin=0.004), {}, ["auc"]),  # the limit itself is not above it
        (CheckConfig(auc_margin=0.0041), {}, []),
        (CheckConfig(log_loss_margin=0.02), {}, ["log_loss"]),
        (CheckConfig(log_loss_margin=0.03), {}, []),
        (CheckConfig(min_calibration=1.01), {}, ["calibration"]),
        (CheckConfig(latency_factor=0.9), {}, ["latency"]),
        (CheckConfig(max_milliseconds=9.0), {}, ["latency"]),
        (None, {"findings": (LEAK,)}, ["audit"]),
        (None, {"findings": (replace(LEAK, accepted=True),)}, []),
        (None, {"reasons": ("passed: a", "FAILED: too large")}, ["run"]),
        (None, {"example": 2e-6}, ["example"]),
        (None, {"comparison": None, "calibration": Metric(value=1.0), "unusable": "it is gone"}, ["auc"]),
        (None, {"comparison": None, "champion": None, "champion_costs": None}, ["calibration"]),
        (None, {"comparison": None, "champion": None, "calibration": Metric(value=1.0)}, []),
    ],
)
def test_each_rule_fails_for_its_own_reason(config, more, rules):
    assert failed(check(config, **more)) == rules


def test_without_an_interval_nothing_is_shown():
    metrics = {**WINDOW.metrics, "auc": Delta(champion=0.7, challenger=0.7, difference=Metric(value=0.0))}
    found = check(comparison=replace(WINDOW, metrics=metrics))
    assert failed(found) == ["auc"]


def test_margins_that_cannot_be_meant():
    with pytest.raises(ConfigError, match=r"register\.check: min_calibration must be at most"):
        check_margins(CheckConfig(min_calibration=2.0))


def review(**more):
    changes = SetDifference(
        fields=tuple(
            FieldDifference(
                name=f"f{i} <script>alert(1)</script>",
                change="changed",
                before=9,
                after=9,
                gained=i,
                lost=1,
                merged=0,
                parted=0,
                top={"gained": ("=cmd()|x" * 20,), "lost": ("*bold*",)},
                sensitive=False,
            )
            for i in range(200)
        ),
        same=("g",),
    )
    given = {
        "model_name": "clicks",
        "headline": "It keeps <b>half</b> of the values.",
        "data": {
            "source": "s3://key:secret@store/x" * 30,
            "digest": "d" * 16,
            "rows": {"train": 100, "test": 50},
            "base_rate": {"train": 0.1, "test": 0.2},
            "label": "click",
            "notes": ["n" * 300] * 3,
        },
        "trained": {"learner": "net", "config": "c" * 16, "versions": {f"lib{i}": "1.2.3" for i in range(30)}},
        "champion": 4,
        "check": check(findings=(LEAK,) * 50),
        "costs": COSTS,
        "champion_costs": COSTS,
        "comparison": WINDOW,
        "changes": changes,
        "findings": (replace(LEAK, evidence="e" * 400),) * 50,
        "scores": (0.1, 0.2),
        "scored": 30,
    }
    return Review(**{**given, **more})


def test_a_review_is_whole_after_json():
    made = review()
    assert Review.from_dict(json.loads(json.dumps(made.to_dict()))) == made
    assert Check.from_dict(json.loads(json.dumps(made.check.to_dict()))) == made.check
    bare = review(comparison=None, changes=None, champion=None, champion_costs=None)
    assert Review.from_dict(json.loads(json.dumps(bare.to_dict()))) == bare


def test_a_long_description_keeps_the_verdict_and_the_way_back():
    card = review_card(review(), contenders=["| " + "x" * 200 + " |"] * 20)
    assert len(card) <= LONGEST
    assert card.startswith("**Check FAILED.**")
    assert "**Roll back**: `ctrsel rollback clicks" in card
    assert "secret" not in card
    assert "<script>" not in card
    assert "<b>" not in card
    whole = review_card(review(changes=None, findings=()))
    assert "**Data**" in whole
    assert "**Trained by**" in whole


def test_the_terminal_shows_texts_as_they_are_but_no_control_characters():
    text = review_text(review(headline="a\x1b[31mred"), title="t", log=())
    assert "\x1b" not in text
    assert "site = <b>" in text
    assert "secret" not in text
