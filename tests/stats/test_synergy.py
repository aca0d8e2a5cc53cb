from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn.linear_model import LogisticRegression

from ctrsel.core.errors import DataError
from ctrsel.stats import synergy
from ctrsel.stats.information import mutual_information
from ctrsel.stats.joint import joint_counts
from ctrsel.stats.synergy import NOTHING, excess_information, interaction_test, normal_deviate, row_test


def drawn(seed, rows, sizes, *, effects=(0.0, 0.0), parity=0.0, copy=0.0, base=-1.4):
    """Fields with additive effects (standard deviations of log-odds), a parity effect, and a second field near the first."""
    rng = np.random.default_rng(seed)
    columns = [rng.integers(0, s, rows) for s in sizes]
    if copy:
        columns[1] = np.where(rng.random(rows) < copy, columns[0] % sizes[1], columns[1])
    odds = np.full(rows, base)
    for column, size, effect in zip(columns, sizes, effects, strict=False):
        odds += effect * rng.normal(size=size)[column]
    odd = np.bitwise_xor.reduce([c & 1 for c in columns])
    odds += parity * (2.0 * odd - 1.0)
    labels = (rng.random(rows) < 1 / (1 + np.exp(-odds))).astype(np.uint8)
    return joint_counts(columns, labels, sizes=sizes)


def test_exclusive_or_by_hand():
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 2, (2, 4000))
    counts = joint_counts([a, b], a ^ b, sizes=(2, 2))
    for place in (0, 1):
        single = counts.marginal(place)
        assert mutual_information(single.positives, single.totals) < 0.01
    assert excess_information(counts.positives, counts.totals) > 0.6
    test = interaction_test(counts)
    assert test.z > 50
    assert test.p_value < 1e-290


def test_four_cells_are_pearsons_chi_square_against_the_fitted_model():
    # Three degrees of freedom of four cells go into the model; one is left, whose square is chi-square.
    counts = drawn(1, 20_000, (2, 2), effects=(0.5, 0.5))
    a, b = counts.codes(0), counts.codes(1)
    weights = np.concatenate([counts.positives, counts.totals - counts.positives])
    design = np.column_stack([np.tile(a, 2), np.tile(b, 2)])
    model = LogisticRegression(C=np.inf, tol=1e-10).fit(design, [1] * 4 + [0] * 4, sample_weight=weights)
    p = model.predict_proba(np.column_stack([a, b]))[:, 1]
    chi = ((counts.positives - counts.totals * p) ** 2 / (counts.totals * p * (1 - p))).sum()
    assert interaction_test(counts).p_value == pytest.approx(stats.chi2.sf(chi, 1), rel=0.05)


@pytest.mark.parametrize(
    ("sizes", "rows", "effects", "copy"),
    [
        ((2, 30), 5_000, (0.6, 0.6), 0.0),  # many rows a cell
        ((200, 150), 20_000, (0.6, 0.0), 0.0),  # a strong field and a noise field, under one row a cell
        ((200, 150), 20_000, (0.6, 0.6), 0.0),
        ((60, 60), 20_000, (0.8, 0.0), 0.9),  # a field and its noisy copy
        ((600, 5), 20_000, (0.5, 0.8), 0.0),
    ],
)
def test_additive_fields_have_a_standard_normal_deviate(sizes, rows, effects, copy):
    tests = [interaction_test(drawn(seed, rows, sizes, effects=effects, copy=copy)) for seed in range(40)]
    z = np.array([t.z for t in tests])
    assert abs(z.mean()) < 3.5 / np.sqrt(len(z))
    assert 0.6 < z.std() < 1.45
    assert abs(z).max() < 4
    effect = np.array([t.beyond_additive for t in tests])
    assert abs(effect.mean()) < 4 * effect.std() / np.sqrt(len(z))
    inside = np.mean([t.low <= 0 <= t.high for t in tests])
    assert inside > 0.85


@pytest.mark.parametrize("sizes", [(2, 2), (10, 10), (150, 150)])
def test_the_effect_is_the_planted_one_whatever_the_number_of_cells(sizes):
    rates = 1 / (1 + np.exp(1.4 + np.array([0.6, -0.6])))
    truth = np.mean([stats.entropy([r, 1 - r], [rates.mean(), 1 - rates.mean()]) for r in rates])
    found = [interaction_test(drawn(s, 40_000, sizes, parity=0.6)) for s in range(6)]
    paired = np.mean([f.paired_rows for f in found]) / 40_000  # a row alone in its cell tells nothing
    assert np.mean([f.beyond_additive for f in found]) == pytest.approx(truth * paired, rel=0.2)
    assert all(f.z > 8 for f in found)


def test_a_relabelled_copy_leaves_nothing_open():
    rng = np.random.default_rng(3)
    a = rng.integers(0, 50, 5_000)
    labels = (rng.random(5_000) < 0.1 + 0.5 * (a % 5 == 0)).astype(np.uint8)
    test = interaction_test(joint_counts([a, rng.permutation(50)[a]], labels, sizes=(50, 50)))
    assert test.z == 0
    assert test.p_value == 1


def test_three_way_parity_is_seen_by_three_fields_and_by_no_pair():
    counts = drawn(5, 20_000, (2, 6, 4), parity=0.6)
    assert interaction_test(counts).z > 20
    for first, second in ((0, 1), (0, 2), (1, 2)):
        codes = [counts.codes(first), counts.codes(second)]
        keys = codes[0] * counts.sizes[second] + codes[1]
        cells, groups = np.unique(keys, return_inverse=True)
        test = synergy.additive_test(
            [cells // counts.sizes[second], cells % counts.sizes[second]],
            np.bincount(groups, weights=counts.positives).astype(np.int64),
            np.bincount(groups, weights=counts.totals).astype(np.int64),
        )
        assert abs(test.z) < 4


def test_a_pair_does_not_make_a_triple():
    z = []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        a, b, c = (rng.integers(0, s, 20_000) for s in (4, 6, 5))
        labels = rng.random(20_000) < 0.2 + 0.1 * ((a ^ b) & 1) + 0.05 * (c & 1)
        counts = joint_counts([a, b, c], labels, sizes=(4, 6, 5))
        z.append(interaction_test(counts).z)
    assert max(map(abs, z)) < 3.5


def test_levers_by_elimination_are_those_of_the_projection():
    rng = np.random.default_rng(2)
    first, second = rng.integers(0, 7, 25), rng.integers(0, 5, 25)
    weights = rng.random(25)
    design = np.column_stack([first[:, None] == np.arange(7), second[:, None] == np.arange(5)]).astype(float)
    hat = weights[:, None] * design @ np.linalg.pinv(design.T @ (weights[:, None] * design)) @ design.T
    assert synergy._levers([first, second], [], weights) == pytest.approx(np.diag(hat))


@pytest.mark.parametrize("degrees", [1, 4, 40])
def test_deviate_of_a_chi_square(degrees):
    for p in (0.5, 0.01, 1e-6, 1e-200):
        value = stats.chi2.isf(p, degrees)
        z, found = normal_deviate((value - degrees) / np.sqrt(2 * degrees), np.sqrt(8 / degrees))
        assert found == pytest.approx(p, rel=1e-6)
        assert z == pytest.approx(stats.norm.isf(p), rel=1e-6, abs=1e-9)
    far = 4000.0  # p is below the smallest number, the deviate is not infinite
    z, found = normal_deviate((far - degrees) / np.sqrt(2 * degrees), np.sqrt(8 / degrees))
    assert found == 0
    log_p = stats.chi2.logsf(far, degrees) if degrees != 40 else None
    assert log_p is None or np.isinf(log_p) or stats.norm.logsf(z) == pytest.approx(log_p, rel=1e-6)
    assert 50 < z < 65


def test_one_class_or_too_few_rows_say_nothing():
    a = np.arange(100) % 10
    assert interaction_test(joint_counts([a, a // 2], np.zeros(100, np.uint8), sizes=(10, 5))).p_value == 1
    assert interaction_test(joint_counts([a, a // 2], (a > 4), sizes=(10, 5))).z == 0
    with pytest.raises(ValueError, match="two or three fields"):
        interaction_test(joint_counts([a], a > 4, sizes=(10,)))


@pytest.mark.parametrize(
    ("sizes", "rows"), [((2, 2), 400), ((5, 40), 3000), ((60, 900), 20_000), ((400, 500), 4000), ((5000, 6000), 60_000)]
)
@pytest.mark.parametrize("least_even", [False, True])
def test_rows_give_the_test_of_their_cells_to_the_bit(sizes, rows, least_even):
    rng = np.random.default_rng(sizes[0])
    draws = [rng.random(rows) ** (3 if least_even else 1) for _ in sizes]
    kinds = (np.uint16, np.uint32)  # columns of a store have the smallest type each, and may not be written
    columns = [(d * s).astype(kind) for d, s, kind in zip(draws, sizes, kinds, strict=True)]
    columns[0].flags.writeable = False
    labels = (rng.random(rows) < 0.1 + 0.5 * ((columns[0] + columns[1]) % 3 == 0)).astype(np.uint8)
    labels[columns[0] == 1] = 1  # a value that leaves nothing open
    wide = tuple(s + 7 for s in sizes)  # codes that no row has
    assert row_test(columns, labels, sizes=wide) == interaction_test(joint_counts(columns, labels, sizes=wide))


def test_rows_of_one_class_or_none_tell_nothing():
    column = np.zeros(50, dtype=np.uint8)
    assert row_test([column, column], np.ones(50), sizes=(1, 1)) == NOTHING
    assert row_test([column[:0], column[:0]], np.ones(0), sizes=(1, 1)) == NOTHING


def test_a_code_outside_its_field_is_refused():
    with pytest.raises(DataError, match="codes must be below 2, got 2"):
        row_test([np.array([0, 2]), np.array([0, 0])], np.array([0, 1]), sizes=(2, 1))
