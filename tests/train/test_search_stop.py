from __future__ import annotations

import numpy as np
import torch

from ctrsel.train.search_stop import SearchStop


def epochs(freeze, *, of=40):
    """Scores of 200 values that are drawn anew in every epoch until they freeze."""
    rng = np.random.default_rng(3)
    scores = torch.from_numpy(rng.normal(size=200))
    for epoch in range(1, of + 1):
        if epoch <= freeze:
            scores = torch.from_numpy(rng.normal(size=200))
        yield epoch, scores


def test_a_ranking_that_freezes_at_epoch_12_stops_at_17_with_patience_5():
    stop = SearchStop(patience=5)
    ended = None
    for epoch, scores in epochs(12):
        facts = stop.look(scores > 0, scores)
        if stop.over:
            ended = epoch
            break
    assert ended == 17
    assert facts == {"jaccard": 1.0, "kendall": 1.0}
    assert "5 epochs" in stop.reason


def test_a_ranking_that_still_changes_is_not_over_though_the_set_is_the_same():
    stop, rng = SearchStop(patience=2), np.random.default_rng(0)
    for _ in range(20):
        scores = torch.from_numpy(np.concatenate([1 + rng.random(100), rng.random(100)]))
        facts = stop.look(scores > 1, scores)
        assert not stop.over
    assert facts["jaccard"] == 1.0
    assert 0.3 < facts["kendall"] < 0.7


def test_nothing_counts_while_all_is_open():
    stop = SearchStop(patience=2)
    for _ in range(10):
        stop.look(torch.ones(5, dtype=torch.bool), torch.arange(5.0), log_loss=0.5)
    assert not stop.over


def test_a_hardened_model_that_gets_worse_stops_it():
    stop, kept = SearchStop(patience=2), torch.tensor([True, False, True, True])
    for epoch, loss in enumerate([0.6, 0.5, 0.51, 0.49, 0.5, 0.52, 0.4]):
        stop.look(kept.roll(epoch), torch.arange(4.0), log_loss=loss)
        if stop.over:
            break
    assert epoch == 5
    assert "log-loss" in stop.reason


def test_without_patience_it_only_tells():
    stop = SearchStop(patience=0)
    for _, scores in epochs(2, of=9):
        facts = stop.look(scores > 0, scores, log_loss=1.0)
    assert not stop.over
    assert np.isclose(facts["kendall"], 1.0)


def test_kendall_and_jaccard_by_hand():
    stop = SearchStop(patience=1)
    stop.look(torch.tensor([True, True, False]), torch.tensor([3.0, 2.0, 1.0]))
    facts = stop.look(torch.tensor([True, False, True]), torch.tensor([3.0, 1.0, 2.0]))
    assert facts["jaccard"] == 1 / 3
    assert np.isclose(facts["kendall"], 1 / 3)  # two of three pairs agree


def test_it_goes_on_from_its_state():
    one, two = SearchStop(patience=5), SearchStop(patience=5)
    for epoch, scores in epochs(12):
        one.look(scores > 0, scores, log_loss=1.0 / epoch)
        if epoch == 14:
            two.restore(*one.state())
        if epoch > 14:
            two.look(scores > 0, scores, log_loss=1.0 / epoch)
            assert two.over == one.over == (epoch >= 17)
        if one.over:
            break


def test_many_scores_are_thinned_out():
    stop = SearchStop(patience=1)
    scores = torch.arange(100_000.0)
    for _ in range(2):
        facts = stop.look(scores > 5, scores)
    assert np.isclose(facts["kendall"], 1.0)
