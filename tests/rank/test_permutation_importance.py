from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from ctrsel.core.errors import ConfigError, DataError
from ctrsel.data.ingest import ingest
from ctrsel.data.synthetic import Copy, Noise, Planted, Strong, Xor
from ctrsel.models.backbones.deepfm import DeepFM
from ctrsel.rank import CATALOG, rank
from ctrsel.rank._importance import loss_increase
from ctrsel.rank.permutation_importance import PermutationImportance
from ctrsel.stats.multiple import benjamini_hochberg
from ctrsel.testing.tables import sequence_table, tiny_table
from ctrsel.train.boosted import BoostedLearner
from ctrsel.train.net import NetLearner

LEARNER = BoostedLearner(rounds=30, leaves=7, monitor="log_loss")


def planted(rows=6000, seed=1):
    made = Planted(
        parts=(
            Strong(name="site", values=10),
            Copy(name="again", source="site"),
            Xor(left="hour", right="day", values=2, effect=1.0),
            Noise(name="cookie", values=3000),
            Noise(name="colour", values=4),
            Noise(name="version", values=1),
        ),
        rows=rows,
        seed=seed,
    )
    return ingest(made.frame(), schema=made.schema, seed=seed).without("test")


def test_finds_what_is_planted_and_pairs_that_single_fields_do_not_show():
    (ranking,) = rank(planted(), [PermutationImportance(learner=LEARNER)], seed=1)
    assert set(ranking.order[:2]) == {"hour", "day"}
    frame = ranking.frame
    found = frame.filter(frame["q"] < 0.05)["field"].to_list()
    assert set(found) >= {"hour", "day"}
    assert "cookie" not in found
    assert "colour" not in found
    assert set(ranking.refused) == {"version"}
    assert ranking.unit == "nats"
    assert frame["q"].to_numpy() == pytest.approx(benjamini_hochberg(frame["p"].to_numpy()))
    middle = (frame["low"] + frame["high"]) / 2
    assert middle.to_numpy() == pytest.approx(frame["score"].to_numpy())


def test_copies_hide_each_other_unless_they_move_together():
    table = planted()
    model = replace(LEARNER, feature_share=0.5).fit(table, seed=1).model
    (alone,) = rank(table, [PermutationImportance()], seed=1, model=model)
    grouped = PermutationImportance(groups=(("site", "again"),))
    (both,) = rank(table, [grouped], seed=1, model=model)
    assert both.score("site") == both.score("again")
    assert both.score("site") > 1.2 * max(alone.score("site"), alone.score("again")) > 0
    told = dict(zip(both.frame["field"], both.frame["permuted"], strict=True))
    assert told["site"] == told["again"] == "site+again"
    assert told["hour"] == "hour"
    assert both.score("hour") == alone.score("hour")


def test_a_given_model_of_any_kind_is_used(monkeypatch):
    table = tiny_table(rows=600).without("test")
    net = NetLearner(backbone=DeepFM(), width=2, max_epochs=3).fit(table, seed=1).model
    monkeypatch.setattr(BoostedLearner, "fit", lambda *a, **k: pytest.fail("trained again"))
    (ranking,) = rank(table, [PermutationImportance(rows=10**6, repeats=2)], seed=3, model=net)
    part = table.part("valid")
    found = loss_increase(net, part, items=[(n,) for n in ranking.order], repeats=2, seed=3)
    assert ranking.frame["score"].to_numpy() == pytest.approx(found.value)
    assert f"{part.n_rows} validation rows" in ranking.notes[0]


def test_lists_are_permuted_and_the_same_seed_gives_the_same():
    table = sequence_table(rows=1500)
    ranker = PermutationImportance(learner=LEARNER, rows=60)
    first, again, other = (rank(table, [ranker], seed=s)[0] for s in (1, 1, 2))
    assert first.digest == again.digest != other.digest
    assert set(first.order) == {"user", "item", "history", "tags"}
    assert "60 validation rows" in first.notes[0]


def test_row_weights_count():
    table = tiny_table(rows=1500).without("test")
    rng = np.random.default_rng(0)
    weighted = replace(table, weight=np.where(rng.random(table.n_rows) < 0.5, 1.0, 3.0))
    (ranking,) = rank(weighted, [PermutationImportance(learner=LEARNER)], seed=1)
    (plain,) = rank(table, [PermutationImportance(learner=LEARNER)], seed=1)
    assert set(ranking.order[:2]) == {"site", "ad"}
    assert ranking.score("ad") != plain.score("ad")


def test_groups_are_one_observation_each():
    table = tiny_table(rows=600).without("test")
    grouped = replace(table, group=np.asarray(table.row) // 5)
    model = LEARNER.fit(table, seed=1).model
    (ranking,) = rank(grouped, [PermutationImportance()], seed=1, model=model)
    assert any("over groups" in note for note in ranking.notes)


def test_rows_that_stop_the_training_are_not_permuted():
    table = tiny_table(rows=2000).without("test")
    start, stop = table.splits["valid"]
    middle = (start + stop) // 2
    shown = []

    @dataclass(frozen=True, kw_only=True)
    class Watched(BoostedLearner):
        def fit(self, table, features=None, **kwargs):
            shown.append(table.splits["valid"])
            return super().fit(table, features, **kwargs)

    ranker = PermutationImportance(learner=Watched(rounds=5))
    (ranking,) = rank(table, [ranker], seed=1)
    assert shown == [(start, middle)]
    assert f"{stop - middle} validation rows" in ranking.notes[0]
    (all_rows,) = rank(table, [replace(ranker, apart=False)], seed=1)
    assert shown[1] == (start, stop)
    assert f"{stop - start} validation rows" in all_rows.notes[0]
    assert any("stopped the training" in note for note in all_rows.notes)
    assert not any("stopped the training" in note for note in ranking.notes)


def test_refuses_what_cannot_be():
    table = tiny_table().without("test")
    with pytest.raises(ConfigError, match="rows: must be at least 2"):
        PermutationImportance(rows=1)
    with pytest.raises(ConfigError, match="repeats: must be at least 1"):
        PermutationImportance(repeats=0)
    with pytest.raises(ConfigError, match="groups: a field is in one group at most, 'ad' is in two"):
        PermutationImportance(groups=(("ad", "site"), ("ad",)))
    with pytest.raises(ConfigError, match=r"permutation_importance\.groups: .*'sight'.*'site'"):
        rank(table, [PermutationImportance(groups=(("sight", "ad"),))], seed=1)
    other = LEARNER.fit(tiny_table(rows=300).without("test"), seed=1).model
    with pytest.raises(DataError, match="its own encoder"):
        rank(table, [PermutationImportance()], seed=1, model=other)
    made = CATALOG.create({"use": "permutation_importance", "groups": [["ad", "site"]], "learner": "boosted"})
    assert made == PermutationImportance(groups=(("ad", "site"),))
