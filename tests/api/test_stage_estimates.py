"""Which stages an estimate lists, and what makes them longer."""

from __future__ import annotations

from ctrsel.api.estimate import estimate


def test_stages_are_those_of_a_run_in_its_order(clicks_config):
    names = [s.name for s in estimate(clicks_config()).stages]
    assert names == [
        "ingest",
        "audit",
        "train/boosted",
        "train/net",
        "rank/mutual_information",
        "rank/boosted_shap",
        "select/gated",
        "retrain/gated",
        "retrain/ranking",
        "retrain/random",
        "retrain/frequent",
        "evaluate",
        "explain",
        "report",
        "register",
    ]
    assert "register" not in [s.name for s in estimate(clicks_config(**{"register.enabled": False})).stages]


def test_more_work_takes_longer(clicks_config):
    base = {s.name: s.seconds for s in estimate(clicks_config()).stages}
    wide = {s.name: s.seconds for s in estimate(clicks_config(**{"learners": {
        "boosted": {"use": "boosted", "learning_rate": 0.01}, "net": {"use": "net", "width": 64}}})).stages}  # fmt: skip
    assert wide["train/net"] > base["train/net"]
    assert wide["train/boosted"] > base["train/boosted"]
    assert wide["ingest"] == base["ingest"]


def test_selectors_that_train_take_their_trainings(clicks_config):
    named = [{"use": "net_merge", "nets": 4}, "permutation", "merge"]
    seconds = {s.name: s.seconds for s in estimate(clicks_config(**{"select.selectors": named})).stages}
    assert seconds["select/net_merge"] == 4 * seconds["train/net"]
    assert seconds["select/permutation"] == seconds["train/net"]
    assert "select/merge" not in seconds


def test_rankers_that_train_or_count_pairs_take_longer(clicks_config):
    specs = [{"use": name} for name in ("mutual_information", "mrmr", "boosted_gain", "null_importance")]
    seconds = {s.name: s.seconds for s in estimate(clicks_config(rank=specs)).stages}
    assert seconds["rank/mrmr"] > seconds["rank/mutual_information"]
    assert seconds["rank/null_importance"] > seconds["rank/boosted_gain"]


def test_crosses_cost_a_scan_of_pairs_and_one_more_net(clicks_config):
    plain, asked = estimate(clicks_config()), estimate(clicks_config(extra="crosses: {top: 2}\n"))
    more = [s.name for s in asked.stages if s.name not in {x.name for x in plain.stages}]
    assert more == ["rank/interactions", "cross", "train/net, without crosses"]
    assert asked.seconds > plain.seconds
    assert any("crosses are chosen in the run" in w for w in asked.warnings)
    named = estimate(clicks_config(extra="crosses: {use: [[site, ad]], compare: false}\n"))
    assert [s.name for s in named.stages if s.name not in {x.name for x in plain.stages}] == ["cross"]
