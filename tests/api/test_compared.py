from __future__ import annotations

import pytest

from ctrsel.api.compared import Figures
from ctrsel.records.selection_comparison import ComparedCell

SHARES, NUMBERS = (0.1, 0.3, 0.5), (10, 30, 50)


def figures(aucs, *, judges=("a",), seeds=(1, 2), margin=0.01, test=None) -> Figures:
    """Cells from AUC by name: a list by size, or a function of size, judge and seed."""
    cells = {}
    for name, given in aucs.items():
        for judge in judges:
            for seed in seeds:
                for i, share in enumerate(SHARES if name != "none" else (1.0,)):
                    value = given(i, judge, seed) if callable(given) else given[i]
                    cells[name, share, judge, seed] = ComparedCell(
                        contestant=name, share=share, judge=judge, seed=seed, run=value is not None,
                        valid_auc=value, test_auc=value, test_error=test,
                    )  # fmt: skip
    return Figures(cells=cells, shares=SHARES, numbers=NUMBERS, judges=judges, seeds=seeds, margin=margin)


def test_areas_of_known_curves():
    found = figures({"chance": [0.5] * 3, "perfect": [1.0] * 3, "rising": [0.6, 0.7, 0.8], "none": [0.8]})
    area = {n: found.area(n, "a", 1, "test") for n in ("chance", "perfect", "rising", "none")}
    assert area["chance"] == 0
    assert area["perfect"] == 1
    assert area["rising"] == pytest.approx((20 * 0.3 + 20 * 0.5) / 40)
    assert area["none"] == pytest.approx(0.6)  # the same at every size
    assert found.area("rising", "a", 1, "valid", shares=(0.1, 0.5)) == pytest.approx(0.4)


def test_a_curve_that_was_not_run_has_no_area():
    found = figures({"some": [0.6, None, 0.8], "none": [0.8]})
    assert found.area("some", "a", 1, "test") is None
    (curve,) = found.curves(["some"], ["test"])
    assert (curve.area, curve.seeds) == (None, 0)
    line = found.pair("some", "none", 0.3, "a", "test")
    assert (line.value, line.seeds) == (None, 0)
    assert found.pair("some", "none", 0.5, "a", "test").value == pytest.approx(0.0)


def test_pairs_are_of_the_same_seed():
    # Seeds move both by far more than they are apart.
    found = figures({"x": lambda i, j, s: 0.6 + s / 10 + 0.001 * s, "none": lambda i, j, s: 0.6 + s / 10}, test=0.004)
    line = found.pair("x", "none", 0.1, "a", "test")
    assert line.value == pytest.approx(0.0015)
    # t(1) = 12.7062; differences .001 and .002: s / sqrt(2) = .0005.
    assert (line.low, line.high) == pytest.approx((0.0015 - 0.0063531, 0.0015 + 0.0063531), abs=1e-6)
    assert line.low_rows == pytest.approx(0.0015 - 12.7062 * (0.0005**2 + 0.004**2) ** 0.5, abs=1e-5)
    assert found.pair("x", "none", 0.1, "a", "valid").low_rows is None


def test_the_larger_area_is_named_over_all_judges():
    # `left` is better with the first judge, `right` by more with the second.
    found = figures(
        {
            "left": lambda i, j, s: 0.7 if j == "a" else 0.6,
            "right": lambda i, j, s: 0.69 if j == "a" else 0.65,
            "none": [0.7],
        },
        judges=("a", "b"),
    )
    naming = found.naming(["left", "right"], screened={"left": 0.9, "right": 0.1})
    assert naming.selector == "right"
    assert set(naming.by_share.values()) == {"right"}
    assert naming.share is None  # with neither judge is it near the full model


def test_the_smallest_size_that_is_enough_with_every_judge():
    rises = [0.6, 0.695, 0.7]
    found = figures(
        {"x": lambda i, j, s: rises[i] - (0.02 if j == "b" and i == 1 else 0.0), "none": [0.7]}, judges=("a", "b")
    )
    assert found.naming(["x"], screened={}).share == 0.5
    one = figures({"x": lambda i, j, s: rises[i], "none": [0.7]})
    assert one.naming(["x"], screened={}).share == 0.3
    single = figures({"x": rises, "none": [0.7]}, seeds=(1,))
    assert single.naming(["x"], screened={}).share is None  # one seed shows nothing


def test_without_common_curves_the_first_stage_decides():
    found = figures({"x": [0.7, None, 0.7], "y": [0.6] * 3, "none": [0.7]})
    naming = found.naming(["x", "y"], screened={"x": 0.4, "y": 0.2})
    assert naming.selector == "x"
    assert "first stage" in naming.basis
    assert found.naming([], screened={}).selector is None
