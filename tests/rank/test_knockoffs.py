"""Knockoffs: copies that resemble but do not know the label, a score with a fair sign, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ctrsel.core.errors import ConfigError, DataError
from ctrsel.rank import CodedRows, FieldCounts, TableCounts, rank
from ctrsel.rank._knockoff_copies import knockoff_copies
from ctrsel.rank._knockoff_loops import draw_copies, pooled_moments
from ctrsel.rank.knockoffs import Knockoffs, _gains, _standardised
from ctrsel.records.feature_set import RESERVED
from ctrsel.stats.counts import label_counts
from ctrsel.testing.tables import sequence_table, tiny_table


def counted(columns: dict[str, np.ndarray], labels: np.ndarray) -> TableCounts:
    coded = {n: (c + RESERVED).astype(np.uint16) for n, c in columns.items()}
    sizes = {n: int(c.max()) + 1 for n, c in coded.items()}
    fields = {n: FieldCounts(train=label_counts(c, labels, size=sizes[n])) for n, c in coded.items()}
    rows = CodedRows(columns=coded, sizes=sizes, labels=labels, row=np.arange(len(labels)))
    return TableCounts(fields=fields, rows=rows, seed=1)


def drawn(*, seed: int, fields: int = 24, true: int = 14, rows: int = 3000, repeat: float = 0.5, effect: float = 0.8):
    """Fields that repeat their neighbour half of the time; the first `true` of them in a random order act."""
    rng = np.random.default_rng(seed)
    columns: dict[str, np.ndarray] = {}
    before = None
    for i in range(fields):
        size = (2, 3, 6, 12)[i % 4]
        fresh = rng.integers(0, size, rows)
        columns[f"f{i:02d}"] = before = (
            fresh if before is None else np.where(rng.random(rows) < repeat, before % size, fresh)
        )
    acting = [f"f{i:02d}" for i in rng.permutation(fields)[:true]]
    logit = -0.5 + sum(rng.normal(0, effect, 12)[columns[n]] for n in acting)
    labels = (rng.random(rows) < 1 / (1 + np.exp(-logit))).astype(np.uint8)
    return columns, labels, set(acting)


def oracle(base, tables, codes, target, rows, beta):  # noqa: PLR0917  # in the loop's order
    """The pooled distribution row by row in numpy."""
    scores = base + np.einsum("k,krv->rv", beta, np.stack([t[c[rows]] for t, c in zip(tables, codes, strict=True)]))
    p = np.exp(scores - scores.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    help_ = np.stack([t[c[rows]] for t, c in zip(tables, codes, strict=True)])  # [m, rows, V]
    mean = np.einsum("rv,krv->kr", p, help_)
    at = np.arange(len(rows))
    gradient = (help_[:, at, target[rows]] - mean).sum(axis=1)
    hessian = np.einsum("rv,krv,lrv->kl", p, help_, help_) - mean @ mean.T
    return p, np.log(p[at, target[rows]]).sum(), gradient, hessian


def test_loops_are_the_formulas():
    rng = np.random.default_rng(0)
    n, v, sizes = 50, 5, (3, 4, 2)
    base = np.log(rng.dirichlet(np.ones(v)))
    tables = [rng.normal(size=(s, v)) for s in sizes]
    codes = np.stack([rng.integers(0, s, n) for s in sizes])
    target, rows, beta = rng.integers(0, v, n), np.arange(0, n, 2), rng.normal(size=3)
    p, likelihood, gradient, hessian = oracle(base, tables, codes, target, rows, beta)
    flat = np.concatenate([t.reshape(-1) for t in tables])
    starts = np.cumsum([0, *(t.size for t in tables)])[:-1]
    g, h = np.empty(3), np.empty((3, 3))
    assert pooled_moments(base, flat, starts, codes, target, rows, beta, g, h) == pytest.approx(likelihood)
    assert g == pytest.approx(gradient)
    assert h == pytest.approx(hessian)
    out, uniform = np.full(n, -1), rng.random(n)
    draw_copies(base, flat, starts, codes, rows, beta, uniform, out)
    assert out[rows].tolist() == (uniform[rows, None] >= p.cumsum(axis=1)[:, :-1]).sum(axis=1).tolist()
    assert (out[1::2] == -1).all()


def pair_distance(a, b, c, d) -> float:
    """Total variation between the tables of two pairs of columns."""
    size = 16
    one, two = (np.bincount(x * size + y, minlength=size * size) / len(x) for x, y in ((a, b), (c, d)))
    return float(np.abs(one - two).sum() / 2)


def test_copies_take_the_place_of_their_fields():
    """A field and its copy can be swapped: pairs of copy and field, and of two copies, are distributed as the fields are."""
    columns, _, _ = drawn(seed=1, fields=8, rows=20_000, repeat=0.7)
    fields = list(columns.values())
    sizes = [int(c.max()) + 1 for c in fields]
    rng = np.random.default_rng(2)
    made = knockoff_copies(fields, sizes, halves=rng.random(20_000) < 0.5, rng=rng, parents=8, smooth=1.0)
    shuffled = [rng.permutation(c) for c in fields]
    for j in range(7):
        x, y, cx, cy = fields[j], fields[j + 1], made.columns[j], made.columns[j + 1]
        apart = pair_distance(x, y, shuffled[j], shuffled[j + 1])
        assert pair_distance(x, y, cx, y) < 0.15 * apart
        assert pair_distance(x, y, x, cy) < 0.15 * apart
        assert pair_distance(x, y, cx, cy) < 0.15 * apart
    assert all(p >= 1 for p in made.parents)
    assert all(0.1 < s < 0.99 for s in made.same)


def test_independent_fields_have_independent_copies():
    rng = np.random.default_rng(3)
    fields = [rng.integers(0, k, 20_000) for k in (2, 5, 9)]
    made = knockoff_copies(fields, [2, 5, 9], halves=rng.random(20_000) < 0.5, rng=rng, parents=8, smooth=1.0)
    assert made.parents == (0, 0, 0)
    for field, copy, k in zip(fields, made.columns, (2, 5, 9), strict=True):
        assert pair_distance(field, copy, rng.integers(0, k, 20_000), rng.integers(0, k, 20_000)) < 0.05
        assert (field == copy).mean() == pytest.approx(1 / k, abs=0.02)


def test_a_field_that_another_determines_is_its_own_copy_and_has_no_score():
    rng = np.random.default_rng(4)
    columns = {"a": rng.integers(0, 6, 4000), "c": rng.integers(0, 3, 4000)}
    columns["b"] = columns["a"] // 2
    labels = (rng.random(4000) < 0.2 + 0.2 * columns["b"]).astype(np.uint8)
    frame = Knockoffs().score(counted(columns, labels)).frame
    (b,) = frame.filter(frame["field"] == "b").to_dicts()
    assert b["same"] > 0.98
    assert abs(b["score"]) < 3


def test_swapping_a_field_with_its_copy_turns_the_sign():
    rng = np.random.default_rng(5)
    sizes = [3, 5, 2]
    columns = [rng.integers(0, s, 2000) for s in (*sizes, *sizes)]
    labels = (rng.random(2000) < 0.3 + 0.1 * columns[0]).astype(float)
    halves = rng.random(2000) < 0.5

    def w(cols):
        gains = _gains(cols, [*sizes, *sizes], labels, halves=halves, ridge=10.0)
        return _standardised(gains[:3] - gains[3:])

    swapped = [columns[3], columns[1], columns[2], columns[0], columns[4], columns[5]]
    one, two = w(columns), w(swapped)
    assert one[0] > 4
    assert two == pytest.approx(one * np.array([-1, 1, 1]), abs=0.02)


def test_the_model_is_scikit_learns():
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import OneHotEncoder

    from ctrsel.rank.knockoffs import _fit

    rng = np.random.default_rng(6)
    columns = [rng.integers(0, k, 600) for k in (3, 4)]
    labels = (rng.random(600) < 0.2 + 0.15 * columns[0]).astype(float)
    weights, intercept = _fit(columns, np.array([0, 3, 7]), labels, ridge=5.0)
    one_hot = OneHotEncoder().fit_transform(np.stack(columns, axis=1))
    other = LogisticRegression(C=1 / 5.0, tol=1e-10, max_iter=1000).fit(one_hot, labels)
    assert weights == pytest.approx(other.coef_[0], abs=1e-4)
    assert intercept == pytest.approx(other.intercept_[0], abs=1e-4)


def test_true_fields_are_selected_and_few_others():
    columns, labels, acting = drawn(seed=7)
    ranking = Knockoffs(q=0.2).score(counted(columns, labels))
    frame = ranking.frame
    chosen = set(frame.filter(frame["selected"])["field"].to_list())
    assert len(chosen & acting) >= 10
    assert len(chosen - acting) <= 3
    assert set(ranking.order[:5]) <= acting
    assert (frame["selected"] == (frame["q"] <= 0.2)).all()
    assert frame["score"].is_sorted(descending=True)
    assert ranking.digest == Knockoffs(q=0.2).score(counted(columns, labels)).digest
    other = Knockoffs(q=0.2).score(replace(counted(columns, labels), seed=2))
    assert other.digest != ranking.digest


def test_with_few_true_fields_nothing_is_selected_and_the_notes_say_why():
    columns, labels, acting = drawn(seed=8, true=3, effect=1.2)
    ranking = Knockoffs().score(counted(columns, labels))
    assert not ranking.frame["selected"].any()
    assert set(ranking.order[:3]) == acting  # the order still is right
    assert any("no fewer than 10 can be" in n for n in ranking.notes)


def test_refusals_and_floats():
    from ctrsel.rank.mutual_information import MutualInformation

    table = tiny_table(rows=1500)
    ranking = rank(table, [Knockoffs()], seed=1)[0]
    assert ranking.refused == {"id": "has 1,201 values; knockoffs are drawn for fields of at most 1,000"}
    assert set(ranking.order) == {"site", "ad", "noise", "hour", "load"}
    assert ranking.order[:2] == rank(table, [MutualInformation()], seed=1)[0].order[:2]
    lists = rank(sequence_table(), [Knockoffs()], seed=1)[0]
    assert "list of values" in lists.refused["history"]
    with pytest.raises(DataError, match="knockoffs: counts fields together and needs the rows"):
        Knockoffs().score(replace(counted(*drawn(seed=1)[:2]), rows=None))


def test_rows_are_sampled_and_constants_score_nothing():
    columns, labels, _ = drawn(seed=9, fields=4, true=2)
    columns["same"] = np.zeros(3000, dtype=np.int64)
    ranking = Knockoffs(rows=1000).score(counted(columns, labels))
    assert ranking.score("same") == 0
    assert "from 1,000 of 3,000 training rows, each class in proportion" in ranking.notes


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"q": 1.0}, "q: must be"),
        ({"rows": 5}, "rows: must be"),
        ({"max_values": 1}, "max_values: must be"),
        ({"parents": -1}, "parents: must be"),
        ({"smooth": 0.0}, "smooth: must be"),
        ({"ridge": -1.0}, "ridge: must be"),
    ],
)
def test_parameters(given, why):
    with pytest.raises(ConfigError, match=f"knockoffs.{why}"):
        Knockoffs(**given)


@pytest.mark.slow
@pytest.mark.parametrize("repeat", [0.0, 0.6])
def test_the_rate_of_false_discoveries_holds(repeat):
    rates: dict[float, list[float]] = {0.1: [], 0.2: []}
    for seed in range(30):
        columns, labels, acting = drawn(seed=100 + seed, repeat=repeat)
        frame = Knockoffs().score(replace(counted(columns, labels), seed=seed)).frame
        for q, found in rates.items():
            chosen = set(frame.filter(frame["q"] <= q)["field"].to_list())
            found.append(len(chosen - acting) / max(len(chosen), 1))
    for q, found in rates.items():
        assert np.mean(found) <= q + 2 * np.std(found) / np.sqrt(len(found))
