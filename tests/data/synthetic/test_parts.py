"""Each kind of field, measured on drawn rows: information by scikit-learn, tests by scipy, rates by counting."""

import numpy as np
import polars as pl
import pytest
from scipy.stats import chi2_contingency, ks_2samp, norm
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import mutual_info_score, roc_auc_score

from ctrsel.data.synthetic import (
    Clock,
    Copy,
    Derived,
    Drift,
    Noise,
    Numeric,
    Planted,
    Signal,
    Strong,
    Tags,
    Xor,
    sequence_table,
    value_table,
)

N = 200_000


def _chi2(x: np.ndarray, y: np.ndarray) -> float:
    at = np.unique(x, return_inverse=True)[1]
    cells = np.zeros((at.max() + 1, 2))
    np.add.at(cells, (at, y.astype(int)), 1)
    return float(chi2_contingency(cells).pvalue)


@pytest.mark.parametrize(("values", "skew"), [(2, 0.0), (3, 0.0), (7, 1.2), (10, 1.05), (501, 1.0), (5000, 0.0)])
def test_xor_of_any_cardinality_and_popularity(values: int, skew: float, excess) -> None:
    table = Planted(parts=(Xor(left="l", right="r", values=values, skew=skew),), rows=N, texts="integers", seed=1)
    frame = table.frame()
    for name in ("l", "r"):
        assert (frame[name] & 1).mean() == pytest.approx(0.5, abs=0.005)
        assert frame[name].n_unique() == values
        if values <= 10:
            assert _chi2(frame[name].to_numpy(), frame["label"].to_numpy()) > 0.01
        else:
            found, spread = excess(frame, name)
            assert abs(found) < 5 * spread
    together = mutual_info_score((frame["l"] ^ frame["r"]) & 1, frame["label"])
    assert together == pytest.approx(table.truth.pairs[0].information, rel=0.08)
    assert table.truth.bayes_auc == pytest.approx(
        roc_auc_score(frame["label"], (frame["l"] ^ frame["r"]) & 1), abs=0.004
    )


def test_value_level_truth() -> None:
    table = value_table(rows=N, seed=3, texts="integers")
    frame, truth = table.frame(), table.truth
    for name in ("few", "groups", "all"):
        of = truth.values[name]
        counted = frame.group_by(name).agg(pl.len(), pl.col("label").mean()).sort(name)
        codes, rows = counted[name].to_numpy(), counted["len"].to_numpy()
        z = (counted["label"].to_numpy() - of.rate[codes]) / np.sqrt(of.rate[codes] * (1 - of.rate[codes]) / rows)
        assert np.abs(z).max() < 4.5
        assert np.mean(z**2) == pytest.approx(1, abs=0.45)
        assert ((rows / N - of.share[codes]) / np.sqrt(of.share[codes] / N)).std() < 1.3
    few = truth.value_frame("few")
    assert few.filter(pl.col("group") < 0)["effect"].unique().to_list() == [0.0]
    assert (few["group"] >= 0).sum() == 5
    quiet = few["group"].to_numpy() < 0
    assert truth.values["few"].rate[quiet].std() < 1e-12  # values that do nothing cannot be told apart
    same = frame.filter(pl.col("few").is_in(np.flatnonzero(quiet)))
    assert _chi2(same["few"].to_numpy(), same["label"].to_numpy()) > 0.01
    groups = truth.values["groups"]
    for group in range(4):
        rows_of = frame.filter(pl.col("groups").is_in(np.flatnonzero(groups.group == group)))
        assert _chi2(rows_of["groups"].to_numpy(), rows_of["label"].to_numpy()) > 0.005


def test_a_country_tells_what_its_cities_do(excess) -> None:
    table = value_table(rows=N, seed=4, texts="integers")
    frame, fields = table.frame(), table.truth.fields
    assert frame.select("city", "country").unique().height == frame["city"].n_unique()
    assert fields["country"].determined_by == "city"
    assert fields["country"].information == pytest.approx(fields["city"].information)
    assert fields["country"].adds == fields["city"].adds
    assert frame["country"].n_unique() == 20
    # Inside a country the city tells nothing.
    largest = frame["country"].value_counts(sort=True)["country"][0]
    inside = frame.filter(pl.col("country") == largest)
    assert _chi2(inside["city"].to_numpy(), inside["label"].to_numpy()) > 0.01
    found, spread = excess(frame, "country")
    assert found == pytest.approx(fields["country"].information, abs=4 * np.sqrt(fields["country"].information / N))
    assert spread < 1e-4


def test_a_coarser_field_keeps_part_of_the_information() -> None:
    table = Planted(
        parts=(
            Strong(name="city", values=60, missing=0.2),
            Derived(name="country", source="city", values=6),
            Copy(name="again", source="city", noise=0.3),
            Noise(name="noise", values=50),
            Copy(name="noise_again", source="noise", noise=0.1),
        ),
        rows=N,
        texts="integers",
    )
    frame, fields = table.frame(), table.truth.fields
    assert 0 < fields["country"].information < fields["city"].information
    assert 0 < fields["again"].information < fields["city"].information
    for name in ("city", "country", "again"):
        found = mutual_info_score(frame[name].fill_null(-1), frame["label"])
        chance = (frame[name].n_unique() - 1) / (2 * N)  # Miller and Madow, 1955; good where values are frequent
        assert found - chance == pytest.approx(fields[name].information, abs=4 * np.sqrt(fields[name].information / N))
    assert frame["country"].null_count() == frame["city"].null_count()
    assert (fields["noise_again"].kind, fields["noise_again"].informative) == ("noise", False)


@pytest.mark.parametrize("shape", ["rising", "step", "valley", "wave"])
def test_numbers(shape: str) -> None:
    table = Planted(parts=(Numeric(name="x", effect=0.5, shape=shape), Strong(name="s", values=9)), rows=N)
    frame, of = table.frame(), table.truth.fields["x"]
    tenth = (frame["x"].rank() * 64 // (N + 1)).to_numpy()
    found = mutual_info_score(tenth, frame["label"]) - 63 / (2 * N)
    assert found == pytest.approx(of.information, rel=0.08)
    alone = roc_auc_score(frame["label"], frame["x"])
    if shape == "rising":
        assert alone == pytest.approx(of.auc, abs=0.005)
    else:
        rates = frame.select(pl.col("label").mean().over(pl.Series(tenth))).to_series()
        assert roc_auc_score(frame["label"], rates) == pytest.approx(of.auc, abs=0.01)
        assert alone < of.auc - (0.001 if shape == "step" else 0.05)
    assert np.log(frame["x"].to_numpy()).mean() == pytest.approx(0, abs=0.02)


def test_numbers_missing_not_at_random() -> None:
    table = Planted(parts=(Numeric(name="x", effect=0.6, missing=0.3, tilt=1.5, log=False),), rows=N)
    frame = table.frame()
    assert _chi2(frame["x"].is_null().to_numpy(), frame["label"].to_numpy()) < 1e-9
    assert frame["x"].mean() < -0.2  # large numbers are missing more often
    gone, known = (frame.filter(pl.col("x").is_null() == g) for g in (True, False))
    assert gone["label"].mean() > known["label"].mean() + 0.03
    tenth = (known["x"].rank() * 50 // (known.height + 1)).to_numpy()
    cells = np.concatenate([tenth, np.full(gone.height, 99)])
    found = mutual_info_score(cells, np.concatenate([known["label"], gone["label"]])) - 50 / (2 * N)
    assert found == pytest.approx(table.truth.fields["x"].information, rel=0.06)


def test_tags() -> None:
    table = Planted(
        parts=(Tags(name="tags", values=12, active=4, effect=0.6), Tags(name="noise", values=12, effect=0.0)),
        rows=N,
        texts="integers",
    )
    frame, truth = table.frame(), table.truth
    assert frame["tags"].list.len().mean() == pytest.approx(truth.values["tags"].share.sum(), abs=0.02)
    assert (frame["tags"].list.n_unique() == frame["tags"].list.len()).all()
    of = truth.values["tags"]
    assert (of.group >= 0).sum() == 4
    for name in ("tags", "noise"):
        for tag in range(12):
            held = frame[name].list.contains(tag).to_numpy()
            rate, rows = frame["label"].to_numpy()[held].mean(), held.sum()
            share = of.share[tag]
            assert rows / N == pytest.approx(share, abs=4.5 * np.sqrt(share / N))
            expected = of.rate[tag] if name == "tags" else truth.rate
            assert rate == pytest.approx(expected, abs=4 * np.sqrt(0.25 / rows))
    assert truth.values["tags"].rate[of.group < 0] == pytest.approx(truth.rate, abs=1e-5)
    sums = frame["tags"].list.eval(pl.element().replace_strict(dict(enumerate(of.effect.tolist())))).list.sum().round(9)
    at = np.unique(sums.to_numpy(), return_inverse=True)[1]
    found = mutual_info_score(at, frame["label"]) - at.max() / (2 * N)
    assert found == pytest.approx(truth.fields["tags"].information, rel=0.04)
    assert roc_auc_score(frame["label"], sums) == pytest.approx(truth.fields["tags"].auc, abs=0.004)


def test_histories() -> None:
    table = sequence_table(rows=N, seed=5, texts="integers")
    frame, truth = table.frame(), table.truth
    y = frame["label"].to_numpy()
    for item, history, length, recent in (("item", "seen", 8, 8), ("product", "bought", 12, 1)):
        lengths = frame[history].list.len()
        assert (lengths.min(), lengths.max()) == (1, length)
        cluster = frame[item] % 20
        counted = frame[history].list.tail(recent).list.eval(pl.element() % 20)
        match = counted.list.contains(cluster).to_numpy()
        assert match.mean() == pytest.approx(0.5, abs=0.005)
        pair = next(p for p in truth.pairs if p.left == item)
        assert (pair.right, truth.fields[history].partner) == (history, item)
        assert mutual_info_score(match, y) == pytest.approx(pair.synergy, rel=0.08)
        # Alone, nothing in the history tells anything: not its length, its last item, nor how varied it is.
        for alone in (lengths, frame[history].list.last() % 20, counted.list.n_unique(), cluster):
            assert _chi2(alone.to_numpy(), y) > 0.005
        assert truth.fields[history].information == 0.0
        # Where only the last item counts, order matters: what any other item has in common tells next to nothing.
        if recent == 1:
            before = pl.col(history).list.head(pl.col(history).list.len() - 1).list.eval(pl.element() % 20)
            earlier = frame.select(before.list.contains(pl.col(item) % 20)).to_series()
            assert mutual_info_score(earlier, y) < 0.1 * pair.information
    assert truth.fields["item"].information > 0.003
    shared = {f: c.vocabulary for f, c in table.schema.fields.items() if c.vocabulary}
    assert shared == {"seen": "item", "bought": "product"}
    texts = sequence_table(rows=300, seed=5).frame()
    assert {t.split("=")[0] for t in texts["bought"].explode()} == {"product"}


def test_popularity_moves() -> None:
    table = Planted(
        parts=(
            Noise(name="moved", values=20, skew=1.0, drift=Drift(popularity=0.8)),
            Noise(name="new", values=20, skew=1.0, drift=Drift(popularity=0.8, new=True)),
            Noise(name="still", values=20, skew=1.0),
        ),
        rows=N,
        clock=Clock(),
        texts="integers",
    )
    frame = table.frame()
    early, late = frame.head(N // 10), frame.tail(N // 10)
    for name, moved in (("moved", True), ("new", True), ("still", False)):
        both = np.concatenate([early[name], late[name]])
        found = _chi2(both, np.repeat([0, 1], N // 10))
        assert (found < 1e-9) if moved else (found > 0.01)
    # New values: none at the very beginning, 0.8 of the rows at the very end.
    assert (frame["new"].head(200) >= 20).sum() <= 2
    assert (late["new"] >= 20).mean() == pytest.approx(0.8 * 0.95, abs=0.01)
    assert _chi2(frame["moved"].to_numpy(), frame["label"].to_numpy()) > 0.01  # what moves tells nothing by itself
    assert [(d.column, d.what) for d in table.truth.drifts] == [("moved", "popularity"), ("new", "new values")]


def test_effects_fade_and_turn() -> None:
    table = Planted(
        parts=(
            Strong(name="fade", values=8, skew=0.0, effect=0.6, drift=Drift(effect=0.0)),
            Strong(name="turn", values=8, skew=0.0, effect=0.6, drift=Drift(effect=-1.0)),
        ),
        rows=N,
        clock=Clock(),
        texts="integers",
    )
    frame, truth = table.frame(), table.truth
    early, late = frame.head(N // 20), frame.tail(N // 20)
    for part, expected in ((early, (0.975, 0.95)), (late, (0.025, -0.95))):
        own = np.stack([truth.values[n].effect[part[n].to_numpy()] for n in ("fade", "turn")], axis=1)
        found = LogisticRegression(C=np.inf).fit(own, part["label"]).coef_[0]
        assert found == pytest.approx(expected, abs=0.15)
    assert truth.fields["turn"].adds > 20 * truth.fields["turn"].information  # without the time it is hardly seen
    oracle = table.oracle()
    assert roc_auc_score(frame["label"], oracle["logit"]) == pytest.approx(truth.bayes_auc, abs=0.004)


def test_fields_appear_vanish_and_move_and_the_rate_rises() -> None:
    table = Planted(
        parts=(
            Strong(name="late", values=9, drift=Drift(since=0.3)),
            Strong(name="early", values=9, drift=Drift(until=0.6)),
            Numeric(name="x", effect=0.3, shift=1.0, log=False),
            Numeric(name="gone", effect=0.3, drift=Drift(until=0.5)),
        ),
        rows=N,
        clock=Clock(rate=1.0),
    )
    frame, truth = table.frame(), table.truth
    share = (frame["time"] - table.clock.start) / (table.clock.days * 86_400)
    assert frame.filter(share < 0.2999)["late"].null_count() == (share < 0.2999).sum()
    assert frame.filter(share > 0.3001)["late"].null_count() == 0
    assert frame.filter(share > 0.6001)["early"].null_count() == (share > 0.6001).sum()
    assert frame.filter(share > 0.5001)["gone"].null_count() == (share > 0.5001).sum()
    assert frame["x"].tail(5000).mean() - frame["x"].head(5000).mean() == pytest.approx(1, abs=0.07)
    assert ks_2samp(frame["x"].head(5000), norm.rvs(size=5000, random_state=0)).pvalue > 0.01
    assert frame["label"].tail(N // 4).mean() > frame["label"].head(N // 4).mean() + 0.1
    assert frame["label"].mean() == pytest.approx(truth.rate, abs=0.004)
    for name in ("late", "early"):
        found = mutual_info_score(frame[name].fill_null("none").rank("dense"), frame["label"]) - 9 / (2 * N)
        assert found == pytest.approx(truth.fields[name].information, rel=0.08)
    assert roc_auc_score(frame["label"], table.oracle()["logit"]) == pytest.approx(truth.bayes_auc, abs=0.004)
    told = {(d.column, d.what): d.size for d in truth.drifts}
    assert told == {
        ("late", "appears"): 0.3,
        ("early", "vanishes"): 0.6,
        ("x", "shift"): 1.0,
        ("gone", "vanishes"): 0.5,
        ("label", "rate"): 1.0,
    }


def test_noise_that_moves_goes_with_a_rate_that_moves() -> None:
    parts = (Noise(name="moved", values=9, skew=1.0, drift=Drift(popularity=1.0)), Signal(name="s", values=9))
    table = Planted(parts=parts, rows=N, clock=Clock(rate=2.0), texts="integers")
    of = table.truth.fields["moved"]
    assert not of.informative
    found = mutual_info_score(*(table.frame()[c] for c in ("moved", "label"))) - 8 / (2 * N)
    assert found == pytest.approx(of.information, abs=4 * np.sqrt(of.information / N))
    assert of.information > 0.0005
    assert of.adds == 0.0
