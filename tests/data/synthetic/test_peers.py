"""The 40 fields: every promise of the truth, measured on 200,000 rows by scikit-learn and scipy."""

import numpy as np
import polars as pl
import pytest
from scipy import special
from scipy.stats import chi2_contingency
from sklearn.metrics import log_loss, mutual_info_score, roc_auc_score

from ctrsel.data.synthetic import Planted, peers_table

Drawn = tuple[Planted, pl.DataFrame]


def test_composition(peers: Drawn) -> None:
    table, frame = peers
    fields = table.truth.fields
    assert len(fields) == 40
    counts = {k: len(table.truth.named(k)) for k in ("strong", "weak", "redundant", "xor", "noise")}
    assert counts == {"strong": 6, "weak": 2, "redundant": 2, "xor": 8, "noise": 22}
    assert frame["n_const"].n_unique() == 1
    assert frame["n_rowid"].n_unique() == frame.height
    assert frame["n_rare"].mean() == pytest.approx(0.001, abs=0.0003)
    for name, field in fields.items():
        if field.values is not None and field.values <= 1000 and name != "n_rare":
            assert frame[name].n_unique() == field.values


def test_rate_auc_and_log_loss_are_those_of_the_true_probabilities(peers: Drawn) -> None:
    table, frame = peers
    truth, y, oracle = table.truth, frame["label"].to_numpy(), table.oracle()
    assert y.mean() == pytest.approx(truth.rate, abs=4 * np.sqrt(0.25 / frame.height))
    assert roc_auc_score(y, oracle["probability"]) == pytest.approx(truth.bayes_auc, abs=0.003)
    assert log_loss(y, oracle["probability"]) == pytest.approx(truth.bayes_log_loss, abs=0.003)
    assert oracle["logit"].std() ** 2 == pytest.approx(6 * 0.45**2 + 2 * 0.12**2 + 4 * 0.6**2, rel=0.02)
    # Calibrated: a tenth of the rows has the rate that its probabilities promise.
    tenth = oracle["probability"].rank() * 10 // (frame.height + 1)
    by = pl.DataFrame({"tenth": tenth, "p": oracle["probability"], "y": frame["label"]}).group_by("tenth").mean()
    np.testing.assert_allclose(by["y"], by["p"], atol=0.013)


@pytest.mark.parametrize("name", ["s_2", "s_10", "s_100", "s_1000", "w_10", "r_100", "r_1000"])
def test_information_of_fields_with_their_own(peers: Drawn, excess, name: str) -> None:
    table, frame = peers
    found, spread = excess(frame, name)
    true = table.truth.fields[name]
    assert true.informative
    # The plug-in estimate scatters by about 2 sqrt(MI / N) beside its null.
    assert found == pytest.approx(true.information, abs=4 * np.sqrt(true.information / frame.height) + 4 * spread)


@pytest.mark.parametrize("name", ["s_2", "s_10", "s_100", "w_10"])
def test_auc_of_fields_with_their_own(peers: Drawn, name: str) -> None:
    table, frame = peers
    values = table.truth.values[name]
    scores = values.rate[frame[name].to_numpy()]
    assert roc_auc_score(frame["label"], scores) == pytest.approx(table.truth.fields[name].auc, abs=0.006)


def test_noise_and_halves_of_pairs_have_no_more_than_the_null(peers: Drawn, excess) -> None:
    table, frame = peers
    names = [n for n in table.truth.named("noise", "xor") if 2 <= frame[n].n_unique() <= 100]
    p_values = []
    for name in names:
        assert table.truth.fields[name].information == 0.0
        cells = np.zeros((frame[name].n_unique(), 2))
        np.add.at(cells, (np.unique(frame[name], return_inverse=True)[1], frame["label"].to_numpy()), 1)
        p_values.append(chi2_contingency(cells).pvalue)
    assert len(p_values) == 14
    assert min(p_values) > 0.01 / len(p_values)
    assert np.mean(p_values) > 0.3
    for name in ("x3a", "nu_1000", "nu_10000", "nz_1000", "nz_100000"):
        found, spread = excess(frame, name)
        assert abs(found) < 5 * spread, name


def test_pairs_have_it_together(peers: Drawn) -> None:
    table, frame = peers
    assert len(table.truth.pairs) == 4
    for pair in table.truth.pairs:
        sides = (frame[pair.left] ^ frame[pair.right]).to_numpy() & 1
        found = mutual_info_score(sides, frame["label"])
        assert found == pytest.approx(pair.information, rel=0.1)
        assert pair.synergy == pair.information
        assert table.truth.fields[pair.left].partner == pair.right


def test_copies(peers: Drawn) -> None:
    table, frame = peers
    pairs = frame.select("s_1000", "r_1000").unique()
    assert pairs.height == frame["s_1000"].n_unique() == frame["r_1000"].n_unique()
    assert table.truth.fields["r_1000"].determined_by == "s_1000"
    noisy = table.truth.fields["r_100"]
    assert (noisy.determined_by, noisy.redundant_with) == (None, ("s_100",))
    assert table.truth.fields["s_100"].redundant_with == ("r_100",)
    # The most frequent source of each value has 90 % of its rows, and what chance adds.
    same = frame.group_by("r_100", "s_100").len().group_by("s_100").agg(pl.col("len").max())["len"].sum()
    by_chance = float((frame["s_100"].value_counts()["count"] / frame.height).pow(2).sum())
    assert same / frame.height == pytest.approx(0.9 + 0.1 * by_chance, abs=0.004)


@pytest.mark.parametrize("name", ["s_100", "w_10", "x1a"])
def test_what_a_field_adds_is_what_the_best_model_loses_without_it(peers: Drawn, name: str) -> None:
    table, frame = peers
    rows = 50_000
    logit = table.oracle()["logit"].to_numpy()[:rows]
    if name in table.truth.values:
        of = table.truth.values[name]
        share, effect, own = of.share, of.effect, of.effect[frame[name].to_numpy()[:rows]]
    else:
        share, effect = np.array([0.5, 0.5]), np.array([-0.6, 0.6])
        own = effect[(frame["x1a"] ^ frame["x1b"]).to_numpy()[:rows] & 1]
    rest = sum(p * special.expit(logit - own + w) for p, w in zip(share, effect, strict=True))

    def expected_loss(p: np.ndarray) -> np.ndarray:
        true = special.expit(logit)  # the mean over labels, so that only the fields scatter
        return -(true * np.log(p) + (1 - true) * np.log(1 - p))

    found = float((expected_loss(rest) - expected_loss(special.expit(logit))).mean())
    assert found == pytest.approx(table.truth.fields[name].adds, rel=0.03)
    assert table.truth.fields["nu_100"].adds == 0.0
    assert table.truth.fields["r_100"].adds == table.truth.fields["s_100"].adds


def test_columns_are_shuffled_and_the_seed_matters() -> None:
    one, two = peers_table(rows=50, seed=1), peers_table(rows=50, seed=2)
    assert sorted(one.columns) == sorted(two.columns)
    assert one.columns != two.columns
    assert one.columns[0] == "label"
    assert not one.frame().select(two.columns).equals(two.frame())
    assert one.frame().equals(peers_table(rows=50, seed=1).frame())
