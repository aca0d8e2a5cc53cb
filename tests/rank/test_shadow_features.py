from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom

from ctrsel.core.errors import ConfigError
from ctrsel.data.ingest import ingest
from ctrsel.data.synthetic import Noise, Planted, Strong, Weak, session_table
from ctrsel.rank import rank
from ctrsel.rank.shadow_features import ShadowFeatures, _rivals
from ctrsel.testing.tables import sequence_table, tiny_table
from ctrsel.train.boosted import BoostedLearner

LEARNER = BoostedLearner(rounds=20, leaves=7, monitor="log_loss")


def planted(rows=4000, seed=1):
    made = Planted(
        parts=(
            Strong(name="device", values=3, skew=0.0),
            Strong(name="site", values=10),
            Noise(name="cookie", values=400),
            Noise(name="colour", values=4),
            Noise(name="version", values=1),
        ),
        rows=rows,
        seed=seed,
    )
    return ingest(made.frame(), schema=made.schema, seed=seed).without("test")


def decisions(ranking):
    return dict(zip(ranking.frame["field"], ranking.frame["decision"], strict=True))


def test_confirms_signal_and_no_noise_of_many_values():
    (ranking,) = rank(planted(), [ShadowFeatures(rounds=10, learner=LEARNER)], seed=1)
    told = decisions(ranking)
    assert told["device"] == told["site"] == "confirmed"
    assert told["cookie"] != "confirmed"
    assert told["colour"] != "confirmed"
    assert set(ranking.order[:2]) == {"device", "site"}
    assert set(ranking.refused) == {"version"}
    assert "at least 9 hits confirm a field" in ranking.notes[0]


def test_hits_are_tested_by_the_binomial_distribution_with_bonferroni():
    (ranking,) = rank(planted(), [ShadowFeatures(rounds=9, learner=LEARNER)], seed=1)
    for row in ranking.frame.to_dicts():
        p = sum(binom.pmf(k, 9, 0.5) for k in range(row["hits"], 10))
        few = sum(binom.pmf(k, 9, 0.5) for k in range(row["hits"] + 1))
        expected = "confirmed" if 4 * p <= 0.05 else "rejected" if 4 * few <= 0.05 else "tentative"
        assert row["p"] == pytest.approx(p)
        assert row["q"] == pytest.approx(min(4 * p, 1))
        assert row["decision"] == expected
        assert row["score"] == pytest.approx(row["importance"] - row["bar"])
    (short,) = rank(planted(), [ShadowFeatures(rounds=2, learner=LEARNER)], seed=1)
    assert "2 rounds are too few to confirm any of 4 fields" in short.notes
    assert set(short.frame["decision"]) == {"tentative"}


def test_gain_lets_shadows_of_many_values_hide_a_real_field():
    """The published form with trees' gain: the best shadow is always that of some noise of many values."""
    cookies = (Noise(name=f"cookie{i}", values=50, skew=0.0) for i in range(3))
    made = Planted(parts=(Weak(name="device", values=2, skew=0.0, effect=0.15), *cookies), rows=6000, seed=3)
    table = ingest(made.frame(), schema=made.schema, seed=3).without("test")
    trees = BoostedLearner(rounds=20, leaves=15, patience=20, monitor="log_loss")
    fair = ShadowFeatures(rounds=8, learner=trees)
    by_gain = replace(fair, importance="gain")
    found = {r: rank(table, [r], seed=1)[0] for r in (fair, by_gain, replace(by_gain, peers=1))}
    told = [decisions(ranking) for ranking in found.values()]
    assert [t["device"] for t in told] == ["confirmed", "tentative", "confirmed"]
    assert all(t[f"cookie{i}"] != "confirmed" for t in told for i in range(3))
    warned = [any("favour many values" in note for note in ranking.notes) for ranking in found.values()]
    assert warned == [False, True, False]


def test_shadows_of_dependent_rows_are_as_dependent():
    """Noise that is constant in a session repeats the session's mood; freely shuffled shadows do not."""
    made = session_table(rows=4000, seed=1)
    table = ingest(made.frame(), schema=made.schema, seed=1).without("test")
    (ranking,) = rank(table, [ShadowFeatures(rounds=2, learner=LEARNER, rows=1000)], seed=1)
    assert "shifted round" in ranking.null


def test_rivals_are_the_shadows_nearest_in_number_of_values():
    table = tiny_table(rows=600).without("test")
    names = table.schema.names  # site 4, ad 12, noise 8, id 600, hour 6, load many
    rivals = _rivals(table, names, 2)
    assert rivals.sum(axis=1).tolist() == [2] * 6
    assert rivals.diagonal().all()
    assert rivals[names.index("id")].nonzero()[0].tolist() == sorted([names.index("id"), names.index("load")])
    assert _rivals(table, names, None).all()
    assert _rivals(table, names, 99).all()


@pytest.mark.parametrize("kind", ["shap", "gain"])
def test_lists_have_shadows_and_the_same_seed_gives_the_same(kind):
    ranker = ShadowFeatures(rounds=2, importance=kind, learner=LEARNER, rows=300)
    first, again, other = (rank(sequence_table(rows=900), [ranker], seed=s)[0] for s in (1, 1, 2))
    assert first.digest == again.digest != other.digest
    assert set(first.order) == {"user", "item", "history", "tags"}
    assert first.unit == {"shap": "log-odds", "gain": "gain"}[kind]


def test_row_weights_are_taken():
    table = planted(rows=1500)
    weighted = replace(table, weight=np.where(np.arange(table.n_rows) % 2 == 0, 1.0, 2.0))
    (ranking,) = rank(weighted, [ShadowFeatures(rounds=2, learner=LEARNER)], seed=1)
    assert set(ranking.order[:2]) == {"device", "site"}


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"rounds": 1}, "rounds: must be at least 2"),
        ({"rows": 5}, "rows: must be at least 20"),
        ({"importance": "split"}, "importance: must be one of permutation, shap, gain, got 'split'"),
        ({"peers": 0}, "peers: must be at least 1"),
        ({"alpha": 1.0}, "alpha: must be between 0 and 1"),
        ({"shuffle": "none"}, "shuffle: must be one of auto, rows, shift, within"),
    ],
)
def test_refuses(wrong, match):
    with pytest.raises(ConfigError, match=rf"shadow_features\.{match}"):
        ShadowFeatures(**wrong)
