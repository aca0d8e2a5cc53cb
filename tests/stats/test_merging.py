"""Merging by brute force on small fields, by properties on random ones, and on planted groups and noise."""

from __future__ import annotations

import math
import time
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special
from sklearn.metrics import adjusted_rand_score

from ctrsel.core.errors import DataError
from ctrsel.core.seeds import generator
from ctrsel.stats.held_out import held_out_gain
from ctrsel.stats.information import mutual_information
from ctrsel.stats.merging import held_out_loss, merge_path, partition_cost
from ctrsel.stats.value_effects import value_effects

COUNTS = st.lists(
    st.integers(0, 200).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), min_size=1, max_size=9
)


def partitions(size):
    """All partitions of a set, as numbers of groups."""

    def grow(head, most):
        if len(head) == size:
            yield np.array(head)
            return
        for g in range(most + 1):
            yield from grow([*head, g], max(most, g + 1))

    yield from grow([], 0)


def cost(yes, rows, groups):
    return partition_cost(
        np.bincount(groups, weights=yes), np.bincount(groups, weights=rows), values=np.bincount(groups)
    )


def test_the_cost_by_hand():
    # Three values in two groups, {a, b} and {c}: C(2, 1) sizes, 2! orders of groups, 3! / 2! choices of the values;
    # 5 rows with 2 positives, 4 rows with 4.
    by_hand = math.log(2) - math.log(2) + math.log(3) + math.log(6 * math.comb(5, 2)) + math.log(5 * math.comb(4, 4))
    assert partition_cost(np.array([2, 4]), np.array([5, 4]), values=np.array([2, 1])) == pytest.approx(by_hand)


@settings(max_examples=80, deadline=None)
@given(COUNTS, st.sampled_from([0.0, 0.5]))
def test_a_path_is_what_it_says(pairs, known):
    yes, rows = (np.array(c) for c in zip(*pairs, strict=True))
    path = merge_path(yes, rows, known=known)
    assert 1 <= path.best <= path.most <= len(rows)
    before = None
    told = []
    for count in range(path.most, 0, -1):
        groups = path.groups(count)
        assert sorted(set(groups.tolist())) == list(range(count))
        assert path.cost[count - 1] == pytest.approx(cost(yes, rows, groups), abs=1e-8)
        if before is not None:  # two groups of the partition before are one, the others as they were
            assert len({(a, b) for a, b in zip(before.tolist(), groups.tolist(), strict=True)}) == count + 1
        before = groups
        y, a = (np.bincount(groups, weights=w).astype(np.int64) for w in (yes, rows))
        told.append(mutual_information(y, a) * rows.sum())
    # Merging never adds information, and the path says what it takes.
    assert all(b <= a + 1e-9 for a, b in pairwise(told))
    np.testing.assert_allclose(told[0] - np.array(told), path.loss[::-1], atol=1e-7)
    assert path.cost[path.best - 1] == pytest.approx(path.cost.min())


@settings(max_examples=60, deadline=None)
@given(COUNTS)
def test_groups_follow_the_order_of_the_shrunken_rates(pairs):
    yes, rows = (np.array(c) for c in zip(*pairs, strict=True))
    path, found = merge_path(yes, rows, known=0.0), value_effects(yes, rows)
    if found is None:
        assert path.most == 1
        return
    log_odds = np.where(found.case >= 0, found.log_odds[found.case], 0.0)
    for count in range(1, path.most + 1):
        groups = path.groups(count)
        ends = [(log_odds[groups == g].min(), log_odds[groups == g].max()) for g in range(count)]
        assert all(a[1] <= b[0] + 1e-9 for a, b in pairwise(ends))


def test_the_best_partition_of_all_is_found_or_nearly():
    behind = []
    for seed in range(40):
        rng = generator(seed, "brute force")
        rows = rng.integers(20, 400, 6)
        rates = rng.choice([0.1, 0.2, 0.5], 6)
        yes = rng.binomial(rows, rates)
        path = merge_path(yes, rows, known=0.0)
        best = min(cost(yes, rows, g) for g in partitions(6))
        behind.append(path.cost.min() - best)
    assert min(behind) >= -1e-9
    assert np.mean(np.array(behind) < 1e-9) >= 0.85
    assert max(behind) < 1.5  # nats


def test_clear_groups_are_found():
    rng = generator(1, "clear")
    groups = rng.integers(0, 4, 100)
    rows = rng.integers(2_000, 20_000, 100)
    path = merge_path(rng.binomial(rows, np.array([0.02, 0.05, 0.1, 0.2])[groups]), rows)
    assert path.best == 4
    assert adjusted_rand_score(groups, path.groups(4)) > 0.95


@pytest.mark.parametrize("values", [2, 10, 300, 20_000])
@pytest.mark.parametrize("zipf", [0.0, 1.0])
def test_noise_is_one_group(values, zipf):
    ones = []
    for seed in range(20):
        rng = generator(seed, "noise", values)
        share = 1.0 / np.arange(1, values + 1) ** zipf
        rows = rng.multinomial(50_000, share / share.sum())
        ones.append(merge_path(rng.binomial(rows, 0.05), rows).best == 1)
    assert np.mean(ones) >= 0.95


def test_rare_values_are_put_together_without_a_look_at_their_labels():
    rng = generator(2, "rare")
    rows = np.concatenate([rng.integers(1_000, 5_000, 30), rng.integers(1, 8, 3_000)])
    yes = rng.binomial(rows, special.expit(rng.normal(-2.5, 0.4, rows.size)))
    path = merge_path(yes, rows)
    for count in (path.most, path.best):
        groups = path.groups(count)
        for n in range(1, 8):
            assert len(set(groups[30:][rows[30:] == n])) == 1
        assert len({*groups[30:][rows[30:] == 2], *groups[30:][rows[30:] == 3]}) == 1
    assert path.most > 20


def test_the_plain_order_would_leak_and_the_frequency_does_not():
    # Values of one row each: taken together by luck they would tell the training labels and nothing else.
    rng = generator(3, "leak")
    rows = np.concatenate([np.full(20, 2_000), np.ones(20_000, dtype=np.int64)])
    rate = special.expit(np.concatenate([rng.normal(-2, 1.5, 20), rng.normal(-2, 1.5, 20_000)]))
    yes, held_yes = rng.binomial(rows, rate), rng.binomial(rows, rate)

    def gain(groups):
        train, held = ([np.bincount(groups, weights=w) for w in (y, rows)] for y in (yes, held_yes))
        return held_out_gain(*(np.rint(c).astype(np.int64) for c in (*train, *held)))

    lucky, blind = merge_path(yes, rows, known=0.0), merge_path(yes, rows)
    assert gain(blind.groups(blind.most)) > gain(lucky.groups(lucky.most)) + 0.1


def test_values_without_rows_and_fields_of_one_class():
    path = merge_path(np.array([5, 0, 30]), np.array([50, 0, 60]))
    assert path.groups(1).tolist() == [0, 0, 0]
    assert len(path.groups(path.best)) == 3
    assert merge_path(np.array([0, 0]), np.array([5, 7])).groups(1).tolist() == [0, 0]
    assert merge_path(np.zeros(0, np.int64), np.zeros(0, np.int64)).most == 1
    assert merge_path(np.array([3]), np.array([7])).best == 1


def test_refuses():
    with pytest.raises(DataError, match="positives must not exceed totals"):
        merge_path(np.array([3]), np.array([2]))
    with pytest.raises(ValueError, match="count must be between 1 and 2 groups, got 3"):
        merge_path(np.array([100, 900]), np.array([1_000, 1_000])).groups(3)


def test_held_out_loss_is_that_of_the_rows():
    rng = generator(4, "held out")
    rows, held = rng.integers(0, 60, 12), rng.integers(0, 30, 12)
    yes, held_yes = rng.binomial(rows, 0.3), rng.binomial(held, 0.3)
    groups = rng.integers(0, 4, 12)
    base = yes.sum() / rows.sum()
    alone = (yes + 20 * base) / (rows + 20)
    joint = [np.bincount(groups, weights=w, minlength=4)[groups] for w in (yes, rows)]
    together = (joint[0] + 20 * base) / (joint[1] + 20)
    code = np.repeat(np.arange(12), held)
    label = np.concatenate([np.arange(h) < k for k, h in zip(held_yes, held, strict=True)])
    each = np.where(label, np.log(alone / together)[code], np.log((1 - alone) / (1 - together))[code])
    mean, error = held_out_loss((yes, rows), (held_yes, held), groups=groups)
    assert mean == pytest.approx(each.mean())
    assert error == pytest.approx(each.std() / np.sqrt(len(each)))
    assert held_out_loss((yes, rows), (held_yes, held), groups=np.arange(12)) == (0.0, 0.0)
    nothing = np.zeros(12, dtype=np.int64)
    assert held_out_loss((yes, rows), (nothing, nothing), groups=groups) == (0.0, 0.0)


def test_a_million_values_are_merged_within_seconds():
    rng = generator(5, "million")
    share = 1.0 / np.arange(1, 1_000_001)
    rows = rng.multinomial(20_000_000, share / share.sum())
    yes = rng.binomial(rows, special.expit(rng.normal(-2.5, 0.5, rows.size)))
    merge_path(yes[:100], rows[:100])  # compiled
    began = time.process_time()  # other processes do not count
    merge_path(yes, rows)
    assert time.process_time() - began < 15  # 0.5 s alone on one core
